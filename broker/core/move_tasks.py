"""Message move tasks: bring the messages of a dead-letter queue back, in the background, across restarts.

A task's progress is recorded in the batch that moves its messages, so that a restart in the middle neither loses nor repeats
one. Source: SQS API Reference, StartMessageMoveTask.
"""

from collections.abc import Callable
from typing import Final, Literal, Protocol

import msgspec

from broker.core.deadlines import Deadlines
from broker.core.errors import UnsupportedOperation
from broker.core.ledger import Ledger
from broker.core.limits import DEAD_LETTERS_PER_CALL
from broker.core.message import Message
from broker.core.queue import Queue
from broker.core.queue_state import Counts
from broker.core.settings import QueueName, queue_name_of_arn
from broker.store.base import Recovered

MOVE_TASK_KIND: Final = "move-task"
_KEPT: Final = 10  # finished tasks per source queue, as many as AWS lists
_SLICE: Final = 100
_SECOND_MS: Final = 1_000

Status = Literal["RUNNING", "COMPLETED", "CANCELLING", "CANCELLED", "FAILED"]


class MoveTask(msgspec.Struct, eq=False):
    """One task. `destination` None: each message goes back to the queue that it came from."""

    id: str
    source: QueueName
    destination: QueueName | None
    per_second: int | None
    to_move: int
    started_at_ms: int
    status: Status = "RUNNING"
    moved: int = 0
    failure: str | None = None
    number: int = 0  # grows from task to task, where a clock that stands still gives several the same start


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(MoveTask)


class Mover(Protocol):
    """What move tasks need of the engine."""

    ledger: Ledger
    deadlines: Deadlines
    queues_by_name: dict[QueueName, Queue]
    start_job: Callable[[Callable[[], bool]], None]

    def counts(self, queue: Queue) -> Counts: ...

    def available(self, queue: Queue) -> None: ...


class MoveTasks:
    """The move tasks of a broker."""

    def __init__(self, engine: Mover) -> None:
        self._engine = engine
        self._tasks: dict[str, MoveTask] = {}
        self._by_source: dict[QueueName, list[MoveTask]] = {}  # oldest first

    def recover(self, recovered: Recovered) -> None:
        """Take over the recorded tasks; running ones go on."""
        for (kind, _), stored in recovered.resources.items():
            if kind == MOVE_TASK_KIND:
                task = _decoder.decode(stored)
                self._tasks[task.id] = task
        for task in sorted(self._tasks.values(), key=lambda t: (t.started_at_ms, t.number)):
            self._by_source.setdefault(task.source, []).append(task)
            if task.status in ("RUNNING", "CANCELLING"):
                self._go_on(task)

    def forget(self) -> None:
        """Drop all memory: the store is about to be read again."""
        self._tasks.clear()
        self._by_source.clear()

    def forget_source(self, source: Queue) -> None:
        """The queue is gone, and nobody can ask for its tasks any more."""
        for task in self.of_source(source):
            self._delete(task)

    def start(self, source: Queue, destination: Queue | None, per_second: int | None) -> MoveTask:
        """Begin to move what is visible in `source`. Raises UnsupportedOperation while another task does, Absent."""
        if any(t.status in ("RUNNING", "CANCELLING") for t in self.of_source(source)):
            raise UnsupportedOperation(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
            )
        to_move = self._engine.counts(source).visible
        ledger = self._engine.ledger
        ledger.reserve(1)
        task = MoveTask(
            ledger.chance.uuid(),
            source.name,
            None if destination is None else destination.name,
            per_second,
            to_move,
            ledger.now_ms(),
            number=ledger.next_sequence(),
        )
        self._tasks[task.id] = task
        self._by_source.setdefault(source.name, []).append(task)
        self._record(task)
        for old in self.of_source(source)[_KEPT:]:
            self._delete(old)
        self._go_on(task)
        return task

    def of_source(self, source: Queue) -> list[MoveTask]:
        """The tasks of a source queue, newest first."""
        return self._by_source.get(source.name, [])[::-1]

    def find(self, task_id: str) -> MoveTask | None:
        return self._tasks.get(task_id)

    def cancel(self, task: MoveTask) -> None:
        """Stop a running task; what has been moved stays moved."""
        task.status = "CANCELLING"
        self._record(task)
        self._go_on(task)

    def _go_on(self, task: MoveTask) -> None:
        self._engine.start_job(lambda: self._step(task))

    def _step(self, task: MoveTask) -> bool:
        if self._tasks.get(task.id) is not task or task.status not in ("RUNNING", "CANCELLING"):
            return False
        if task.status == "CANCELLING":
            return self._finish(task, "CANCELLED")
        source = self._engine.queues_by_name.get(task.source)
        if source is None:
            return self._finish(task, "FAILED", "AWS.SimpleQueueService.NonExistentQueue")
        allowed = self._allowed(task)
        if allowed <= 0:
            return False
        return self._move_some(task, source, min(allowed, _SLICE))

    def _allowed(self, task: MoveTask) -> int:
        """How many may be moved now; where none, the task goes on at the next second of its own."""
        if task.per_second is None:
            return _SLICE
        ledger = self._engine.ledger
        seconds = (ledger.now_ms() - task.started_at_ms) // _SECOND_MS + 1
        allowed = task.per_second * seconds - task.moved
        if allowed <= 0:
            at_ms = task.started_at_ms + seconds * _SECOND_MS
            self._engine.deadlines.add(at_ms, lambda: self._go_on(task))
        return min(allowed, task.per_second)

    def _move_some(self, task: MoveTask, source: Queue, count: int) -> bool:
        engine, now_ms = self._engine, self._engine.ledger.now_ms()
        engine.ledger.reserve(count + DEAD_LETTERS_PER_CALL)
        selection = source.select(count, now_ms)
        messages = sorted(selection.picked + selection.dead, key=lambda m: m.order)
        targets = [self._target(task, source, m) for m in messages]
        if any(isinstance(target, str) for target in targets):
            source.put_back(selection)
            return self._finish(task, "FAILED", next(t for t in targets if isinstance(t, str)))
        source.take_selected(selection)
        for message in selection.expired:
            source.discard(message)
        for message, target in zip(messages, targets, strict=True):
            assert isinstance(target, Queue)
            source.move(message, target, now_ms, source=None, keep_count=False)
        for target in {t for t in targets if isinstance(t, Queue)}:
            engine.available(target)
        if not messages and not selection.expired:
            return self._finish(task, "COMPLETED")
        task.moved += len(messages)
        self._record(task)
        return True

    def _target(self, task: MoveTask, source: Queue, message: Message) -> Queue | str:
        """Where a message goes, or why that cannot be told."""
        name = task.destination
        if name is None:
            name = None if message.source is None else queue_name_of_arn(message.source)
            if name is None:
                return "CouldNotDetermineMessageSource"
        target = self._engine.queues_by_name.get(name)
        if target is None or target.settings.fifo != source.settings.fifo:
            return "AWS.SimpleQueueService.NonExistentQueue"
        return target

    def _finish(self, task: MoveTask, status: Status, failure: str | None = None) -> bool:
        task.status = status
        task.failure = failure
        self._record(task)
        return False

    def _record(self, task: MoveTask) -> None:
        self._engine.ledger.batch.put_resource(MOVE_TASK_KIND, task.id, _encoder.encode(task))

    def _delete(self, task: MoveTask) -> None:
        del self._tasks[task.id]
        tasks = self._by_source[task.source]
        tasks.remove(task)
        if not tasks:
            del self._by_source[task.source]
        self._engine.ledger.batch.delete_resource(MOVE_TASK_KIND, task.id)
