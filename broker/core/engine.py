"""The engine: what senders and receivers do to queues, and what follows from it.

Every method is synchronous. One that changes something checks first, then applies all its Changes to the open batch in one go;
one that needs rows which memory does not hold changes nothing and raises Absent. Waiting receives are served in the call that
makes a message available.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from broker.core import limits
from broker.core.absent import Absent, Read, Yield
from broker.core.attempts import Attempt
from broker.core.content import Content
from broker.core.deadlines import Deadlines
from broker.core.deduplication import Entry
from broker.core.errors import InvalidParameterValue, OverLimit, ReceiptHandleIsInvalid
from broker.core.fifo import FifoQueue
from broker.core.ledger import Ledger
from broker.core.message import Admitted, Delivery, Message, Sent, sequence_number
from broker.core.move_tasks import MoveTasks
from broker.core.queue import Queue
from broker.core.queue_state import Counts
from broker.core.receipt import Receipt
from broker.core.registry import Registry
from broker.core.settings import QueueSettings
from broker.core.usage import Usage
from broker.core.waiting import Waiter
from broker.errors import ServiceUnavailable
from broker.store.base import Recovered

Parcel = tuple[Queue, Sequence[Admitted]]  # messages for one queue
Job = Callable[[], bool]  # one bounded step; True while there is more to do; may raise Absent or Yield

_NOT_AVAILABLE: Final = "Message does not exist or is not available for visibility timeout change."


class Engine(Registry):
    """See the module's text. `start_job` is set by whoever can run jobs in the background."""

    def __init__(self, ledger: Ledger, deadlines: Deadlines, *, cooldowns: bool = False) -> None:
        super().__init__(ledger, deadlines, cooldowns=cooldowns)
        self.start_job: Callable[[Job], None] = lambda _job: None
        self.moves = MoveTasks(self)
        self.usage = Usage(ledger)

    def recover(self, recovered: Recovered) -> None:
        super().recover(recovered)
        for queue in self.queues():
            self.schedule_retention(queue)
        self.moves.recover(recovered)

    def forget(self) -> None:
        """Drop all memory. Waiting receives are made again by their callers."""
        for queue in self.queues():
            queue.deleted = True
            queue.invalidate_reads()
            self._dismiss(queue)
        self.usage.clear()
        self.moves.forget()
        super().forget()

    # Sending

    def send(self, queue: Queue, messages: Sequence[Admitted]) -> list[Sent]:
        """Accept messages, all or none, in this order. A duplicate of a FIFO queue is answered like its original.

        Raises Absent, ServiceUnavailable.
        """
        self.ledger.check_room()
        now_ms = self.ledger.now_ms()
        self.usage.use(queue)
        if type(queue) is FifoQueue:
            digests = queue.digests(messages, now_ms)
            self.ledger.reserve(len(messages))
            sent = [self._send_once(queue, m, d, now_ms) for m, d in zip(messages, digests, strict=True)]
        else:
            self.ledger.reserve(len(messages))
            sent = [queue.send(m, now_ms)[1] for m in messages]
        self._look_at(queue)
        return sent

    def fan_out(self, parcels: Sequence[Parcel]) -> list[list[Sent]]:
        """Accept messages into several queues, all or none: the same as sending to each, in one transaction.

        A queue may be named once. Raises Absent, ServiceUnavailable.
        """
        self.ledger.check_room()
        now_ms = self.ledger.now_ms()
        digests = self._all_digests(parcels, now_ms)
        self.ledger.reserve(sum(len(messages) for _, messages in parcels))
        all_sent: list[list[Sent]] = []
        for (queue, messages), known in zip(parcels, digests, strict=True):
            if type(queue) is FifoQueue:
                sent = [self._send_once(queue, m, d, now_ms) for m, d in zip(messages, known, strict=True)]
            else:
                sent = [queue.send(m, now_ms)[1] for m in messages]
            all_sent.append(sent)
        for queue, _ in parcels:
            self.available(queue)
        return all_sent

    def _all_digests(self, parcels: Sequence[Parcel], now_ms: int) -> list[list[bytes]]:
        """What FIFO queues remember each message by. Raises Absent where only the store knows whether they do."""
        found: list[list[bytes]] = []
        reads: list[Read] = []
        for queue, messages in parcels:
            self.usage.use(queue)
            digests: list[bytes] = []
            if type(queue) is FifoQueue:
                try:
                    digests = queue.digests(messages, now_ms)
                except Absent as absent:
                    reads += absent.reads
            found.append(digests)
        if reads:
            raise Absent(*reads)
        return found

    def _send_once(self, queue: FifoQueue, admitted: Admitted, digest: bytes, now_ms: int) -> Sent:
        original = queue.deduplication.entry(digest, now_ms)
        if original is not None:
            return Sent(original.message_id, sequence_number(original.order))
        message, sent = queue.send(admitted, now_ms)
        queue.deduplication.add(digest, Entry(now_ms, sent.message_id, message.order), self.ledger.batch)
        return sent

    # Receiving

    def receive(self, queue: Queue, count: int, visibility_ms: int, attempt_id: str | None = None) -> list[Delivery]:
        """Lease up to `count` (1-10) available messages for visibility_ms, oldest first; those beyond maxReceiveCount move to the
        dead-letter queue instead. Raises OverLimit (standard queues), Absent, Yield.
        """
        deliveries = self._receive(queue, count, visibility_ms, attempt_id)
        if queue.waiters:
            self.serve(queue)
        return deliveries

    def _receive(self, queue: Queue, count: int, visibility_ms: int, attempt_id: str | None) -> list[Delivery]:
        self.usage.use(queue)
        now_ms = self.ledger.now_ms()
        if type(queue) is FifoQueue:
            if attempt_id is not None:
                repeated = self._repeat(queue, attempt_id, visibility_ms, now_ms)
                if repeated is not None:
                    return repeated
        elif queue.in_flight + count > limits.IN_FLIGHT_MAX and not queue.settings.internal:
            queue.settle(now_ms)
            count = min(count, limits.IN_FLIGHT_MAX - queue.in_flight)
            if count <= 0:
                raise OverLimit("The maximum number of in flight messages is reached for the queue.")
        target = queue.dead_letter_target
        if target is not None:
            self.ledger.reserve(limits.DEAD_LETTERS_PER_CALL + count)
        selection = queue.select(count, now_ms)
        unread = [m for m in selection.picked if m.body is None]
        if unread:
            queue.put_back(selection)
            raise Absent(queue.content_read(unread))
        queue.take_selected(selection)
        for message in selection.expired:
            queue.discard(message)
        for message in selection.dead:
            assert target is not None
            queue.move(message, target, now_ms, source=queue.name.arn, keep_count=True)
        deliveries = [self._hand_out(queue, m, visibility_ms, now_ms) for m in selection.picked]
        if type(queue) is FifoQueue and attempt_id is not None and deliveries:
            queue.attempts.remember(attempt_id, Attempt(now_ms, tuple(selection.picked)))
        if selection.dead and target is not None:
            self.available(target)  # last: it may come back to this queue
        self.usage.make_room(queue)
        if not deliveries and (selection.dead or selection.expired):
            raise Yield
        return deliveries

    def _hand_out(self, queue: Queue, message: Message, visibility_ms: int, now_ms: int) -> Delivery:
        content, body = message.content, message.body
        queue.lease(message, visibility_ms, now_ms)
        return self._delivery(queue, message, content, body, now_ms)

    def _delivery(
        self, queue: Queue, message: Message, content: Content | None, body: bytes | None, received_at_ms: int
    ) -> Delivery:
        assert content is not None and body is not None
        return Delivery(
            self.ledger.receipts.handle(queue.number, message.id, message.receive_count, received_at_ms),
            content,
            body,
            message.receive_count,
            message.first_received_at_ms,
            message.group,
            sequence_number(message.order) if queue.settings.fifo else None,
            message.source,
        )

    def _repeat(self, queue: FifoQueue, attempt_id: str, visibility_ms: int, now_ms: int) -> list[Delivery] | None:
        """The same messages and handles again, for a receive that is retried with its ReceiveRequestAttemptId."""
        queue.settle(now_ms)
        attempt = queue.attempts.find(attempt_id, now_ms)
        if attempt is None:
            return None
        unread = [m for m in attempt.messages if m.body is None]
        if unread:
            raise Absent(queue.content_read(unread))
        deliveries = []
        for message in attempt.messages:
            content, body = message.content, message.body
            queue.take_out(message)
            queue.set_lease(message, now_ms + visibility_ms, now_ms)
            deliveries.append(self._delivery(queue, message, content, body, attempt.at_ms))
        queue.attempts.remember(attempt_id, attempt)
        return deliveries

    # Handles

    def check_handle(self, queue: Queue, handle: str) -> Receipt:
        """Raises ReceiptHandleIsInvalid where the handle is not one of this queue."""
        receipt = self.ledger.receipts.read(handle)
        if receipt is None or receipt.queue != queue.number:
            raise ReceiptHandleIsInvalid(handle)
        return receipt

    def delete(self, queue: Queue, handle: str) -> None:
        """Delete the message of a receipt handle; nothing happens if it is gone. On a standard queue an older handle deletes
        too; on a FIFO queue the receive that the handle stands for must not have ended. Raises Absent.
        """
        receipt = self.check_handle(queue, handle)
        self.usage.use(queue)
        message = queue.find_received(receipt.message)
        if message is None:
            return
        if queue.settings.fifo and not self._current(queue, message, receipt):
            raise InvalidParameterValue(
                f"Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
            )
        queue.take_out(message)
        queue.consume(message)
        if queue.waiters:
            self.serve(queue)

    def change_visibility(self, queue: Queue, handle: str, visibility_ms: int) -> None:
        """Make the message of a receipt handle visible visibility_ms from now; 12 hours from its receive at most. Raises Absent.

        Source: SQS API Reference, ChangeMessageVisibility.
        """
        receipt = self.check_handle(queue, handle)
        self.usage.use(queue)
        now_ms = self.ledger.now_ms()
        message = queue.find_received(receipt.message)
        if message is None or (queue.settings.fifo and not self._current(queue, message, receipt)):
            raise InvalidParameterValue(
                f"Value {handle} for parameter ReceiptHandle is invalid. Reason: {_NOT_AVAILABLE}"
            )
        if now_ms + visibility_ms - receipt.received_at_ms > limits.VISIBILITY_MS_MAX:
            raise InvalidParameterValue(
                f"Value {visibility_ms // 1000} for parameter VisibilityTimeout is invalid. Reason: Total "
                "VisibilityTimeout for the message is beyond the limit [43200 seconds]"
            )
        queue.take_out(message)
        queue.set_lease(message, now_ms + visibility_ms, now_ms)
        if queue.waiters:
            self.serve(queue)

    def _current(self, queue: Queue, message: Message, receipt: Receipt) -> bool:
        return message.visible_at_ms > self.ledger.now_ms() and message.receive_count == receipt.receive

    # Queues, where messages or waiting receives are concerned

    def counts(self, queue: Queue) -> Counts:
        """How many messages are visible, in flight and delayed now. Raises Absent."""
        self.usage.use(queue)
        return queue.counts(self.ledger.now_ms())

    def configure_queue(self, queue: Queue, settings: QueueSettings, attributes: dict[str, str]) -> None:
        super().configure_queue(queue, settings, attributes)
        self.schedule_retention(queue)
        if queue.waiters:
            self.serve(queue)

    def delete_queue(self, queue: Queue) -> None:
        super().delete_queue(queue)
        self.usage.discard(queue)
        self.moves.forget_source(queue)
        self.deadlines.cancel(queue.wake_due)
        self.deadlines.cancel(queue.retention_due)
        self._dismiss(queue)

    # Waiting receives

    def wait(self, queue: Queue, waiter: Waiter) -> None:
        """Let a receive that found nothing wait until a message is there, its time is up, or its queue is gone."""
        if queue.waiters is None:
            queue.waiters = OrderedDict()
        queue.waiters[waiter] = None
        if waiter.until_ms is not None:
            waiter.deadline = self.deadlines.add(waiter.until_ms, lambda: self._time_is_up(queue, waiter))
        self._schedule_wake(queue)

    def stop_waiting(self, queue: Queue, waiter: Waiter) -> None:
        """The waiting receive is over, whatever the reason."""
        if queue.waiters is not None:
            queue.waiters.pop(waiter, None)
            if not queue.waiters:
                queue.waiters = None
        self.deadlines.cancel(waiter.deadline)

    def serve(self, queue: Queue) -> None:
        """Give what is available to the receives that wait, first come first served. Changes that this causes may lead back here:
        the call that is at it goes on then.
        """
        if queue.serving:
            return
        queue.serving = True
        try:
            while queue.waiters and self._serve_first(queue):
                pass
        finally:
            queue.serving = False
        self._schedule_wake(queue)

    def _serve_first(self, queue: Queue) -> bool:
        """Whether to go on with the next."""
        assert queue.waiters
        waiter = next(iter(queue.waiters))
        deliveries: Sequence[Delivery] | None = ()
        if waiter.connected():
            try:
                deliveries = self._receive(queue, waiter.count, waiter.visibility_ms, waiter.attempt_id)
            except OverLimit:
                return False
            except Absent as absent:
                # They are under way even if the caller is gone when it is told to make its call again.
                for read in absent.reads:
                    self.ledger.prefetch(read)
                deliveries = None
            except (Yield, ServiceUnavailable):
                deliveries = None
            if deliveries is not None and not deliveries:
                return False
        self.stop_waiting(queue, waiter)
        waiter.resume(deliveries)
        return deliveries is not None

    def _dismiss(self, queue: Queue) -> None:
        while queue.waiters:
            queue.waiters.popitem(last=False)[0].resume(None)

    def _time_is_up(self, queue: Queue, waiter: Waiter) -> None:
        if queue.waiters is not None and waiter in queue.waiters:
            del queue.waiters[waiter]
            waiter.resume(())

    def _schedule_wake(self, queue: Queue) -> None:
        if not queue.waiters:
            return
        at_ms = queue.next_visible(self.ledger.now_ms())
        if at_ms is not None and (queue.wake_due is None or at_ms < queue.wake_due.at_ms):
            self.deadlines.cancel(queue.wake_due)
            queue.wake_due = self.deadlines.add(at_ms, lambda: self._wake(queue))

    def _wake(self, queue: Queue) -> None:
        queue.wake_due = None
        self.serve(queue)

    def available(self, queue: Queue) -> None:
        """The queue has more messages than before."""
        self.usage.use(queue)
        self._look_at(queue)

    def _look_at(self, queue: Queue) -> None:
        """See to what follows from messages that have come: they will expire, waiting receives want them, memory is short."""
        due = queue.retention_due
        if due is None or queue.oldest_ms + queue.settings.retention_ms < due.at_ms:
            self.schedule_retention(queue)
        if queue.waiters:
            self.serve(queue)
        self.usage.make_room(queue)

    # Retention

    def schedule_retention(self, queue: Queue) -> None:
        """Look for expired messages when the oldest has reached the retention period."""
        self.deadlines.cancel(queue.retention_due)
        queue.retention_due = None
        if queue.messages and not queue.deleted:
            at_ms = queue.oldest_ms + queue.settings.retention_ms
            queue.retention_due = self.deadlines.add(at_ms, lambda: self.start_job(lambda: self._expire_slice(queue)))

    def _expire_slice(self, queue: Queue) -> bool:
        if queue.deleted:
            return False
        self.usage.use(queue)
        more = queue.expire_slice(self.ledger.now_ms())
        if queue.waiters:
            self.serve(queue)  # what expired may have locked its group
        if not more:
            self.schedule_retention(queue)
        return more
