"""The disk's pace: quick after many quick commits in a row, until one is slow."""

from broker.store.disk_pace import DiskPace

QUICK_S, MIDDLING_S, SLOW_S = 0.0005, 0.005, 0.02


def pace(*seconds: float) -> bool:
    told = DiskPace()
    for each in seconds:
        told.took(each)
    return told.quick


def test_it_takes_many_quick_commits_in_a_row() -> None:
    assert not pace()
    assert not pace(*[QUICK_S] * 31)
    assert pace(*[QUICK_S] * 32)
    assert not pace(*[QUICK_S] * 31, MIDDLING_S, *[QUICK_S] * 31)
    assert pace(*[QUICK_S] * 31, MIDDLING_S, *[QUICK_S] * 32)


def test_one_slow_commit_ends_it_and_a_middling_one_does_not() -> None:
    quick = [QUICK_S] * 32
    assert pace(*quick, MIDDLING_S)
    assert not pace(*quick, SLOW_S)
    assert not pace(*quick, SLOW_S, *quick[1:])
    assert pace(*quick, SLOW_S, *quick)
