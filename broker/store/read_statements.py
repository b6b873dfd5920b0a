"""Every SQL statement that reads while the broker serves, by name, with a line on what it is for.

The plans matter as much as the results: `tests/store/test_plans.py` checks that no read sorts or scans what it need not. This
module knows the schema and nothing of connections or threads.
"""

import re
from functools import cache
from typing import Final

_NAME: Final = re.compile(r":([a-z_]+)")


@cache
def by_place(statement: str) -> tuple[str, tuple[str, ...]]:
    """The statement with its values by place, and which they are: Python's module lets go of the interpreter for every name."""
    names = tuple(dict.fromkeys(_NAME.findall(statement)))
    return _NAME.sub(lambda name: f"?{names.index(name[1]) + 1}", statement), names


# ---- Pages. Each is one statement, so one read transaction: it picks ids in the page's order, one more than may be wanted, and
# looks up what is to be known of each, one by one. Whoever reads stops at the row that fills the page, and nothing beyond it is
# looked up. (A part with a LIMIT is read in the order in which it is put together.)

# What every read answers beside its rows: the newest batch that it could see.
_NEWEST = "(SELECT max(number) AS batch_number FROM batch) AS newest"

_PAGE = """
SELECT newest.batch_number, m.id, m.queue, m.lane, m.ord, m.grp, m.enqueued_at_ms, l.id IS NOT NULL,
       coalesce(l.visible_at_ms, 0), coalesce(l.receive_count, 0), coalesce(l.first_received_at_ms, 0), l.source,
       {content}, {body}
FROM {newest}
LEFT JOIN ({picked}) AS p
LEFT JOIN message AS m ON m.id = p.id
LEFT JOIN lease AS l ON l.id = p.id
"""


def _with_content(picked: str) -> str:
    return (
        _PAGE.format(newest=_NEWEST, picked=picked, content="m.content", body="b.body")
        + "LEFT JOIN body AS b ON b.id = p.id"
    )


def _without_content(picked: str) -> str:
    return _PAGE.format(newest=_NEWEST, picked=picked, content="NULL", body="NULL")


# The same with all messages in one row: (newest batch, whether there is more, heads as JSON, all contents in one, all bodies in
# one, three times NULL). A thread that reads rows asks for the interpreter's lock after each, a thousand times a page, of an
# event loop that has better things to do. How large each is comes first, so that no more is put together than the page may hold;
# that touches neither overflow pages nor, for all but the page's own, any content.
_PACKED = """
SELECT newest.batch_number, count(*) FILTER (WHERE NOT p.fits) > 0,
       json_group_array(json_array(m.id, m.queue, m.lane, m.ord, m.grp, m.enqueued_at_ms,
           json(iif(l.id IS NULL, 'false', 'true')), coalesce(l.visible_at_ms, 0), coalesce(l.receive_count, 0),
           coalesce(l.first_received_at_ms, 0), l.source, iif(p.whole, length(m.content), NULL), length(b.body)))
           FILTER (WHERE p.fits),
       {contents}, {bodies}, NULL, NULL, NULL
FROM {newest}
LEFT JOIN (
    SELECT id, whole, at <= :limit AND (at = 1 OR size_through - size < :bytes_max) AS fits FROM (
        SELECT s.id, s.whole, s.size, row_number() OVER (ORDER BY s.place, s.id) AS at,
            sum(s.size) OVER (ORDER BY s.place, s.id ROWS UNBOUNDED PRECEDING) AS size_through
        FROM (
            SELECT found.id, {place} AS place, {whole} AS whole,
                iif({whole}, length(found.content) + coalesce(length(body.body), 0), 0) AS size
            FROM ({picked}) AS picked CROSS JOIN message AS found ON found.id = picked.id
            LEFT JOIN body ON body.id = iif({whole}, picked.id, NULL)
        ) AS s
    )
) AS p
LEFT JOIN message AS m ON m.id = p.id AND p.fits
LEFT JOIN lease AS l ON l.id = p.id AND p.fits
LEFT JOIN body AS b ON b.id = iif(p.fits AND p.whole, p.id, NULL)
"""

# What follows in blocks, one more than a page may have, which says that there is more. All in one row: (NULL, NULL, (id, how many
# messages, names of groups, segment and extents of what was sent) of each as JSON, heads, which messages were taken out, which
# group each is of, NULL, NULL). A second one keeps the statement from ending when that is read: until then nothing that it found
# can go. In a block order is id.
_FOUND_IN_BLOCKS = """
SELECT NULL, NULL, json_group_array(json_array(id, length(taken), json(group_names), segment, json(extents))),
    {heads}, {taken}, {members}, NULL, NULL
FROM ({blocks})
UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
"""
_BLOCKS = """
    SELECT k.id, k.heads, k.taken, k.group_names, k.members, k.segment, k.extents FROM block AS k INDEXED BY block_place
    WHERE k.queue = :queue AND {condition} ORDER BY k.last LIMIT :blocks_max + 1
"""

# Where the blocks of a page end at the latest. Rows beyond it are not looked at: few of them may lie among many blocks.
_REACH = """coalesce((
    SELECT k.last FROM block AS k INDEXED BY block_place
    WHERE k.queue = :queue AND {condition} ORDER BY k.last LIMIT 1 OFFSET :blocks_max
), 9223372036854775807)"""
_BEYOND = "k.last > :after"
_REACH_BEYOND = _REACH.format(condition=_BEYOND)


def _joined(column: str) -> str:
    return f"CAST(group_concat(CAST({column} AS TEXT), '') AS BLOB)"


def _packed(picked: str, *, place: str = "found.ord", whole: str = "TRUE") -> str:
    """`place`: what the page is in the order of. `whole`: of which messages it has the content."""
    return _PACKED.format(
        newest=_NEWEST,
        picked=picked,
        place=place,
        whole=whole,
        contents=_joined("iif(p.whole, m.content, NULL)"),
        bodies=_joined("b.body"),
    )


def _found_in(blocks: str) -> str:
    columns = {name: _joined(name) for name in ("heads", "taken", "members")}
    return _FOUND_IN_BLOCKS.format(blocks=blocks, **columns)


def _with_blocks(picked: str, condition: str, *, place: str = "found.ord", content: bool = True) -> str:
    """A page of messages that have rows of their own, and the blocks that a condition names."""
    blocks = _found_in(_BLOCKS.format(condition=condition))
    return f"{_packed(picked, place=place, whole=str(content).upper())} UNION ALL {blocks}"


# What was sent of some blocks, one after the other: their ids as JSON, contents, bodies.
CONTENTS: Final = (
    f"SELECT json_group_array(c.id), {_joined('c.contents')}, {_joined('c.bodies')}"
    " FROM json_each(?) AS wanted CROSS JOIN block_content AS c ON c.id = wanted.value"
)


_UNLEASED = " AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.id = m.id)"
# SQLite builds the list once and looks each row's group up in it; both conditions are read off the index.
_NOT_SKIPPED = " AND (m.grp IS NULL OR m.grp NOT IN (SELECT value FROM json_each(:skip_groups)))"
_ONE_NOT_SKIPPED = " AND m.grp IS NOT :skip_group"
# The same of blocks in which something else waits (a name that is 0 says that nothing of a group does).
_BLOCK_NOT_SKIPPED = """ AND (k.group_names IS NULL OR EXISTS (
    SELECT 1 FROM json_each(k.group_names) AS name
    WHERE name.type <> 'integer' AND (name.value IS NULL OR {})
))"""


def _scan(rows: str, blocks: str) -> str:
    """`rows`, `blocks`: which of them are not passed over."""
    reach = _REACH.format(condition=_BEYOND + blocks)
    return _with_blocks(
        "SELECT m.id FROM message AS m INDEXED BY message_place"
        f" WHERE m.queue = :queue AND m.lane = 0 AND m.ord > :after AND m.ord <= {reach}{rows}"
        " ORDER BY m.ord LIMIT :limit + 1",
        _BEYOND + blocks,
    )


# By (number of groups skipped: 0, 1 or 2 for more; unleased): in the order of the queue.
SCAN: Final = {
    (skipped, unleased): _scan(rows + (_UNLEASED if unleased else ""), blocks)
    for skipped, (rows, blocks) in enumerate(
        (
            ("", ""),
            (_ONE_NOT_SKIPPED, _BLOCK_NOT_SKIPPED.format("name.value <> :skip_group")),
            (_NOT_SKIPPED, _BLOCK_NOT_SKIPPED.format("name.value NOT IN (SELECT value FROM json_each(:skip_groups))")),
        )
    )
    for unleased in (False, True)
}


# From the stretch of the next message on, whatever its group, to the last that holds grouped ones. Each is found as it is needed.
_STRETCHES = """
WITH RECURSIVE stretch (n) AS (
    SELECT (SELECT stretch FROM message INDEXED BY message_place
        WHERE queue = :queue AND lane = 0 AND ord > :after ORDER BY ord LIMIT 1)
    UNION ALL
    SELECT (SELECT next.stretch FROM message AS next INDEXED BY message_group
        WHERE next.queue = :queue AND next.stretch > stretch.n AND next.grp IS NOT NULL AND next.lane = 0
        ORDER BY next.stretch LIMIT 1)
    FROM stretch WHERE stretch.n IS NOT NULL
)
"""


# The same of stretches with blocks, and of these the blocks in which the group waits.
_GROUP_BLOCKS = _found_in("""
    WITH RECURSIVE stretch (n) AS (
        SELECT (SELECT stretch FROM block INDEXED BY block_place
            WHERE queue = :queue AND last > :after ORDER BY last LIMIT 1)
        UNION ALL
        SELECT (SELECT next.stretch FROM block_group AS next
            WHERE next.queue = :queue AND next.stretch > stretch.n ORDER BY next.stretch LIMIT 1)
        FROM stretch WHERE stretch.n IS NOT NULL
    )
    SELECT k.id, k.heads, k.taken, k.group_names, k.members, k.segment, k.extents
    FROM stretch
    CROSS JOIN block_group AS g ON g.queue = :queue AND g.stretch = stretch.n AND g.grp = :group
    CROSS JOIN block AS k INDEXED BY block_stretch ON k.queue = :queue AND k.stretch = g.stretch
        AND k.last > :after AND k.group_names IS NOT NULL
    WHERE EXISTS (SELECT 1 FROM json_each(k.group_names) AS name WHERE name.value = :group)
    LIMIT :blocks_max + 1
""")


def _group(conditions: str) -> str:
    # Stretches come in their order, and so do the messages of each: nothing is left to be sorted.
    rows = _packed(
        f"{_STRETCHES} SELECT m.id FROM stretch CROSS JOIN message AS m INDEXED BY message_group"
        " WHERE m.queue = :queue AND m.stretch = stretch.n AND m.grp = :group AND m.lane = 0 AND m.ord > :after"
        f"{conditions} LIMIT :limit + 1"
    )
    return f"{rows} UNION ALL {_GROUP_BLOCKS}"


# By unleased: one message group in the order of the queue.
GROUP: Final = {False: _group(""), True: _group(_UNLEASED)}

# Leases in the order in which they end; contents of those that end in time. In two parts, because SQLite would seek by the
# time alone, and a million messages may have been delayed to the same millisecond.
TIMED: Final = _packed(
    "SELECT m.id, m.visible_at_ms FROM ("
    + " UNION ALL ".join(
        "SELECT * FROM (SELECT id, visible_at_ms FROM lease INDEXED BY lease_due"
        f" WHERE queue = :queue AND {condition} ORDER BY visible_at_ms, id LIMIT :limit + 1)"
        for condition in ("visible_at_ms = :after_ms AND id > :after_id", "visible_at_ms > :after_ms")
    )
    + ") AS m ORDER BY m.visible_at_ms, m.id LIMIT :limit + 1",
    place="picked.visible_at_ms",
    whole="picked.visible_at_ms <= :content_until_ms",
)

_ENDING = (
    "FROM lease AS l INDEXED BY lease_due {join}"
    " WHERE l.queue = :queue AND l.visible_at_ms > :after_ms AND l.visible_at_ms <= :until_ms"
)

# By whether to tell the groups apart: leases that end in a span of time, as received and never received. Without groups it
# stays in the index; with them it looks each message up.
COUNT_TIMED: Final = {
    False: (
        f"SELECT newest.batch_number, 1, NULL, c.received, c.waiting FROM {_NEWEST} CROSS JOIN"
        " (SELECT count(*) FILTER (WHERE l.receive_count > 0) AS received,"
        f" count(*) FILTER (WHERE l.receive_count = 0) AS waiting {_ENDING.format(join='')}) AS c"
    ),
    True: (
        f"SELECT newest.batch_number, c.received IS NOT NULL, c.grp, c.received, c.waiting FROM {_NEWEST} LEFT JOIN"
        " (SELECT m.grp, count(*) FILTER (WHERE l.receive_count > 0) AS received,"
        " count(*) FILTER (WHERE l.receive_count = 0) AS waiting"
        f" {_ENDING.format(join='CROSS JOIN message AS m ON m.id = l.id')} GROUP BY m.grp) AS c"
    ),
}

# Received and not yet visible again, by id. Sorts, but keeps no more than the page while it does.
IN_FLIGHT: Final = _without_content(
    "SELECT m.id FROM lease AS m INDEXED BY lease_due"
    " WHERE m.queue = :queue AND m.visible_at_ms > :now_ms AND m.id > :after_id AND m.receive_count > 0"
    " ORDER BY m.id LIMIT :limit + 1"
)

_IDS = "SELECT m.id FROM message AS m WHERE m.id IN (SELECT value FROM json_each(:ids)) ORDER BY m.id LIMIT :limit + 1"

# By content: these messages, wherever they are.
MESSAGES: Final = {False: _without_content(_IDS), True: _with_content(_IDS)}

# The front of a lane.
OLDEST: Final = _with_blocks(
    "SELECT m.id FROM message AS m INDEXED BY message_place"
    f" WHERE m.queue = :queue AND m.lane = :lane AND m.ord <= iif(:lane = 0, {_REACH_BEYOND}, 9223372036854775807)"
    " ORDER BY m.ord LIMIT :limit + 1",
    f"{_BEYOND} AND :lane = 0",
    content=False,
)

# A queue by id: in each lane order is id, but for the few messages that message_renumbered lists.
LOOK: Final = _with_blocks(
    "SELECT m.id FROM ("
    + " UNION ALL ".join(
        f"SELECT * FROM (SELECT id FROM message INDEXED BY {index} WHERE {condition} ORDER BY {key} LIMIT :limit + 1)"
        for index, condition, key in (
            ("message_place", "queue = :queue AND lane = 0 AND ord > :after AND ord = id", "ord"),
            ("message_place", "queue = :queue AND lane = 1 AND ord > :after AND ord = id", "ord"),
            ("message_renumbered", "queue = :queue AND ord <> id AND id > :after", "id"),
        )
    )
    + f") AS m WHERE m.id <= {_REACH_BEYOND} ORDER BY m.id LIMIT :limit + 1",
    _BEYOND,
    place="found.id",
)

# In LANE_READY time grows with order: walk back from the newest to the first that is too old, and count from there.
# `ntile` gives each time a run of its own while they are few, and shares the runs out evenly when they are many.
# Blocks follow, from the newest on: (NULL, NULL, NULL, heads, which messages were taken out).
NEWEST_ARRIVALS: Final = (
    f"""
SELECT newest.batch_number, max(arrived.enqueued_at_ms), sum(arrived.how_many), NULL, NULL FROM {_NEWEST} LEFT JOIN (
    SELECT m.enqueued_at_ms, count(*) AS how_many, ntile(:runs_max) OVER (ORDER BY m.enqueued_at_ms) AS run
    FROM message AS m INDEXED BY message_place
    WHERE m.queue = :queue AND m.lane = 0 AND m.ord > coalesce((
        SELECT old.ord FROM message AS old INDEXED BY message_place
        WHERE old.queue = :queue AND old.lane = 0 AND old.enqueued_at_ms <= :since_ms ORDER BY old.ord DESC LIMIT 1
    ), 0)"""
    + _UNLEASED
    + """ GROUP BY m.enqueued_at_ms) AS arrived GROUP BY arrived.run
UNION ALL SELECT * FROM (
    SELECT NULL, NULL, NULL, k.heads, k.taken FROM block AS k INDEXED BY block_place
    WHERE k.queue = :queue ORDER BY k.last DESC LIMIT -1
)"""
)

# The rows of entries that belong to spans of acceptance and may hold one of the digests: what is found may begin in the middle of
# one. The digests come as one blob, 16 bytes each.
DEDUPLICATION: Final = """
WITH RECURSIVE wanted (at, digest) AS MATERIALIZED (
    SELECT 0, substr(:digests, 1, 16)
    UNION ALL
    SELECT at + 1, substr(:digests, 16 * at + 17, 16) FROM wanted WHERE at + 1 < :count
)
SELECT a.digests, a.facts
FROM json_each(:spans) AS span CROSS JOIN accepted AS a
ON a.queue = :queue AND a.last >= json_extract(span.value, '$[0]') AND a.last <= coalesce((
    SELECT b.last FROM accepted AS b WHERE b.queue = :queue AND b.last >= json_extract(span.value, '$[1]')
    ORDER BY b.last LIMIT 1
), json_extract(span.value, '$[1]'))
WHERE a.newest_ms > :since_ms AND EXISTS (SELECT 1 FROM wanted WHERE instr(a.digests, wanted.digest))
"""

# Rows of entries from the newest to the oldest.
ACCEPTED: Final = """
SELECT first, last, newest_ms, digests FROM accepted WHERE queue = :queue AND last < :below_order ORDER BY last DESC
"""
