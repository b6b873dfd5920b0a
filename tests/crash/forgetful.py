"""A broker whose store swallows one batch: acknowledged, and never written. The checker must notice."""

import sys

from broker.cli import main
from broker.store.changes import Batch
from broker.store.sqlite import SqliteStore

_LOST_BATCH = 100
_commit = SqliteStore.commit


def _forget_one(store: SqliteStore, batch: Batch) -> None:
    if batch.number == _LOST_BATCH:
        batch.messages.clear()
        batch.deleted.clear()
        batch.leases.clear()
    _commit(store, batch)


if __name__ == "__main__":
    SqliteStore.commit = _forget_one  # type: ignore[method-assign]
    main(sys.argv[1:])
