"""Consecutive batches that are merged leave the same rows as one after the other."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from broker.store import schema
from broker.store.batch import Batch, merged
from broker.store.changes import LANE_LATER, CounterRow, MoveRow
from broker.store.entries import DIGEST_BYTES, entry_at
from broker.store.sent import Sent
from broker.store.sqlite_writer import Writer
from tests.core.dict_store import DictStore
from tests.store.conformance import lease, message

KINDS = ("send", "lease", "move", "delete", "count", "drop", "accept", "forget", "put", "unput", "time", "cut")


def history(steps: list[tuple[str, int]]) -> list[Batch]:
    """Batches as an engine might fill them: each id arrives once, and is not spoken of after it was deleted."""
    batches = [Batch(1)]
    alive: dict[int, int] = {}  # message -> its queue
    dropped: set[int] = set()  # generations that nothing is said of any more
    for at, (kind, n) in enumerate(steps, start=1):
        batch = batches[-1]
        if kind == "cut":
            batches.append(Batch(batch.number + 1))
        elif kind in ("send", "count", "drop") and n % 5 in dropped:
            continue
        elif kind == "send":
            alive[at] = n % 5
            batch.add_message(message(at, n % 5))
        elif kind == "count":
            batch.set_counters(CounterRow(n % 5, at, 0, 0, 0, 0, 0, False))
        elif kind == "drop":
            batch.drop_generation(n % 5)
            dropped.add(n % 5)
        elif kind == "accept":
            batch.add_deduplication(n % 3, b"%16d" % n, at, at, "id")
        elif kind == "forget":
            batch.forget_deduplication(n % 3, max(0, at - n))
        elif kind == "put":
            batch.put_resource("queue", str(n % 3), b"%d" % at)
        elif kind == "unput":
            batch.delete_resource("queue", str(n % 3))
        elif kind == "time":
            batch.message_time_ms = at
        elif alive:
            chosen = sorted(alive)[n % len(alive)]
            if kind == "lease":
                batch.set_lease(lease(chosen, at, alive[chosen]))
            elif kind == "move":
                source, alive[chosen] = alive[chosen], 5 + n % 3
                batch.move_message(MoveRow(chosen, alive[chosen], LANE_LATER, at, at, source))
            else:
                batch.delete_message(chosen, alive.pop(chosen))
    return batches


def state(batches: list[Batch]) -> dict[str, Any]:
    """What a store in plain dictionaries holds."""
    store = DictStore()
    for batch in batches:
        store.commit(batch)
    store.entries.sort(key=astuple)
    return {name: value for name, value in vars(store).items() if name != "past"}


def database(batches: list[Batch]) -> dict[str, list[Any]]:
    """Every row that a writer leaves, and what recovery reads of it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with closing(connection):
        schema.create(connection, b"s" * 32, schema.released_steps())
        writer = Writer(connection, ":memory:", Sent("."), synced=False, mindful=False)
        for batch in batches:
            writer.apply(batch)
        columns = {
            "message": "id, queue, lane, ord, grp, enqueued_at_ms, content",
            **dict.fromkeys(("body", "lease", "resource", "dropped", "forgotten"), "*"),
        }
        rows = {
            table: sorted(connection.execute(f"SELECT {names} FROM {table}").fetchall())
            for table, names in columns.items()
        }
        accepted = [
            entry_at(queue, digests, facts, place)
            for queue, digests, facts in connection.execute(
                "SELECT queue, digests, facts FROM accepted ORDER BY queue, last"
            )
            for place in range(len(digests) // DIGEST_BYTES)
        ]
        recovered = Writer(connection, ":memory:", Sent("."), synced=False, mindful=False).recover()
        return {
            **rows,
            "accepted": accepted,
            "recovered": [recovered.batch_number, recovered.message_time_ms, recovered.counters],
        }


@pytest.mark.parametrize("rows_of", [state, database])
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 40)), max_size=60), st.integers(1, 10))
def test_merged_batches_leave_the_same_rows(
    rows_of: Callable[[list[Batch]], dict[str, Any]], steps: list[tuple[str, int]], first: int
) -> None:
    batches = history(steps)
    expected = rows_of(batches)
    assert rows_of([merged(batches)]) == expected
    assert rows_of([merged(part) for part in (batches[:first], batches[first:]) if part]) == expected
    assert rows_of(batches) == expected  # merging changes none of them


def test_a_message_that_comes_and_goes_is_in_no_row() -> None:
    first, second, third = Batch(1), Batch(2), Batch(3)
    first.add_message(message(1))
    second.set_lease(lease(1, 5))
    third.delete_message(1, 1)
    whole = merged([first, second, third])
    assert (whole.messages, whole.leases, whole.deleted) == ({}, {}, {})
    assert (whole.number, first.messages) == (3, {1: message(1)})


def test_a_lease_follows_its_message() -> None:
    first, second = Batch(1), Batch(2)
    first.set_lease(lease(1, 5, queue=1))
    second.move_message(MoveRow(1, 2, LANE_LATER, 9, 9))
    assert merged([first, second]).leases == {1: lease(1, 5, queue=2)}
