"""Pages of one message group: messages that have rows of their own, and those in blocks, in which they lie among those of others.

Who reads one group of a queue reads the others, too, and each finds something in the same blocks. So what was sent is kept for a
while in the thread that reads, block by block. What waits in a block is the database's to say.
"""

import sqlite3
from collections import OrderedDict
from operator import attrgetter
from typing import Any, Final

import msgspec
import orjson

from broker.store import read_statements as sql
from broker.store.base import Page
from broker.store.blocks import HEAD_BYTES, GroupNames, Opened, last_id, only
from broker.store.pages import Cursor, InBlocks, unpacked

OPENED_MAX: Final = 64  # of up to 64 KB
_PLACES: Final = msgspec.json.Decoder(list[tuple[int, int, GroupNames]])
_place_of: Final = attrgetter("order")


class OpenedBlocks:
    """Those that were read last, by their ids, which are never used again."""

    def __init__(self) -> None:
        self._opened: OrderedDict[int, Opened] = OrderedDict()

    def find(self, connection: sqlite3.Connection, heads_of: dict[int, bytes]) -> list[Opened]:
        """These blocks. ValueError: the database has none of an id."""
        opened = self._opened
        if missing := [block_id for block_id in heads_of if block_id not in opened]:
            for block_id, contents, bodies in connection.execute(sql.CONTENT_OF_BLOCKS, (orjson.dumps(missing),)):
                opened[block_id] = Opened(heads_of[block_id], contents, bodies)
        found: list[Opened] = []
        for block_id in heads_of:
            if block_id not in opened:
                raise ValueError(f"the database is damaged: block {block_id} has no content")
            opened.move_to_end(block_id)
            found.append(opened[block_id])
        while len(opened) > OPENED_MAX:
            opened.popitem(last=False)
        return found


class GroupPageCursor(Cursor):
    """Makes a Page of the statement for one message group. `opened` is an OpenedBlocks of the connection's."""

    def fetchall(self) -> list[Any]:
        limit, bytes_max, queue, after = (self.values[name] for name in ("limit", "bytes_max", "queue", "after"))
        batch_number, more, heads, contents, bodies, *_ = next(self)
        rows = unpacked(heads, contents, bodies)
        _, _, places, *columns = next(self)
        all_heads, all_taken, all_members = (column or b"" for column in columns[:3])
        found = InBlocks()
        chosen: list[tuple[int, bytes, GroupNames, bytes]] = []
        heads_of: dict[int, bytes] = {}
        at = count = 0
        for block_id, messages, names in _PLACES.decode(places):
            begin, at = at, at + messages
            members = all_members[begin:at]
            taken = only(all_taken[begin:at], names, members, self.values["group"])
            heads_of[block_id] = heads = all_heads[begin * HEAD_BYTES : at * HEAD_BYTES]
            chosen.append((last_id(heads), taken, names, members))
            count += taken.count(0) if block_id > after else 0
            full = count >= limit or len(chosen) == self.values["blocks_max"]
            if full or (more and last_id(heads) >= rows[-1].order):
                break
        # The statement is not at its end: what it found there is still there.
        for opened, (read_to, taken, names, members) in zip(
            self.values["opened"].find(self.connection, heads_of), chosen, strict=True
        ):
            found.add(opened.waiting(queue, after, taken, names, members), read_to)
        found.more = at < len(all_taken)
        self.close()
        return [Page(batch_number, *found.merged(rows, bool(more), limit, bytes_max, _place_of))]
