"""Archive and replay of FIFO topics. Source: SNS Developer Guide, "Message archiving and replay for FIFO topics"; B4."""

import json
from datetime import UTC, datetime

import pytest

from tests.conftest import MessageClock, RunningBroker
from tests.sns.conftest import MakeTopic
from tests.sns.topics import Topic, envelopes, string, subscription_attributes
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, refused


@pytest.fixture
def archived(make_topic: MakeTopic) -> Topic:
    """A topic that keeps its messages for 30 days."""
    return make_topic("archived", FifoTopic="true", ArchivePolicy='{"MessageRetentionPeriod":"30"}')


@pytest.fixture
def fifo(make_queue: MakeQueue) -> Queue:
    return make_queue("fifo", FifoQueue="true")


class Times:
    """Instants of message time as a ReplayPolicy writes them."""

    def __init__(self, broker: RunningBroker) -> None:
        self._broker = broker

    def now(self) -> str:
        at_ms = self._broker.request_json("GET", "/_pombo/clock")["now_ms"]
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def times(broker: RunningBroker) -> Times:
    return Times(broker)


def replay(start: str, end: str | None = None) -> str:
    policy = {"PointType": "Timestamp", "StartingPoint": start}
    return json.dumps(policy if end is None else policy | {"EndingPoint": end})


def test_the_archive_begins_when_it_is_set_up(archived: Topic, times: Times, clock: MessageClock) -> None:
    assert archived.attributes()["BeginningArchiveTime"] == f"{times.now()[:19]}Z"
    clock.advance(31 * 86_400)
    beginning = datetime.fromisoformat(archived.attributes()["BeginningArchiveTime"])
    assert (datetime.fromisoformat(times.now()) - beginning).days == 30


@pytest.mark.parametrize("nothing", ["", "{}"])
def test_a_topic_with_an_archive_cannot_be_deleted(archived: Topic, nothing: str) -> None:
    with refused("InvalidState"):
        archived.sns.delete_topic(TopicArn=archived.arn)
    archived.set("ArchivePolicy", nothing)
    assert "ArchivePolicy" not in archived.attributes()
    archived.sns.delete_topic(TopicArn=archived.arn)


@pytest.mark.parametrize("days", ["0", "366", "x", "1.5", '""'])
def test_an_archive_lasts_1_to_365_days(make_topic: MakeTopic, days: str) -> None:
    with refused("InvalidParameter"):
        make_topic(FifoTopic="true", ArchivePolicy=f'{{"MessageRetentionPeriod":"{days}"}}')


def test_a_new_subscriber_can_have_what_was_published_before(
    archived: Topic, fifo: Queue, times: Times, clock: MessageClock
) -> None:
    start = times.now()
    archived.publish_in_group("g", "a", "b", "c")
    arn = archived.subscribe_queue(fifo, ReplayPolicy=replay(start))
    clock.advance(0)
    got = envelopes(fifo)
    assert [e["Message"] for e in got] == ["a", "b", "c"]
    assert all(e["MessageAttributes"]["Replayed"] == {"Type": "String", "Value": "true"} for e in got)
    assert subscription_attributes(archived.sns, arn)["ReplayStatus"] == "Completed"


def test_a_replayed_message_is_the_same_message(
    archived: Topic, fifo: Queue, make_queue: MakeQueue, times: Times, clock: MessageClock
) -> None:
    start = times.now()
    archived.subscribe_queue(fifo)
    archived.publish("m", MessageGroupId="g", MessageDeduplicationId="d", MessageAttributes={"a": string("x")})
    (original,) = envelopes(fifo)
    late = make_queue(FifoQueue="true")
    clock.advance(60)
    archived.subscribe_queue(late, ReplayPolicy=replay(start))
    clock.advance(0)
    (again,) = envelopes(late)
    assert again["MessageAttributes"].pop("Replayed")
    assert {n: v for n, v in again.items() if n != "UnsubscribeURL"} == {
        n: v for n, v in original.items() if n != "UnsubscribeURL"
    }


def test_newly_published_messages_follow_the_replay(
    archived: Topic, fifo: Queue, times: Times, clock: MessageClock
) -> None:
    start = times.now()
    archived.publish_in_group("g", *(f"{n:03}" for n in range(250)))  # more than a page
    archived.subscribe_queue(fifo, ReplayPolicy=replay(start))
    archived.publish_in_group("g", "250")
    clock.advance(0)
    archived.publish_in_group("g", "251")
    assert [e["Message"] for e in envelopes(fifo)] == [f"{n:03}" for n in range(252)]


def test_a_replay_has_a_beginning_and_an_end(archived: Topic, fifo: Queue, times: Times, clock: MessageClock) -> None:
    instants = []
    for message in "abcde":
        clock.advance(10)
        instants.append(times.now())
        archived.publish_in_group("g", message)
    clock.advance(10)
    archived.subscribe_queue(fifo, ReplayPolicy=replay(instants[1], instants[3]))
    clock.advance(0)
    archived.publish_in_group("g", "f")  # after a replay with an end, nothing new comes
    assert [e["Message"] for e in envelopes(fifo)] == ["b", "c", "d"]


def test_without_the_policy_new_messages_come_again(
    archived: Topic, fifo: Queue, times: Times, clock: MessageClock
) -> None:
    start = times.now()
    clock.advance(10)
    arn = archived.subscribe_queue(fifo, ReplayPolicy=replay(start, times.now()))
    clock.advance(0)
    archived.sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="ReplayPolicy", AttributeValue="")
    archived.publish_in_group("g", "a")
    assert [e["Message"] for e in envelopes(fifo)] == ["a"]
    assert "ReplayStatus" not in subscription_attributes(archived.sns, arn)


def test_a_filter_policy_holds_for_replays(archived: Topic, fifo: Queue, times: Times, clock: MessageClock) -> None:
    start = times.now()
    for kind in ("bird", "fish", "bird"):
        archived.publish(
            kind,
            MessageGroupId="g",
            MessageDeduplicationId=f"{kind}{times.now()}",
            MessageAttributes={"kind": string(kind)},
        )
        clock.advance(1)
    archived.subscribe_queue(fifo, FilterPolicy='{"kind":["bird"]}', ReplayPolicy=replay(start))
    clock.advance(0)
    assert [e["Message"] for e in envelopes(fifo)] == ["bird", "bird"]


def test_what_is_older_than_the_archive_is_gone(
    archived: Topic, fifo: Queue, times: Times, clock: MessageClock
) -> None:
    start = times.now()
    archived.publish_in_group("g", "old")
    clock.advance(29 * 86_400)
    archived.publish_in_group("g", "young")
    clock.advance(2 * 86_400)
    archived.subscribe_queue(fifo, ReplayPolicy=replay(start))
    clock.advance(0)
    assert [e["Message"] for e in envelopes(fifo)] == ["young"]


@pytest.mark.parametrize(
    "policy",
    [
        "{",
        "[]",
        "{}",
        '{"PointType":"Timestamp"}',
        '{"PointType":"Number","StartingPoint":"2026-01-01T00:00:00Z"}',
        '{"PointType":"Timestamp","StartingPoint":"yesterday"}',
        '{"PointType":"Timestamp","StartingPoint":5}',
        '{"PointType":"Timestamp","StartingPoint":"2126-01-01T00:00:00Z"}',
        '{"PointType":"Timestamp","StartingPoint":"2026-01-02T00:00:00Z","EndingPoint":"2026-01-01T00:00:00Z"}',
    ],
)
def test_a_bad_replay_policy_is_refused(archived: Topic, fifo: Queue, policy: str) -> None:
    with refused("InvalidParameter"):
        archived.subscribe_queue(fifo, ReplayPolicy=policy)
    assert archived.subscriptions() == []
