"""What a consumer holds: messages kept invisible while they are worked on, then deleted or returned, ten to a request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from client.client import Client
from client.clock import Timer
from client.errors import CallFailed
from client.messages import BatchResult, Message

_log = logging.getLogger("pombo.consumer")
_ENTRIES_MAX: Final = 10
_HEARTBEATS: Final = 2  # within a visibility timeout

BatchCall = Callable[[list[str]], Awaitable[BatchResult[Any]]]


class Deletes:
    """Deletes what is done. A request leaves at once while none is under way; what is done meanwhile travels together."""

    def __init__(self, call: BatchCall) -> None:
        self._call = call
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    def delete(self, receipt_handle: str) -> "asyncio.Future[None]":
        """Done when the endpoint has answered. Raises CallFailed: the message may come back."""
        deleted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((receipt_handle, deleted))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._send)
        elif len(self._waiting) == _ENTRIES_MAX:
            self._send_some()
        return deleted

    async def finish(self) -> None:
        """Return when everything has been answered."""
        while self._waiting or self._under_way:
            self._send()
            await asyncio.wait(self._under_way)

    def _send(self) -> None:
        if self._waiting and not self._under_way:
            self._send_some()

    def _send_some(self) -> None:
        batch, self._waiting = self._waiting[:_ENTRIES_MAX], self._waiting[_ENTRIES_MAX:]
        self._under_way.add(asyncio.get_running_loop().create_task(self._deliver(batch)))

    async def _deliver(self, batch: Sequence[tuple[str, "asyncio.Future[None]"]]) -> None:
        failures: dict[int, CallFailed] = {}
        try:
            result = await self._call([handle for handle, _ in batch])
            failures = {int(failed.id): failed.error for failed in result.failed}
        except CallFailed as error:
            failures = dict.fromkeys(range(len(batch)), error)
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._under_way.discard(task)
            self._send()
        for index, (_, deleted) in enumerate(batch):
            if deleted.done():
                continue
            if index in failures:
                deleted.set_exception(failures[index])
                deleted.exception()  # whoever waits is told; nobody may, at the end
            else:
                deleted.set_result(None)


class Hold:
    """The messages of one receive. Their visibility timeout is set anew twice in its time until they are let go."""

    def __init__(self, client: Client, url: str, messages: Iterable[Message], visibility_timeout_s: int) -> None:
        self._client = client
        self._url = url
        self._handles = {message.message_id: message.receipt_handle for message in messages}
        self._visibility_timeout_s = visibility_timeout_s
        self._timer: Timer | None = None
        self._beating: asyncio.Task[None] | None = None
        self._schedule()

    def let_go(self, message: Message) -> None:
        """It is deleted, or to come back when its timeout ends."""
        self._forget(message.message_id)

    async def give_back(self, messages: Iterable[Message]) -> None:
        """Return those of these that are still held: they can be received at once."""
        if self._beating is not None:
            await asyncio.wait([self._beating])  # or its beat would hide them again
        held = [
            (message.message_id, message.receipt_handle) for message in messages if message.message_id in self._handles
        ]
        if held:
            await self._change(held, 0)
        for message_id, _ in held:
            self._forget(message_id)

    def _forget(self, message_id: str) -> None:
        self._handles.pop(message_id, None)
        if not self._handles and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        if self._handles and self._visibility_timeout_s > 0:
            every_s = self._visibility_timeout_s / _HEARTBEATS
            self._timer = self._client.clock.call_later(every_s, self._start_beat)

    def _start_beat(self) -> None:
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def _beat(self) -> None:
        await self._change(list(self._handles.items()), self._visibility_timeout_s)
        self._beating = None
        self._schedule()

    async def _change(self, held: list[tuple[str, str]], visibility_timeout_s: int) -> None:
        """What cannot be changed is another's by now, or will be when its timeout ends: said, and no reason to stop."""
        handles = [handle for _, handle in held]
        try:
            result = await self._client.change_visibility_batch(self._url, handles, visibility_timeout_s)
        except CallFailed as error:
            _log.warning("the visibility of %d messages could not be changed: %s", len(held), error)
            return
        for failed in result.failed:
            message_id, _ = held[int(failed.id)]
            if message_id in self._handles:  # else it has been deleted meanwhile
                _log.warning("the visibility of message %s could not be changed: %s", message_id, failed.error)
