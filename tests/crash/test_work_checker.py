"""The checker of functions' work: what it must notice, in made-up histories and beside mappings that delete too early."""

import re

from tests.crash.run import run
from tests.crash.work_history import Processed, Task, WorkHistory


def sent(*bodies: str, group: str | None = None) -> WorkHistory:
    """Acknowledged in this order, with the bodies as ids."""
    history = WorkHistory()
    for number, body in enumerate(bodies):
        history.send_asked(body, Task("tasks", group, number))
        history.send_answered(body, body)
    return history


def process(history: WorkHistory, *bodies: str, receive_count: int = 1) -> None:
    for body in bodies:
        history.function_processed(Processed(body, body, receive_count))


def broken(history: WorkHistory, *held: str) -> str:
    history.check(set(held))
    return "\n".join(history.violations)


def test_what_was_processed_and_is_gone_is_fine() -> None:
    history = sent("a", "b")
    process(history, "b", "a")
    history.restarted(set())
    assert not broken(history)


def test_what_is_held_after_a_restart_and_processed_later_is_fine() -> None:
    history = sent("a", "b")
    history.restarted({"a", "b"})
    process(history, "a", "b", receive_count=2)
    assert not broken(history)


def test_a_message_that_was_deleted_without_being_processed_is_noticed() -> None:
    history = sent("a", "b")
    process(history, "a")
    history.restarted(set())
    assert history.violations == ["b: deleted from tasks and not processed"]
    assert "lost" not in broken(history), "one violation is enough"


def test_a_lost_message_is_noticed() -> None:
    history = sent("a", "b")
    history.restarted({"a", "b"})
    process(history, "a")
    assert broken(history) == "b: lost; neither processed nor in tasks"


def test_a_message_that_is_never_processed_is_noticed() -> None:
    assert broken(sent("a"), "a") == "a: left in tasks"


def test_a_message_that_was_processed_and_is_not_deleted_is_noticed() -> None:
    history = sent("a")
    process(history, "a")
    assert broken(history, "a") == "a: processed, and still in tasks"


def test_what_was_never_answered_may_have_happened_or_not() -> None:
    for processed in ([], ["a"]):
        history = WorkHistory()
        history.send_asked("a", Task("tasks"))
        history.restarted(set())
        process(history, *processed)
        assert not broken(history)


def test_what_a_queue_has_shown_has_happened() -> None:
    history = WorkHistory()
    history.send_asked("a", Task("tasks"))
    history.restarted({"a"})
    history.restarted(set())
    assert "a: deleted from tasks and not processed" in history.violations


def test_a_group_out_of_order_is_noticed() -> None:
    history = sent("a", "b", "c", group="g")
    process(history, "a", "c", "b")
    assert broken(history) == "b: processed out of order in group g"


def test_a_batch_that_comes_again_is_in_order_by_its_first_times() -> None:
    history = sent("a", "b", "c", group="g")
    process(history, "a", "b")
    process(history, "a", "b", receive_count=2)
    process(history, "c")
    assert not broken(history)
    assert (history.times_processed, history.times_again) == (5, 2)


def test_groups_and_standard_queues_have_no_order_among_each_other() -> None:
    history = sent("a", "b")
    history.send_asked("c", Task("tasks.fifo", "g", 5))
    history.send_asked("d", Task("tasks.fifo", "h", 4))
    process(history, "c", "b", "d", "a")
    assert not broken(history)


def test_a_receive_count_that_does_not_rise_is_noticed() -> None:
    history = sent("a")
    process(history, "a", "a")
    assert broken(history) == "a: its receive count fell to 1"


def test_another_message_id_is_noticed() -> None:
    history = sent("a")
    history.function_processed(Processed("a", "b", 1))
    assert "another message id" in broken(history)


def test_what_nobody_sent_or_what_comes_back_is_noticed() -> None:
    history = sent("a")
    process(history, "a", "b")
    assert broken(history) == "b: processed, and never sent"
    history.begin_round()
    process(history, "a", receive_count=2)
    assert "a: processed, again after it had left its queue" in broken(history)
    assert "a: in a queue, and not sent in this round" in broken(history, "a")


def test_a_process_that_outlives_its_broker_is_noticed() -> None:
    history = WorkHistory()
    history.outlived([])
    assert not history.violations
    history.outlived([4711])
    assert "4711" in history.violations[0]


async def test_mappings_that_delete_too_early_are_noticed() -> None:
    for seed in range(6, 12):  # on a busy machine a round may end before anything was under way
        report = await run(1, seed=seed, module="tests.crash.hasty")
        if report.violations:
            break
    assert report.violations
    for violation in report.violations:
        assert re.search("-tasks.*(?:deleted|lost)", violation), report.violations
