"""A broker whose store swallows one queue's copies of what was published to the topic `news`. The checker must notice."""

import sys
from collections import defaultdict

from broker.cli import main
from broker.store.changes import Batch
from broker.store.sqlite import SqliteStore

_FIRST_BATCH = 30
_commit = SqliteStore.commit
_forgotten: set[int] = set()  # the copies; what is later said of them is swallowed too


def _forget_copies(store: SqliteStore, batch: Batch) -> None:
    if not _forgotten and batch.number >= _FIRST_BATCH:
        copies: dict[int, set[int]] = defaultdict(set)
        for message_id, row in batch.messages.items():
            if b"-news-" in row.body:
                copies[row.queue].add(message_id)
        if copies:
            _forgotten.update(copies[min(copies)])  # the first queue; the endpoint's outbox is the youngest
            for message_id in _forgotten:
                del batch.messages[message_id]
    for message_id in _forgotten:
        batch.leases.pop(message_id, None)
    _commit(store, batch)


if __name__ == "__main__":
    SqliteStore.commit = _forget_copies  # type: ignore[method-assign]
    main(sys.argv[1:])
