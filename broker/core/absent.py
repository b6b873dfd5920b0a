"""Rows that a call needs and memory does not hold.

A call that finds rows absent changes nothing and raises `Absent` with the reads that would bring them; whoever made the call
awaits them and calls again. The engine itself never waits: a read is a description, run by the services' pager.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from broker.core.message import Message
from broker.store.base import Store


class Read:
    """One read of the store on behalf of a queue. Whoever runs it calls `arrive` with the answer, or `fail`.

    It must see at least batch `needs_batch`: then every Change that concerns it, up to the moment it was asked for, is in its
    rows. Changes made while it is under way are kept in `overlay` (message id -> the message as it is now, None: gone) and win over
    its rows.
    """

    __slots__ = ("needs_batch", "fetch", "arrive", "fail", "overlay", "valid")

    def __init__(
        self,
        needs_batch: int,
        fetch: Callable[[Store], Awaitable[Any]],
        arrive: Callable[["Read", Any], None],
        fail: Callable[["Read"], None] = lambda _read: None,
    ) -> None:
        self.needs_batch = needs_batch
        self.fetch = fetch
        self.arrive = arrive
        self.fail = fail
        self.overlay: dict[int, Message | None] = {}
        self.valid = True  # False once it has arrived, or what it reads no longer matters (a purge, a reset)


class Absent(Exception):
    """The call changed nothing; it can be made again once these reads have arrived."""

    def __init__(self, *reads: Read) -> None:
        super().__init__(f"{len(reads)} reads")
        self.reads = reads


class Yield(Exception):
    """The call did a bounded part of its work and gives way; make it again."""
