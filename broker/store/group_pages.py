"""Pages of one message group: messages that have rows of their own, and those in blocks, in which they lie among those of others.

Who reads one group of a queue reads the others, too, and each finds something in the same blocks. So what was sent is kept for a
while in the thread that reads, block by block. What waits in a block is the database's to say.
"""

import sqlite3
from collections import OrderedDict
from typing import Final

from broker.store.blocks import Opened, only
from broker.store.new_blocks import GroupNames
from broker.store.pages import BlocksPageCursor, InBlock, read_contents
from broker.store.sent import Sent

OPENED_MAX: Final = 64  # of up to 64 KB


class OpenedBlocks:
    """Those that were read last, by their ids, which are never used again."""

    def __init__(self) -> None:
        self._opened: OrderedDict[int, Opened] = OrderedDict()

    def find(self, connection: sqlite3.Connection, sent: Sent, blocks: list[InBlock]) -> list[Opened]:
        """These blocks. ValueError: the database has none of an id.

        One that never held other groups is kept only if the page may end in it.
        """
        kept = self._opened
        missing = [block for block in blocks if block.id not in kept]
        placed = read_contents(connection, sent, missing)
        read = {block.id: Opened(block.heads, *where) for block, where in zip(missing, placed, strict=True)}
        found = [read.get(block.id) or kept[block.id] for block in blocks]
        for block, opened in zip(blocks, found, strict=True):
            if block.id not in read:
                kept.move_to_end(block.id)
            elif block is blocks[-1] or (block.names is not None and len(block.names) > 1):
                opened.let_go()
                kept[block.id] = opened
        while len(kept) > OPENED_MAX:
            kept.popitem(last=False)
        return found


class GroupPageCursor(BlocksPageCursor):
    """Makes a Page of the statement for one message group. Its `opened` is an OpenedBlocks of the connection's."""

    def passed(self, taken: bytes, names: GroupNames, members: bytes) -> bytes:
        return only(taken, names, members, self.values["group"])

    def opened(self, blocks: list[InBlock]) -> list[Opened]:
        found: list[Opened] = self.values["opened"].find(self.connection, self.sent, blocks)
        return found
