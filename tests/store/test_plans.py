"""How SQLite runs the reads: off the right index, never sorting or scanning a whole queue to answer with one page."""

import re
import sqlite3
from collections.abc import Iterator
from typing import Final

import orjson
import pytest

from broker.store import read_statements as sql
from broker.store import schema
from broker.store import statements as write_sql

PAGES: Final = {
    **{f"SCAN {key}": text for key, text in sql.SCAN.items()},
    **{f"GROUP {key}": text for key, text in sql.GROUP.items()},
    **{f"MESSAGES {key}": text for key, text in sql.MESSAGES.items()},
    "TIMED": sql.TIMED,
    "IN_FLIGHT": sql.IN_FLIGHT,
    "OLDEST": sql.OLDEST,
    "LOOK": sql.LOOK,
    **{f"COUNT_TIMED {key}": text for key, text in sql.COUNT_TIMED.items()},
    "NEWEST_ARRIVALS": sql.NEWEST_ARRIVALS,
    "DEDUPLICATION": sql.DEDUPLICATION,
    "ACCEPTED": sql.ACCEPTED,
}
# What may be scanned: the one number of the newest batch, and the rows of the page itself.
SCANNED_FREELY: Final = re.compile(
    r"SCAN (newest|found|p|stretch|wanted|span|c|arrived|m|name|json_each|2-ITEM|CONSTANT|\(?subquery)"
)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.create(connection, b"s" * 32, schema.released_steps())
    yield connection
    connection.close()


def plan(database: sqlite3.Connection, statement: str) -> list[str]:
    names = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
    return [str(row[3]) for row in database.execute("EXPLAIN QUERY PLAN " + statement, names)]


@pytest.mark.parametrize("name", PAGES)
def test_no_read_scans_a_table(database: sqlite3.Connection, name: str) -> None:
    for step in plan(database, PAGES[name]):
        assert not step.startswith("SCAN") or SCANNED_FREELY.match(step), step
        assert "AUTOMATIC" not in step, step


@pytest.mark.parametrize("key", list(sql.SCAN))
def test_a_scan_passes_over_rows_in_the_index(database: sqlite3.Connection, key: tuple[int, bool]) -> None:
    steps = plan(database, sql.SCAN[key])
    assert "SEARCH m USING COVERING INDEX message_place (queue=? AND lane=? AND ord>? AND ord<?)" in steps
    assert "SEARCH k USING INDEX block_place (queue=? AND last>?)" in steps


def test_the_oldest_are_looked_for_as_far_as_blocks_reach(database: sqlite3.Connection) -> None:
    assert "SEARCH m USING COVERING INDEX message_place (queue=? AND lane=? AND ord<?)" in plan(database, sql.OLDEST)


@pytest.mark.parametrize("unleased", [False, True])
def test_a_group_is_read_off_its_index(database: sqlite3.Connection, unleased: bool) -> None:
    steps = plan(database, sql.GROUP[unleased])
    assert "SEARCH m USING COVERING INDEX message_group (queue=? AND stretch=? AND grp=? AND ord>?)" in steps
    assert "SEARCH g USING PRIMARY KEY (queue=? AND stretch=? AND grp=?)" in steps
    assert "SEARCH k USING INDEX block_stretch (queue=? AND stretch=? AND last>?)" in steps


def test_timed_reads_seek_to_their_place(database: sqlite3.Connection) -> None:
    steps = plan(database, sql.TIMED)
    assert "SEARCH lease USING COVERING INDEX lease_due (queue=? AND visible_at_ms=? AND id>?)" in steps
    assert "SEARCH lease USING COVERING INDEX lease_due (queue=? AND visible_at_ms>?)" in steps


def test_counting_leases_stays_in_the_index(database: sqlite3.Connection) -> None:
    steps = plan(database, sql.COUNT_TIMED[False])
    assert "SEARCH l USING COVERING INDEX lease_due (queue=? AND visible_at_ms>? AND visible_at_ms<?)" in steps


def test_deduplication_looks_each_digest_up(database: sqlite3.Connection) -> None:
    steps = plan(database, sql.DEDUPLICATION)
    assert "SEARCH a USING INDEX accepted_place (queue=? AND last>? AND last<?)" in steps


@pytest.mark.parametrize(
    "name", ["OLDEST", *(f"SCAN {key}" for key in sql.SCAN), *(f"GROUP {key}" for key in sql.GROUP)]
)
def test_rows_are_picked_in_the_order_of_the_index(database: sqlite3.Connection, name: str) -> None:
    """The only sort is that of the picked rows, a page's worth, for the running sum of their sizes."""
    assert sum("TEMP B-TREE" in step for step in plan(database, PAGES[name])) == 1


def test_skipped_rows_never_look_for_a_lease(database: sqlite3.Connection) -> None:
    """A million messages of one skipped group in front: the lease look-up is for what is left of them."""
    database.execute(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000)"
        " INSERT INTO message SELECT n, 1, 0, n, 1, 'noisy', n, x'' FROM n"
    )
    database.execute("INSERT INTO message VALUES (5000, 1, 0, 5000, 1, 'quiet', 1, x'')")
    database.execute("INSERT INTO body SELECT id, x'' FROM message")
    looked: list[int] = []
    database.create_function("looked", 1, looked.append)
    values = {"queue": 1, "after": 0, "limit": 10, "bytes_max": 1000, "blocks_max": 9}
    for key, skipped in ((1, {"skip_group": "noisy"}), (2, {"skip_groups": '["noisy","other"]'})):
        looked.clear()
        statement = sql.SCAN[key, True].replace("lease.id = m.id)", "lease.id = coalesce(looked(m.id), m.id))")
        found = database.execute(statement, {**values, **skipped}).fetchall()
        assert [head[0] for head in orjson.loads(found[0][2])] == [5000]
        assert set(looked) == {5000}


@pytest.mark.parametrize("table", ["message", "body", "lease", "counters"])
def test_rows_are_deleted_by_their_keys(database: sqlite3.Connection, table: str) -> None:
    text: str = getattr(write_sql, f"DELETE_{table.upper()}")
    steps = [str(row[3]) for row in database.execute("EXPLAIN QUERY PLAN " + text, ["[1]"])]
    assert f"SEARCH {table} USING INTEGER PRIMARY KEY (rowid=?)" in steps
    assert f"SCAN {table}" not in steps


@pytest.mark.parametrize("size", [s for s in write_sql.ROWS_PER_STATEMENT if s <= write_sql.DELETE_RESOURCE.rows_max])
def test_resources_are_deleted_without_looking_at_the_others(database: sqlite3.Connection, size: int) -> None:
    _, text = write_sql.DELETE_RESOURCE.sized(size)
    steps = [str(row[3]) for row in database.execute("EXPLAIN QUERY PLAN " + text, [None] * 2 * size)]
    assert steps.count("SEARCH resource USING PRIMARY KEY (kind=? AND key=?)") == size
    assert not any(step.startswith("SCAN") for step in steps)
