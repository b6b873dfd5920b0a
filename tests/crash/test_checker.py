"""The checker itself: it must notice what it is there for, in made-up histories and beside a store that forgets a batch."""

import pytest

from tests.crash.history import Found, History, Sent
from tests.crash.run import run

SENT = Sent("work", "id-1", None, 1)
FOUND = Found("work", "work", "a", "id-1", 1)


def acknowledged(**bodies: Sent) -> History:
    history = History()
    for body, sent in bodies.items():
        history.send_answered(body, sent)
    return history


def broken(history: History, *found: Found, work: int | None = None) -> str:
    history.check(list(found), {"work": len(found) if work is None else work})
    return "\n".join(history.violations)


def test_what_was_acknowledged_and_is_there_is_fine() -> None:
    assert not broken(acknowledged(a=SENT), FOUND)


def test_a_lost_message_is_noticed() -> None:
    assert "a: lost" in broken(acknowledged(a=SENT))


def test_a_deleted_message_may_be_gone_and_must_not_come_back() -> None:
    history = acknowledged(a=SENT)
    history.delete_asked("a")
    history.delete_answered("a")
    assert not broken(history)
    assert "a: back" in broken(history, FOUND)


def test_what_was_never_answered_may_have_happened_or_not() -> None:
    for found in ([], [FOUND]):
        history = History()
        history.unanswered_sends.add("a")
        assert not broken(history, *found)
        deleting = acknowledged(a=SENT)
        deleting.delete_asked("a")
        assert not broken(deleting, *found)


def test_a_refused_delete_says_nothing_of_another_that_is_on_its_way() -> None:
    history = acknowledged(a=SENT)
    history.delete_asked("a")
    history.delete_asked("a")
    history.delete_refused("a")
    assert not broken(history)
    history.delete_refused("a")
    assert "a: lost" in broken(history)


def test_a_message_that_nobody_sent_or_that_is_there_twice_is_noticed() -> None:
    assert "a: never sent" in broken(History(), FOUND)
    assert "a: there twice" in broken(acknowledged(a=SENT), FOUND, FOUND)


def test_a_receive_count_that_falls_is_noticed() -> None:
    history = acknowledged(a=SENT)
    history.received("a", 3, set())
    assert "count fell to 3" in broken(history, Found("work", "work", "a", "id-1", 3))
    assert not acknowledged(a=SENT).violations


def test_another_message_id_is_noticed() -> None:
    assert "another message id" in broken(acknowledged(a=SENT), Found("work", "work", "a", "id-2", 1))
    history = acknowledged(a=SENT)
    history.send_answered("a", Sent("work", "id-2", None, 1))
    assert "made another message" in history.violations[0]


def test_a_group_out_of_order_is_noticed() -> None:
    history = acknowledged(a=Sent("work", "1", "g", 1), b=Sent("work", "2", "g", 2), c=Sent("work", "3", "h", 1))
    a, b, c = (Found("work", "work", body, i, 1) for body, i in (("a", "1"), ("b", "2"), ("c", "3")))
    assert not broken(history, a, c, b)
    assert "a: out of order in group g" in broken(history, b, c, a)


def test_a_count_that_is_not_true_is_noticed() -> None:
    assert "work: said that it held 2" in broken(acknowledged(a=SENT), FOUND, work=2)


async def test_a_store_that_forgets_a_batch_is_noticed() -> None:
    report = await run(3, seed=3, module="tests.crash.forgetful")
    assert any(word in v for v in report.violations for word in ("lost", "back", "not in")), report.violations


@pytest.mark.parametrize("seed", [11, 12])
async def test_a_broker_that_is_killed_keeps_its_promises(seed: int) -> None:
    report = await run(2, seed)
    assert report.queues.acknowledged > 50
    assert report.topics.acknowledged > 20
    assert report.work.times_processed > 5
    assert report.work.processes
    assert not report.violations
