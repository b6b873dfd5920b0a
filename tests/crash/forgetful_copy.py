"""A broker whose store swallows one queue's copies of what is published to the topic `news`. The checker must notice."""

import sys

from broker.cli import main
from broker.store.batch import Batch
from broker.store.sqlite import SqliteStore

_commit = SqliteStore.commit
_forgotten: set[int] = set()  # the copies; what is later said of them is swallowed too


def _forget_copies(store: SqliteStore, batch: Batch) -> None:
    copies = [row for row in batch.messages.values() if b"-news-" in row.body]
    first_queue = min((row.queue for row in copies), default=0)  # the endpoint's outbox is younger than the queues
    for row in copies:
        if row.queue == first_queue:
            _forgotten.add(row.id)
            del batch.messages[row.id]
    for message_id in _forgotten:
        batch.leases.pop(message_id, None)
    _commit(store, batch)


if __name__ == "__main__":
    SqliteStore.commit = _forget_copies  # type: ignore[method-assign]
    main(sys.argv[1:])
