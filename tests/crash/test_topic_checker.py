"""The checker of topics: what it must notice, in made-up histories and beside a store that loses one queue's copy."""

import re

import pytest

from tests.crash.run import run
from tests.crash.topic_history import Answer, Copy, Published, TopicHistory

HOOK = frozenset({"hook"})
WANTED = Published(frozenset({"a", "b", "hook"}))
ANSWER = Answer("id-1")
IN_A, IN_B = Copy("a", "m", "1"), Copy("b", "m", "2")


def published(*messages: str, answered: bool = True, delivered: bool = True) -> TopicHistory:
    history = TopicHistory()
    for message in messages:
        history.publish_asked(message, WANTED)
        if answered:
            history.publish_answered(message, ANSWER)
        if delivered:
            history.endpoint_got("hook", message)
    return history


def broken(history: TopicHistory, *found: Copy) -> str:
    history.check(list(found), HOOK)
    return "\n".join(history.violations)


def test_what_is_in_every_place_is_fine() -> None:
    assert not broken(published("m"), IN_A, IN_B)


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("found", [[IN_A], [IN_B]])
def test_a_publish_that_one_queue_lacks_is_noticed(answered: bool, found: list[Copy]) -> None:
    lacking = "b" if found == [IN_A] else "a"
    assert f"not in {lacking}" in broken(published("m", answered=answered), *found)


@pytest.mark.parametrize("answered", [True, False])
def test_a_publish_that_the_endpoint_was_not_sent_is_noticed(answered: bool) -> None:
    assert "not in hook" in broken(published("m", answered=answered, delivered=False), IN_A, IN_B)


def test_an_acknowledged_publish_that_is_nowhere_is_noticed() -> None:
    assert "m: acknowledged, and not in a, b, hook" in broken(published("m", delivered=False))


def test_what_was_never_answered_may_have_happened_or_not() -> None:
    assert not broken(published("m", answered=False), IN_A, IN_B)
    assert not broken(published("m", answered=False, delivered=False))
    assert "never acknowledged, and in some places but not in a, b" in broken(published("m", answered=False))


def test_a_second_copy_is_noticed_also_beside_one_that_was_received_before() -> None:
    again = Copy("a", "m", "3")
    assert "m: 2 times in a" in broken(published("m"), IN_A, again, IN_B)
    history = published("m")
    history.received(again, set())
    assert "m: 2 times in a" in broken(history, IN_A, IN_B)


def test_what_a_queue_had_shown_may_be_deleted_and_not_be_lost() -> None:
    history = published("m")
    history.received(IN_A, set())
    history.delete_asked("a", "m")
    assert not broken(history, IN_B)
    history.delete_answered("a", "m")
    assert not broken(history, IN_B)
    assert "m: back in a" in broken(history, IN_A, IN_B)
    history = published("m")
    history.received(IN_A, set())
    assert "m: lost from a" in broken(history, IN_B)


def test_a_receive_after_the_deletion_is_noticed() -> None:
    history = published("m")
    history.received(IN_A, {("a", "m")})
    assert "m: received from a after its deletion" in history.violations[0]


def test_a_queue_that_did_not_want_it_is_noticed() -> None:
    assert "m: in c, which did not want it" in broken(published("m"), IN_A, IN_B, Copy("c", "m", "3"))


def test_what_nobody_published_is_noticed() -> None:
    assert "never published" in broken(TopicHistory(), IN_A)


def test_an_envelope_says_what_was_acknowledged() -> None:
    assert not broken(published("m"), IN_A, Copy("b", "m", "2", published_as=ANSWER))
    other = Copy("b", "m", "2", published_as=Answer("id-2"))
    assert "another id than was acknowledged" in broken(published("m"), IN_A, other)


def test_an_endpoint_may_get_a_message_twice_and_late_but_none_that_was_not_published() -> None:
    history = published("m")
    assert not broken(history, IN_A, IN_B)
    history.publish_asked("n", WANTED)
    history.begin_round()
    history.endpoint_got("hook", "m")
    assert not history.violations
    history.endpoint_got("hook", "n")
    assert "n: sent to hook though" in history.violations[0]


def test_the_rounds_are_apart() -> None:
    history = published("m")
    history.begin_round()
    assert not broken(history)
    assert "m: in a, and never published" in broken(history, IN_A)


# FIFO topics


def ordered(*messages: str) -> TopicHistory:
    history = TopicHistory()
    for number, message in enumerate(messages, 1):
        history.publish_asked(message, Published(frozenset({"a", "b"}), "g", number))
        history.publish_answered(message, Answer(message, f"{number:020}"))
    return history


def copies(queue: str, *messages: str, sequences: str = "") -> list[Copy]:
    return [
        Copy(queue, message, message + queue, sequence)
        for message, sequence in zip(messages, sequences or "123", strict=False)
    ]


def test_the_same_order_in_both_queues_is_fine() -> None:
    assert not broken(ordered("m", "n"), *copies("a", "m", "n"), *copies("b", "m", "n"))


def test_a_group_out_of_order_is_noticed() -> None:
    assert "m: out of order in group g of b" in broken(
        ordered("m", "n"), *copies("a", "m", "n"), *copies("b", "n", "m", sequences="21")
    )


def test_queues_that_disagree_are_noticed() -> None:
    assert "b: has another order than a" in broken(
        ordered("m", "n"), *copies("a", "m", "n"), *copies("b", "m", "n", sequences="21")
    )


def test_a_repeated_id_is_answered_like_the_first_time() -> None:
    history = ordered("m")
    history.publish_answered("m", Answer("m", f"{1:020}"))
    assert not history.violations
    history.publish_answered("m", Answer("m", f"{2:020}"))
    assert "m: a repeated deduplication ID" in history.violations[0]


def test_sequence_numbers_go_on_after_a_restart() -> None:
    history = ordered("m", "n")
    history.begin_round()
    history.publish_asked("o", WANTED)
    history.publish_answered("o", Answer("o", f"{2:020}"))
    assert "o: its sequence number is not above" in history.violations[0]


async def test_a_store_that_loses_one_queues_copy_is_noticed() -> None:
    report = await run(1, seed=6, module="tests.crash.forgetful_copy")
    assert report.violations
    for violation in report.violations:
        assert re.search("-news-.*(?:not in|lost from) news-0", violation), report.violations
