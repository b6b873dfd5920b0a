"""The queues of a broker by name, and their records in the store.

A record holds a queue's number (its identity in receipt handles and deduplication), its generation (what its messages' rows
carry; a purge replaces it), its settings and the attribute strings and tags that users gave.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from sortedcontainers import SortedList

from broker.core.deadlines import Deadlines
from broker.core.deduplication import Deduplication
from broker.core.errors import PurgeQueueInProgress, QueueDeletedRecently, QueueDoesNotExist
from broker.core.fifo import FifoQueue
from broker.core.ledger import Ledger
from broker.core.limits import COOLDOWN_MS, FOREVER_MS
from broker.core.queue import Queue
from broker.core.settings import QueueName, QueueSettings, internal_name
from broker.core.standard import StandardQueue
from broker.errors import ServiceUnavailable
from broker.store.base import Recovered

QUEUE_KIND: Final = "queue"
TOMBSTONE_KIND: Final = "deleted-queue"
_ALL_ENTRIES: Final = 1 << 60
_SHARED_MAX: Final = 1_000
_DELETED_MAX: Final = 1_000


class QueueRecord(msgspec.Struct):
    """What the store keeps of a queue."""

    name: QueueName
    number: int
    generation: int
    settings: QueueSettings
    attributes: dict[str, str]
    tags: dict[str, str]
    created_at_ms: int
    modified_at_ms: int
    purged_at_ms: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(QueueRecord)


def record_key(name: QueueName) -> str:
    return "/".join(name)


class Registry:
    """See the module's text. `cooldowns`: whether AWS's 60-second waits hold."""

    def __init__(self, ledger: Ledger, deadlines: Deadlines, *, cooldowns: bool = False) -> None:
        self.ledger = ledger
        self.deadlines = deadlines
        self.cooldowns = cooldowns
        self.created: list[Callable[[Queue], None]] = []  # told of every new queue
        self.queues_by_name: dict[QueueName, Queue] = {}
        # By what callers call them (services/sqs/queue_urls.py); and how many have been deleted that it may hold on to.
        self.found: dict[tuple[str, str, str], dict[str, Queue]] = {}
        self._deleted = 0
        self._names: dict[tuple[str, str], SortedList[str]] = {}
        self._sources: dict[QueueName, set[QueueName]] = {}
        self._tombstones: dict[QueueName, int] = {}
        self._settings: dict[QueueSettings, QueueSettings] = {}  # one of each: those of many queues are alike

    def recover(self, recovered: Recovered) -> None:
        """Take over what the store holds. Memory must be empty."""
        for (kind, _key), stored in recovered.resources.items():
            if kind == QUEUE_KIND:
                self._restore(_decoder.decode(stored), recovered)
            elif kind == TOMBSTONE_KIND:
                name, deleted_at_ms = msgspec.json.decode(stored, type=tuple[QueueName, int])
                self._remember_deleted(name, deleted_at_ms)

    def forget(self) -> None:
        """Drop all memory: the store is about to be read again."""
        self.queues_by_name.clear()
        self.found.clear()
        self.ledger.changed.clear()
        self.ledger.memory_bytes = 0
        self._names.clear()
        self._sources.clear()
        self._tombstones.clear()
        self.deadlines.clear()

    def find_queue(self, name: QueueName) -> Queue:
        """Raises QueueDoesNotExist."""
        queue = self.queues_by_name.get(name)
        if queue is None:
            raise QueueDoesNotExist
        return queue

    def current(self, queue: Queue) -> Queue:
        """A queue that was found before: memory that was rebuilt has another object for it. Raises QueueDoesNotExist."""
        return self.find_queue(queue.name) if queue.deleted else queue

    def has_queue(self, name: QueueName) -> bool:
        return name in self.queues_by_name

    def queue_names(
        self, account: str, region: str, *, prefix: str = "", after: str = "", limit: int
    ) -> list[QueueName]:
        """Up to `limit` queues of an account in a region, by name, whose names start with `prefix` and are > `after`."""
        names = self._names.get((account, region))
        if names is None:
            return []
        start = names.bisect_right(after) if after >= prefix else names.bisect_left(prefix)
        found: list[QueueName] = []
        for i in range(start, min(start + limit, len(names))):
            if not names[i].startswith(prefix):
                break
            found.append(QueueName(account, region, names[i]))
        return found

    def create_queue(
        self, name: QueueName, settings: QueueSettings, attributes: dict[str, str], tags: dict[str, str]
    ) -> Queue:
        """A new, empty queue; the caller has seen that there is none of this name. Raises QueueDeletedRecently."""
        assert name not in self.queues_by_name
        if self.cooldowns and self._within_cooldown(self._tombstones.get(name, 0)):
            raise QueueDeletedRecently
        self.ledger.reserve(2)
        now_ms = self.ledger.now_ms()
        kind = FifoQueue if settings.fifo else StandardQueue
        queue = kind(
            self.ledger,
            self.queues_by_name,
            self.ledger.next_sequence(),
            self.ledger.next_sequence(),
            name,
            self._shared(settings),
            attributes=attributes,
            tags=tags,
            created_at_ms=now_ms,
        )
        if isinstance(queue, FifoQueue):
            queue.deduplication = Deduplication(queue.number, self.ledger, new=True)
        queue.reset_windows(empty=True)
        self._enlist(queue)
        self._record(queue)
        queue.touch()
        for tell in self.created:
            tell(queue)
        return queue

    def internal_queue(self, name: str, *, retention_ms: int = FOREVER_MS) -> Queue:
        """The broker's own standard queue of this name, made for a message if there is none. Raises ServiceUnavailable."""
        queue = self.queues_by_name.get(internal_name(name))
        if queue is None:
            if not self.ledger.journal.room_for_messages:
                raise ServiceUnavailable("The service is temporarily unavailable: there is no room on the disk.")
            settings = QueueSettings(retention_ms=retention_ms, internal=True)
            queue = self.create_queue(internal_name(name), settings, {}, {})
        return queue

    def find_internal_queue(self, name: str) -> Queue | None:
        return self.queues_by_name.get(internal_name(name))

    def configure_queue(self, queue: Queue, settings: QueueSettings, attributes: dict[str, str]) -> None:
        """Replace a queue's settings and the attribute strings that they come from."""
        before = queue.settings
        self._unlink_source(queue)
        queue.settings, queue.attributes = self._shared(settings), attributes
        self._link_source(queue)
        queue.modified_at_ms = self.ledger.now_ms()
        self._record(queue)
        if isinstance(queue, FifoQueue) and before.delay_ms != settings.delay_ms:
            queue.delay_changed()

    def tag_queue(self, queue: Queue, tags: dict[str, str]) -> None:
        """Replace a queue's tags."""
        queue.tags = tags
        self._record(queue)

    def delete_queue(self, queue: Queue) -> None:
        """Delete a queue with everything in it. Its name is free at once, or after 60 seconds under cooldowns."""
        batch = self.ledger.batch
        del self.queues_by_name[queue.name]
        self._names[queue.name.account, queue.name.region].remove(queue.name.name)
        self._unlink_source(queue)
        queue.deleted = True
        queue.unload()
        self._deleted += 1
        if self._deleted >= _DELETED_MAX:
            self.found.clear()
            self._deleted = 0
        self.ledger.changed.discard(queue)
        batch.delete_resource(QUEUE_KIND, record_key(queue.name))
        batch.drop_generation(queue.generation)
        if queue.settings.fifo:
            batch.forget_deduplication(queue.number, _ALL_ENTRIES)
        if self.cooldowns and not queue.settings.internal:
            now_ms = self.ledger.now_ms()
            batch.put_resource(TOMBSTONE_KIND, record_key(queue.name), _encoder.encode((queue.name, now_ms)))
            self._remember_deleted(queue.name, now_ms)

    def reset(self, queues: Sequence[Queue]) -> None:
        """Delete these queues of whatever account. All names are free at once, cooldowns or not."""
        for queue in queues:
            if not queue.deleted:
                self.delete_queue(queue)
        self.free_names()

    def free_names(self) -> None:
        """Forget which queues were deleted lately."""
        for name in self._tombstones:
            self.ledger.batch.delete_resource(TOMBSTONE_KIND, record_key(name))
        self._tombstones.clear()

    def purge_queue(self, queue: Queue) -> None:
        """Drop every message of a queue, visible, delayed or in flight. Raises PurgeQueueInProgress under cooldowns (a user's)."""
        if self.cooldowns and not queue.settings.internal and self._within_cooldown(queue.purged_at_ms):
            raise PurgeQueueInProgress(queue.name.name)
        self.ledger.reserve(1)
        queue.purged_at_ms = self.ledger.now_ms()
        queue.purge(self.ledger.next_sequence())
        self._record(queue)

    def dead_letter_sources(self, queue: Queue) -> list[QueueName]:
        """The queues whose redrive policy names this one, by name."""
        return sorted(self._sources.get(queue.name, ()))

    def queues(self) -> list[Queue]:
        return list(self.queues_by_name.values())

    def _shared(self, settings: QueueSettings) -> QueueSettings:
        if len(self._settings) >= _SHARED_MAX:
            self._settings.clear()
        return self._settings.setdefault(settings, settings)

    def _within_cooldown(self, since_ms: int) -> bool:
        return since_ms > 0 and self.ledger.now_ms() - since_ms < COOLDOWN_MS

    def _remember_deleted(self, name: QueueName, deleted_at_ms: int) -> None:
        self._tombstones[name] = deleted_at_ms
        self.deadlines.add(deleted_at_ms + COOLDOWN_MS, lambda: self._bury(name, deleted_at_ms))

    def _bury(self, name: QueueName, deleted_at_ms: int) -> None:
        if self._tombstones.get(name) == deleted_at_ms:
            del self._tombstones[name]
            self.ledger.batch.delete_resource(TOMBSTONE_KIND, record_key(name))

    def _enlist(self, queue: Queue) -> None:
        self.queues_by_name[queue.name] = queue
        self._names.setdefault((queue.name.account, queue.name.region), SortedList()).add(queue.name.name)
        self._link_source(queue)

    def _link_source(self, queue: Queue) -> None:
        if queue.settings.redrive is not None:
            self._sources.setdefault(queue.settings.redrive.dead_letter_queue, set()).add(queue.name)

    def _unlink_source(self, queue: Queue) -> None:
        if queue.settings.redrive is not None:
            sources = self._sources[queue.settings.redrive.dead_letter_queue]
            sources.discard(queue.name)
            if not sources:
                del self._sources[queue.settings.redrive.dead_letter_queue]

    def _record(self, queue: Queue) -> None:
        record = QueueRecord(
            queue.name,
            queue.number,
            queue.generation,
            queue.settings,
            queue.attributes,
            queue.tags,
            queue.created_at_ms,
            queue.modified_at_ms,
            queue.purged_at_ms,
        )
        self.ledger.batch.put_resource(QUEUE_KIND, record_key(queue.name), _encoder.encode(record))

    def _restore(self, record: QueueRecord, recovered: Recovered) -> None:
        kind = FifoQueue if record.settings.fifo else StandardQueue
        queue = kind(
            self.ledger,
            self.queues_by_name,
            record.number,
            record.generation,
            record.name,
            self._shared(record.settings),
            attributes=record.attributes,
            tags=record.tags,
            created_at_ms=record.created_at_ms,
        )
        queue.modified_at_ms = record.modified_at_ms
        queue.purged_at_ms = record.purged_at_ms
        if isinstance(queue, FifoQueue):
            queue.deduplication = Deduplication(queue.number, self.ledger, new=False)
        counters = recovered.counters.get(record.generation)
        if counters is None:
            queue.reset_windows(empty=True)
        else:
            queue.restore_counters(counters)
        self._enlist(queue)
