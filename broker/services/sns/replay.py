"""Replays: an archive's messages go to one subscription again, a page at a time, across restarts.

How far a replay has come is recorded in the batch that sends its messages. Until it has caught up, newly published messages
reach the subscription through it, so that they come in their order; after one with an EndingPoint they do not come at all.
Source: SNS Developer Guide, "Message archiving and replay".
"""

import logging

from broker.errors import ServiceUnavailable
from broker.services.runtime import Runtime
from broker.services.sns import archive
from broker.services.sns.delivery import BY_PROTOCOL
from broker.services.sns.plan import Plan
from broker.services.sns.publication import Groundwork, Publication
from broker.services.sns.records import Replay
from broker.services.sns.state import Topics
from broker.services.sns.topic import ARCHIVE_DAY_MS, Subscription
from broker.store.base import Page, Recovered, StoreError

_PAGE = 100
_PAGE_BYTES = 262_144  # filter policies judge a page in one go
_WAIT_MS = 1_000  # before the store is asked again
_log = logging.getLogger("pombo.sns")


class Replays:
    """See the module's text. Comes after `Topics` among the parts of the runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def _topics(self) -> Topics:
        return self._runtime.part(Topics)

    def recover(self, recovered: Recovered) -> None:
        for subscription in self._topics.subscriptions.values():
            replay = subscription.record.replay
            if replay is not None and replay.status in ("Pending", "In progress"):
                self._go_on(subscription, replay)

    def forget(self) -> None:
        """A replay under way finds its subscription gone, and is begun again by `recover`."""

    def reset(self) -> None:
        """Subscriptions go, and their replays with them."""

    def start(self, subscription: Subscription, replay: Replay) -> None:
        """Begin a replay; one that is under way ends. The caller records the subscription."""
        subscription.record.replay = replay
        self._topics.record_subscription(subscription)
        self._go_on(subscription, replay)

    def stop(self, subscription: Subscription) -> None:
        """Newly published messages come again from here on. The caller records the subscription."""
        subscription.record.replay = None

    def _go_on(self, subscription: Subscription, replay: Replay) -> None:
        self._runtime.start_work(self._run(subscription.arn, replay))

    async def _run(self, arn: str, replay: Replay) -> None:
        try:
            await self._read_on(arn, replay)
        except (ServiceUnavailable, StoreError) as error:
            # The disk is full, or cannot be read. After a failed commit, recovery has begun another replay, and this one is over.
            _log.warning("the replay to %s waits: %s", arn, error)
            at_ms = self._runtime.clock.now_ms() + _WAIT_MS
            self._runtime.deadlines.add(at_ms, lambda: self._runtime.start_work(self._run(arn, replay)))

    async def _read_on(self, arn: str, replay: Replay) -> None:
        runtime = self._runtime
        while True:
            generation = await runtime.call(self._archive_of, arn, replay)
            if generation is None:
                return
            await runtime.commits.until(runtime.commits.newest)
            if replay.status == "Pending" and replay.after_id == 0:
                replay.after_id = await self._seek(generation, replay.from_ms)
            page = await runtime.store.look(generation, replay.after_id, limit=_PAGE, bytes_max=_PAGE_BYTES)
            await runtime.call(self._replay_page, arn, replay, page)

    def _current(self, arn: str, replay: Replay) -> Subscription | None:
        """The subscription, while this is its replay and goes on."""
        subscription = self._topics.subscriptions.get(arn)
        if subscription is None or subscription.record.replay is not replay:
            return None
        return subscription if replay.status in ("Pending", "In progress") else None

    def _archive_of(self, arn: str, replay: Replay) -> int | None:
        """The archive to read from; None where there is no more to do."""
        subscription = self._current(arn, replay)
        if subscription is None:
            return None
        topic = subscription.topic
        assert topic is not None
        queue = self._topics.engine.find_internal_queue(topic.archive_queue)
        if queue is not None and topic.archive_days:
            return queue.generation
        replay.status = "Completed" if topic.archive_days else "Failed"
        self._topics.record_subscription(subscription)
        return None

    async def _seek(self, generation: int, from_ms: int) -> int:
        """The archived message before the first one that was published at from_ms or later. Ids grow with time."""
        low, high = 0, 1 << 62
        while low < high:
            middle = (low + high) // 2
            page = await self._runtime.store.look(generation, middle, limit=1, bytes_max=1)
            if not page.rows or page.rows[0].enqueued_at_ms >= from_ms:
                high = middle
            else:
                low = page.rows[0].id
        return low

    def _replay_page(self, arn: str, replay: Replay, page: Page) -> None:
        subscription = self._current(arn, replay)
        if subscription is None:
            return
        topic = subscription.topic
        assert topic is not None
        plan = Plan(self._topics)
        beginning_ms = max(replay.from_ms, plan.now_ms - topic.archive_days * ARCHIVE_DAY_MS)
        ended = False
        for row in page.rows:
            assert row.body is not None
            published = archive.read(row.body)
            ended = replay.to_ms is not None and published.at_ms > replay.to_ms
            if ended:
                break
            publication = Publication(published, topic, Groundwork(published.base_url), replayed=True)
            if published.at_ms >= beginning_ms and publication.passes(subscription):
                BY_PROTOCOL[subscription.protocol](plan, publication, subscription)
        plan.apply()
        if page.rows:
            replay.after_id = page.rows[-1].id
        caught_up = not page.more and page.batch_number >= topic.archived_in_batch
        replay.status = "Completed" if ended or caught_up else "In progress"
        self._topics.record_subscription(subscription)
        _log.info("replay to %s: %s", arn, replay.status)
