"""A broker that ends, orderly or not, and begins again on the same data, port and clock: what its clients had goes on."""

import asyncio
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from broker.app import Broker
from broker.config import Config
from broker.store.base import CommitFailed
from broker.store.batch import Batch
from broker.store.directory import SEGMENT_NAMES
from tests.conftest import MessageClock, RunningBroker
from tests.sns.conftest import make_client as make_sns_client
from tests.sns.deliveries import captured
from tests.sns.endpoint import Endpoint
from tests.sns.topics import Topic
from tests.sqs.conftest import make_client as make_sqs_client
from tests.sqs.queues import Queue

ACCOUNT = "111111111111"
_START_S = 20


class Lives:
    """One broker after the other. The clock is beyond the machine's: a restart does not move it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._data = directory / "0"
        self._copies = 0
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker", daemon=True)
        self._thread.start()
        self.broker = self._start(0)
        self.running = RunningBroker(self.broker.url)
        self.clock = MessageClock(self.running)
        self.sns = make_sns_client(self.broker.url, ACCOUNT)
        self.sqs = make_sqs_client(self.broker.url, ACCOUNT)
        self.clock.advance(3_600)

    def stop_and_start(self) -> None:
        """An orderly end."""
        self._wait(self.broker.stop())
        self.broker = self._start(self.running.address[1])

    def kill_and_start(self) -> None:
        """Begin again on what is on disk while the broker runs. Each file is copied before the one that its content goes to
        next, but for SQLite's log, which wins over the database file."""
        self._copies += 1
        data = self._directory / str(self._copies)
        data.mkdir()
        for name in (*SEGMENT_NAMES, "pombo.db", "pombo.db-wal"):
            shutil.copy(self._data / name, data / name)
        self._wait(self.broker.stop())
        self._data = data
        self.broker = self._start(self.running.address[1])

    def fail_a_commit(self, wanted: Callable[[Batch], object] = bool, *, disk_full: bool = False) -> None:
        """The next batch that `wanted` picks cannot be written. On a full disk messages are refused for a while."""
        store = self.broker.store
        commit = store.commit

        def fail_once(batch: Batch) -> None:
            if not wanted(batch):
                commit(batch)
                return
            store.commit = commit  # type: ignore[method-assign]
            raise CommitFailed("an injected failure", disk_full=disk_full)

        store.commit = fail_once  # type: ignore[method-assign]

    def reset(self) -> None:
        """Delete everything, as a test would."""
        self.running.request_json("POST", "/_pombo/reset", {})

    def close(self) -> None:
        self.sns.close()
        self.sqs.close()
        self._wait(self.broker.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_S)
        self._loop.close()

    def run(self, work: Any) -> Any:
        """The result of a coroutine on the broker's loop."""
        return self._wait(work)

    def _start(self, port: int) -> Broker:
        broker = Broker(Config(port=port, data=str(self._data), clock="manual"))
        self._wait(broker.start())
        return broker

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_S)

    # What tests make

    def confirmed_hook(self, hook: Endpoint, topic: Topic, **attributes: str) -> str:
        """The ARN of the endpoint's subscription."""
        topic.subscribe("http", hook.url, **attributes)
        self.clock.advance(0)
        return str(self.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token())["SubscriptionArn"])

    def replay_from(self, seconds_ago: float) -> str:
        """A ReplayPolicy."""
        now_ms = self.running.request_json("GET", "/_pombo/clock")["now_ms"]
        start = datetime.fromtimestamp(now_ms / 1_000 - seconds_ago, UTC).isoformat().replace("+00:00", "Z")
        return json.dumps({"PointType": "Timestamp", "StartingPoint": start})

    def topic(self, name: str = "topic", tags: dict[str, str] | None = None, **attributes: str) -> Topic:
        listed = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        return Topic(self.sns, self.sns.create_topic(Name=name, Attributes=attributes, Tags=listed)["TopicArn"])

    def archived_topic(self, count: int) -> Topic:
        """A FIFO topic with an archive, and so many messages of one group in it: "0", "1", …"""
        topic = self.topic("t.fifo", FifoTopic="true", ArchivePolicy='{"MessageRetentionPeriod":"30"}')
        topic.publish_in_group("g", *(str(n) for n in range(count)))
        return topic

    def queue(self, name: str = "queue") -> Queue:
        attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        return Queue(self.sqs, self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def captured(self, status: str = "captured") -> list[dict[str, Any]]:
        return captured(self.running, ACCOUNT, status=status)


def dead_letters(queue: Queue) -> str:
    """A subscription's RedrivePolicy."""
    return json.dumps({"deadLetterTargetArn": queue.arn})


@contextmanager
def lives(directory: Path) -> Iterator[Lives]:
    broker = Lives(directory)
    try:
        yield broker
    finally:
        broker.close()
