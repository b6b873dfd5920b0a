"""Consuming a queue in one's own process: long polls, handlers beside each other, heartbeats, deletes, an orderly end.

A message is deleted after its handler has returned, and only then. One whose handler failed comes back when its visibility
timeout ends, as with Lambda; after `maxReceiveCount` receives the queue's dead-letter queue has it. So a message is handled at
least once.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from client.client import Client
from client.errors import AwsError, CallFailed, ConnectionFailed, DigestMismatch
from client.events import Context, failed_ids, sqs_event
from client.holding import Deletes, Hold
from client.messages import Message

_log = logging.getLogger("pombo.consumer")
_RECEIVED_MAX: Final = 10  # by one request
_POLLS_MAX: Final = 4  # side by side
_ANSWER_S: Final = 0.25  # for receives under way to answer at the end
_BACK_OFF_S: Final = 1.0
_BACK_OFF_MAX_S: Final = 20.0


class Failure(NamedTuple):
    """Messages that come back, and why."""

    messages: list[Message]
    error: BaseException


class BatchItemFailures(Exception):
    """The handler's answer calls these messages failed."""


def log_failure(failure: Failure) -> None:
    """What a consumer does about a failure unless told otherwise."""
    ids = ", ".join(message.message_id for message in failure.messages)
    _log.error("not processed: %s", ids, exc_info=failure.error)


class Consumer:
    """Receives from `queue` (name, ARN or URL) and calls `handler`, a function or a coroutine function.

    The handler gets Lambda's (event, context), or, `per_message`, one client.messages.Message at a time; a plain function runs in
    a thread. `batch_size`: 1-10 messages. `concurrency`: handlers at once. Messages of one group of a FIFO queue are handled one
    after the other; when one fails, those received behind it are left to come back behind it. `report_batch_item_failures`: the
    handler's answer names those that failed, as Lambda's ReportBatchItemFailures. `visibility_timeout_s`: else the queue's; it is
    renewed while a handler runs. `stop_within_s`: how long handlers may still run after `stop`; what they leave is returned to
    the queue. `on_failure` is told of every message that comes back.
    """

    def __init__(
        self,
        client: Client,
        queue: str,
        handler: Callable[..., Any],
        *,
        per_message: bool = False,
        batch_size: int = 10,
        concurrency: int = 8,
        report_batch_item_failures: bool = False,
        visibility_timeout_s: int | None = None,
        wait_time_s: int = 20,
        stop_within_s: float = 30.0,
        on_failure: Callable[[Failure], None] = log_failure,
    ) -> None:
        if not 1 <= batch_size <= _RECEIVED_MAX:
            raise ValueError(f"batch_size is {batch_size}; expected 1 to {_RECEIVED_MAX}")
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}; expected at least 1")
        self._client = client
        self._queue = queue
        self._handler = handler
        self._name = getattr(handler, "__name__", type(handler).__name__)
        self._is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
            getattr(handler, "__call__", None)  # noqa: B004 - of an object that is called
        )
        self._per_message = per_message
        self._batch_size = batch_size
        self._concurrency = concurrency
        self._reports = report_batch_item_failures
        self._visibility_timeout_s = visibility_timeout_s
        self._wait_time_s = wait_time_s
        self._stop_within_s = stop_within_s
        self._on_failure = on_failure
        self._url = self._arn = ""
        self._hidden_s = 0
        self._fifo = False
        self._deletes = Deletes(lambda handles: client.delete_batch(self._url, handles))
        self._threads: ThreadPoolExecutor | None = None
        self._jobs: set[asyncio.Task[None]] = set()  # one for a call of the handler; for a group, one after the other
        self._receiving: set[asyncio.Task[None]] = set()
        self._asked = 0  # jobs that receives under way may become
        self._free = asyncio.Event()
        self._stopping = asyncio.Event()
        self._at_once = asyncio.Event()

    def stop(self) -> None:
        """Receive no more; `run` returns when the handlers that run have ended, or their time is over."""
        self._stopping.set()

    def stop_now(self) -> None:
        """Stop without waiting for handlers: coroutines are cancelled, and what is held is returned."""
        self._stopping.set()
        self._at_once.set()

    async def run(self) -> None:
        """Consume until `stop`. Raises CallFailed where the queue cannot be asked, or not any more (QueueDoesNotExist)."""
        self._url = await self._client.queue_url(self._queue)
        attributes = await self._client.queue_attributes(self._url, "QueueArn", "VisibilityTimeout")
        self._arn = attributes["QueueArn"]
        self._fifo = self._arn.endswith(".fifo")
        queues_s = int(attributes["VisibilityTimeout"])
        self._hidden_s = queues_s if self._visibility_timeout_s is None else self._visibility_timeout_s
        if not self._is_async:
            self._threads = ThreadPoolExecutor(self._concurrency, thread_name_prefix="pombo-handler")
        polls = [asyncio.create_task(self._poll()) for _ in range(min(_POLLS_MAX, self._concurrency))]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait([stopping, *polls], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            await self._await_answers()
            for task in (stopping, *polls):
                task.cancel()
            await asyncio.gather(stopping, *polls, return_exceptions=True)
            await self._end_jobs()
            await self._deletes.finish()
            if self._threads is not None:
                self._threads.shutdown(wait=False, cancel_futures=True)
        for poll in done - {stopping}:
            poll.result()  # raises why it ended

    # Receiving

    async def _await_answers(self) -> None:
        """A receive that is given up now may have taken messages already: a moment for its answer, then they are returned."""
        if self._receiving and not self._at_once.is_set():
            over = [
                asyncio.create_task(self._at_once.wait()),
                asyncio.create_task(self._client.clock.sleep(_ANSWER_S)),
            ]
            answered = asyncio.ensure_future(asyncio.wait(self._receiving))
            await asyncio.wait([answered, *over], return_when=asyncio.FIRST_COMPLETED)
            for task in (answered, *over):
                task.cancel()
            await asyncio.gather(answered, *over, return_exceptions=True)

    async def _poll(self) -> None:
        """Receive as long as handlers are free. What cannot be received now is tried again, after a wait that doubles."""
        back_off_s = _BACK_OFF_S
        task = asyncio.current_task()
        assert task is not None
        while not self._stopping.is_set():
            wanted = await self._until_free()
            self._asked += wanted if self._per_message else 1
            self._receiving.add(task)
            try:
                messages = await self._client.receive(
                    self._url,
                    wanted,
                    wait_time_s=self._wait_time_s,
                    visibility_timeout_s=self._visibility_timeout_s,
                    # A FIFO receive whose answer is lost is repeated, and brings the same messages.
                    attempt_id=self._client.clock.token() if self._fifo else None,
                )
                if self._stopping.is_set():
                    await Hold(self._client, self._url, messages, 0).give_back(messages)
                    return
                self._take(messages)
                back_off_s = _BACK_OFF_S
                continue
            except (ConnectionFailed, DigestMismatch, AwsError) as error:
                if isinstance(error, AwsError) and not error.transient:
                    raise
                _log.warning("receiving again after a wait: %s", error)
            finally:
                self._receiving.discard(task)
                self._asked -= wanted if self._per_message else 1
                self._free.set()
            await self._client.clock.sleep(self._client.clock.jitter(back_off_s))
            back_off_s = min(back_off_s * 2, _BACK_OFF_MAX_S)

    async def _until_free(self) -> int:
        """How many messages to ask for, as soon as a handler is free for them."""
        while (free := self._concurrency - len(self._jobs) - self._asked) <= 0:
            self._free.clear()
            await self._free.wait()
        return min(self._batch_size, free) if self._per_message else self._batch_size

    def _take(self, messages: list[Message]) -> None:
        if not messages:
            return
        hold = Hold(self._client, self._url, messages, self._hidden_s)
        for part in self._parts(messages):
            job = asyncio.create_task(self._work(part, hold))
            self._jobs.add(job)
            job.add_done_callback(self._ended)

    def _parts(self, messages: list[Message]) -> list[list[Message]]:
        """Those that are handled one after the other, together."""
        if not self._per_message:
            return [messages]
        if not self._fifo:
            return [[message] for message in messages]
        groups: dict[str | None, list[Message]] = {}
        for message in messages:
            groups.setdefault(message.group_id, []).append(message)
        return list(groups.values())

    def _ended(self, job: "asyncio.Task[None]") -> None:
        self._jobs.discard(job)
        self._free.set()
        if not job.cancelled() and (error := job.exception()) is not None:
            _log.error("what was held has been returned", exc_info=error)  # on_failure itself failed

    async def _end_jobs(self) -> None:
        if self._jobs:
            jobs = list(self._jobs)
            over = [
                asyncio.create_task(self._at_once.wait()),
                asyncio.create_task(self._client.clock.sleep(self._stop_within_s)),
            ]
            ended = asyncio.ensure_future(asyncio.wait(jobs))
            await asyncio.wait([ended, *over], return_when=asyncio.FIRST_COMPLETED)
            for task in (*jobs, *over):
                task.cancel()
            await asyncio.wait([ended, *over])

    # Handling

    async def _work(self, messages: list[Message], hold: Hold) -> None:
        """Handle some messages of a receive. If it is cancelled, those that are not done are returned."""
        deletes: list[tuple[Message, asyncio.Future[None]]] = []
        try:
            if self._per_message:
                for at, message in enumerate(messages):
                    if self._stopping.is_set():
                        await hold.give_back(messages[at:])
                        break
                    if not await self._handle([message], hold, deletes):
                        for left in messages[at + 1 :]:
                            hold.let_go(left)
                        break
            else:
                await self._handle(messages, hold, deletes)
            for message, deleted in deletes:
                await self._see_deleted(message, deleted, hold)
        except BaseException:
            for message, _ in deletes:
                hold.let_go(message)
            await hold.give_back(messages)
            raise

    async def _handle(
        self, messages: list[Message], hold: Hold, deletes: list[tuple[Message, "asyncio.Future[None]"]]
    ) -> bool:
        """One call of the handler. Whether all of the messages are done."""
        failed: Sequence[Message] = ()
        try:
            answer = await self._call(messages)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # this consumer's own; any other is the handler's
            failed = messages
            self._on_failure(Failure(list(messages), error))
        else:
            if self._reports and not self._per_message:
                ids = set(failed_ids(answer, [message.message_id for message in messages]))
                failed = [message for message in messages if message.message_id in ids]
                if failed:
                    self._on_failure(Failure(list(failed), BatchItemFailures("named by the handler's answer")))
        for message in messages:
            if message in failed:
                hold.let_go(message)
            else:
                deletes.append((message, self._deletes.delete(message.receipt_handle)))
        return not failed

    async def _call(self, messages: list[Message]) -> Any:
        if self._per_message:
            arguments: tuple[Any, ...] = (messages[0],)
        else:
            arguments = (sqs_event(messages, self._arn), Context(self._name, self._client.clock))
        if self._threads is None:
            return await self._handler(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._in_thread, arguments)

    def _in_thread(self, arguments: tuple[Any, ...]) -> Any:
        try:
            return self._handler(*arguments)
        except StopIteration as error:  # a future cannot carry it
            raise RuntimeError("the handler raised StopIteration") from error

    async def _see_deleted(self, message: Message, deleted: "asyncio.Future[None]", hold: Hold) -> None:
        try:
            await deleted
        except CallFailed as error:
            self._on_failure(Failure([message], error))
        hold.let_go(message)
