"""Standard queues: order, visibility, delays, receipt handles. Source: SQS Developer Guide and recorded replies."""

import pytest

from broker.core.errors import InvalidParameterValue, QueueDoesNotExist, ReceiptHandleIsInvalid
from tests.core.bench import Bench

HOUR_MS = 3_600_000


def test_messages_come_in_the_order_in_which_they_became_available(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "late", delay_ms=5_000)
    bench.send(queue, "a", "b")
    assert bench.bodies(queue) == ["a", "b"]
    bench.advance(5_000)
    bench.send(queue, "c")
    assert bench.bodies(queue) == ["late", "c"]


def test_a_received_message_is_hidden_until_its_timeout_ends(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a")
    assert bench.receive(queue, visibility_ms=30_000)[0].receive_count == 1
    bench.advance(29_999)
    assert bench.bodies(queue) == []
    bench.advance(1)
    (again,) = bench.receive(queue)
    assert again.receive_count == 2
    assert again.first_received_at_ms == bench.clock.now_ms() - 30_000


def test_a_timeout_of_zero_gives_the_message_back_and_keeps_the_count(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a")
    (delivery,) = bench.receive(queue)
    bench.call(bench.engine.change_visibility, queue, delivery.receipt_handle, 0)
    assert bench.receive(queue)[0].receive_count == 2


def test_counts_are_disjoint_and_add_up(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a", "b", "c")
    bench.send(queue, "later", delay_ms=10_000)
    bench.receive(queue, 1)
    assert bench.counts(queue) == (2, 1, 1)
    bench.advance(10_000)
    assert bench.counts(queue) == (3, 1, 0)
    bench.advance(20_000)
    assert bench.counts(queue) == (4, 0, 0)


def test_visibility_ends_twelve_hours_after_the_receive_at_most(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a")
    (delivery,) = bench.receive(queue, visibility_ms=HOUR_MS)
    bench.advance(HOUR_MS // 2)
    bench.call(bench.engine.change_visibility, queue, delivery.receipt_handle, 11 * HOUR_MS)
    with pytest.raises(InvalidParameterValue, match=r"Total VisibilityTimeout .* beyond the limit \[43200 seconds\]"):
        bench.call(bench.engine.change_visibility, queue, delivery.receipt_handle, 12 * HOUR_MS)
    bench.advance(11 * HOUR_MS - 1)
    assert bench.bodies(queue) == []
    bench.advance(1)
    assert bench.bodies(queue) == ["a"]


def test_a_message_whose_timeout_ended_can_be_hidden_again(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a")
    (delivery,) = bench.receive(queue, visibility_ms=1_000)
    bench.advance(2_000)
    bench.call(bench.engine.change_visibility, queue, delivery.receipt_handle, 5_000)
    assert bench.bodies(queue) == []


def test_an_older_handle_deletes_too_and_deleting_again_does_nothing(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a")
    (first,) = bench.receive(queue, visibility_ms=0)
    bench.receive(queue)
    bench.delete(queue, first.receipt_handle)
    bench.delete(queue, first.receipt_handle)
    assert bench.counts(queue) == (0, 0, 0)


def test_handles_work_after_a_restart_and_belong_to_their_queue(bench: Bench) -> None:
    queue, other = bench.queue(), bench.queue("other")
    bench.send(queue, "a")
    (delivery,) = bench.receive(queue)
    with pytest.raises(ReceiptHandleIsInvalid, match="is not a valid receipt handle"):
        bench.delete(other, delivery.receipt_handle)
    bench.commit()
    bench.restart()
    queue = bench.find()
    bench.delete(queue, delivery.receipt_handle)
    assert bench.counts(queue) == (0, 0, 0)


@pytest.mark.parametrize("handle", ["", "x", "A" * 56, "é" * 56, "!" * 56])
def test_a_made_up_handle_is_refused(bench: Bench, handle: str) -> None:
    queue = bench.queue()
    with pytest.raises(ReceiptHandleIsInvalid):
        bench.delete(queue, handle)
    with pytest.raises(ReceiptHandleIsInvalid):
        bench.call(bench.engine.change_visibility, queue, handle, 0)


def test_a_handle_with_one_character_changed_is_refused(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a")
    handle = bench.receive(queue)[0].receipt_handle
    for at in range(len(handle)):
        other = "A" if handle[at] != "A" else "B"
        with pytest.raises(ReceiptHandleIsInvalid):
            bench.delete(queue, handle[:at] + other + handle[at + 1 :])


def test_a_purge_takes_everything_and_old_handles_do_nothing(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "visible", "in flight")
    bench.send(queue, "delayed", delay_ms=5_000)
    (delivery,) = bench.receive(queue, 1)
    bench.engine.purge_queue(queue)
    assert bench.counts(queue) == (0, 0, 0)
    bench.send(queue, "new")
    bench.delete(queue, delivery.receipt_handle)
    bench.advance(60_000)
    assert bench.bodies(queue) == ["new"]


def test_a_deleted_queue_is_gone_and_its_name_is_free(bench: Bench) -> None:
    queue = bench.queue()
    bench.send(queue, "a")
    bench.engine.delete_queue(queue)
    with pytest.raises(QueueDoesNotExist):
        bench.receive(queue)
    assert bench.counts(bench.queue()) == (0, 0, 0)
