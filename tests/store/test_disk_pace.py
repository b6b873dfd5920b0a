"""The disk's pace: quick once quick commits outnumber the others, until one is slow."""

from broker.store.disk_pace import DiskPace

QUICK_S, MIDDLING_S, SLOW_S = 0.0005, 0.005, 0.02


def pace(*seconds: float) -> bool:
    told = DiskPace()
    for each in seconds:
        told.took(each)
    return told.quick


def test_it_takes_many_quick_commits() -> None:
    assert not pace()
    assert not pace(*[QUICK_S] * 31)
    assert pace(*[QUICK_S] * 32)


def test_middling_ones_are_made_up_for() -> None:
    assert not pace(*[QUICK_S] * 31, MIDDLING_S, QUICK_S)
    assert pace(*[QUICK_S] * 31, MIDDLING_S, *[QUICK_S] * 2)
    assert pace(*[QUICK_S, QUICK_S, MIDDLING_S] * 32)
    assert not pace(*[QUICK_S, MIDDLING_S] * 1_000)


def test_one_slow_commit_ends_it_and_a_middling_one_does_not() -> None:
    quick = [QUICK_S] * 32
    assert pace(*quick, MIDDLING_S)
    assert not pace(*quick, SLOW_S)
    assert not pace(*quick, SLOW_S, *quick[1:])
    assert pace(*quick, SLOW_S, *quick)


def test_many_middling_ones_end_it() -> None:
    quick = [QUICK_S] * 32
    assert pace(*quick, *[MIDDLING_S] * 31)
    assert not pace(*quick, *[MIDDLING_S] * 32)
