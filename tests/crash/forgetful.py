"""A broker whose store swallows one batch: acknowledged, and never written. The checker must notice."""

import sys

from broker.cli import main
from broker.store.batch import Batch
from broker.store.sqlite import SqliteStore

_FIRST_BATCH = 60
_MESSAGES_MIN = 5  # so that not all of them are consumed before the broker is killed
_commit = SqliteStore.commit
_forgotten: set[int] = set()  # the messages of the batch; what is later said of them is swallowed too


def _forget_one(store: SqliteStore, batch: Batch) -> None:
    if not _forgotten and batch.number >= _FIRST_BATCH and len(batch.messages) >= _MESSAGES_MIN:
        _forgotten.update(batch.messages)
        batch.messages.clear()
    for message_id in _forgotten:
        batch.leases.pop(message_id, None)
        batch.moves.pop(message_id, None)
    _commit(store, batch)


if __name__ == "__main__":
    SqliteStore.commit = _forget_one  # type: ignore[method-assign]
    main(sys.argv[1:])
