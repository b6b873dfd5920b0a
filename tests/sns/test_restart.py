"""After a restart, orderly or not, everything that SNS had acknowledged is there, and what was under way goes on.

Every specification runs twice: stopped and started; and started on what is on disk in the middle of its life.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from broker.services.sns import replay
from tests.sns.endpoint import Endpoint
from tests.sns.lives import ACCOUNT, Lives, dead_letters, lives
from tests.sns.test_signatures import verify
from tests.sns.topics import envelopes, string, subscription_attributes
from tests.sqs.queues import refused

Restart = Callable[[], None]


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Lives]:
    with lives(tmp_path) as broker:
        yield broker


@pytest.fixture(params=["stopped", "killed"])
def restart(life: Lives, request: pytest.FixtureRequest) -> Restart:
    return life.stop_and_start if request.param == "stopped" else life.kill_and_start


def test_topics_keep_their_attributes_and_tags(life: Lives, restart: Restart) -> None:
    topics = [
        life.topic("news", {"team": "blue", "empty": ""}, DisplayName="Café", SignatureVersion="2"),
        life.topic("orders.fifo", FifoTopic="true", ContentBasedDeduplication="true"),
    ]
    topics[0].set("DeliveryPolicy", '{"http":{"defaultThrottlePolicy":{"maxReceivesPerSecond":7}}}')
    topics[0].set("HTTPFailureFeedbackRoleArn", f"arn:aws:iam::{ACCOUNT}:role/r")
    life.sns.add_permission(TopicArn=topics[0].arn, Label="l", AWSAccountId=["222222222222"], ActionName=["Publish"])
    life.sns.delete_topic(TopicArn=life.topic("gone").arn)

    def seen() -> list[Any]:
        tags = [life.sns.list_tags_for_resource(ResourceArn=topic.arn)["Tags"] for topic in topics]
        return [[topic.attributes() for topic in topics], tags, life.sns.list_topics()["Topics"]]

    before = seen()
    assert len(before[2]) == 2
    restart()
    assert seen() == before


def test_subscriptions_keep_their_attributes(life: Lives, restart: Restart, hook: Endpoint) -> None:
    topic, dead = life.topic(), life.queue("dead")
    arns = [
        topic.subscribe_queue(life.queue("raw"), RawMessageDelivery="true", RedrivePolicy=dead_letters(dead)),
        topic.subscribe_queue(life.queue("some"), FilterPolicy='{"a":{"b":["x"]}}', FilterPolicyScope="MessageBody"),
        topic.subscribe("http", hook.url, DeliveryPolicy='{"throttlePolicy":{"maxReceivesPerSecond":5}}'),
        topic.subscribe("email", "pigeon@example.org"),
    ]
    gone = topic.subscribe_queue(life.queue("gone"))
    life.sns.unsubscribe(SubscriptionArn=gone)

    def seen() -> list[Any]:
        listed = life.sns.list_subscriptions()["Subscriptions"]
        attributes = [subscription_attributes(life.sns, arn) for arn in arns]
        return [attributes, topic.subscriptions(), listed, topic.attributes()]

    before = seen()
    assert len(before[1]) == 4
    restart()
    assert seen() == before


def test_subscriptions_work_as_before(life: Lives, restart: Restart) -> None:
    topic, dead = life.topic(), life.queue("dead")
    raw, birds, gone = life.queue("raw"), life.queue("birds"), life.queue("gone")
    topic.subscribe_queue(raw, RawMessageDelivery="true")
    topic.subscribe_queue(birds, FilterPolicy='{"kind":[{"prefix":"bi"}]}')
    topic.subscribe_queue(gone, RedrivePolicy=dead_letters(dead), RawMessageDelivery="true")
    life.sqs.delete_queue(QueueUrl=gone.url)
    restart()
    for kind in ("bird", "fish"):
        topic.publish(kind, MessageAttributes={"kind": string(kind)})
    assert sorted(m["Body"] for m in raw.receive_all()) == ["bird", "fish"]
    assert [e["Message"] for e in envelopes(birds)] == ["bird"]
    assert sorted(m["Body"] for m in dead.receive_all()) == ["bird", "fish"]


def test_a_pending_subscription_is_confirmed_with_the_token_that_was_sent(
    life: Lives, restart: Restart, hook: Endpoint
) -> None:
    topic = life.topic()
    arn = topic.subscribe("http", hook.url)
    life.clock.advance(2 * 86_400 - 1)
    restart()
    topic.publish("too early")
    assert life.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token())["SubscriptionArn"] == arn
    topic.publish("in time")
    life.clock.advance(0)
    assert [r.document["Message"] for r in hook.notifications] == ["in time"]


def test_a_token_expires_two_days_after_it_was_sent(life: Lives, restart: Restart, hook: Endpoint) -> None:
    topic = life.topic()
    topic.subscribe("http", hook.url)
    life.clock.advance(2 * 86_400 - 1)
    restart()
    assert len(topic.subscriptions()) == 1
    life.clock.advance(1)
    with refused("InvalidParameter", text="Invalid parameter: Token"):
        life.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token())
    assert topic.subscriptions() == []


def test_an_expired_token_stays_expired(life: Lives, restart: Restart, hook: Endpoint) -> None:
    topic = life.topic()
    life.confirmed_hook(hook, topic)
    life.clock.advance(2 * 86_400)
    restart()
    with refused("InvalidParameter", text="Invalid parameter: Token"):
        life.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token())


def test_a_fifo_topic_remembers_what_was_published(life: Lives, restart: Restart) -> None:
    topic, queues = life.topic("t.fifo", FifoTopic="true"), [life.queue(f"{n}.fifo") for n in range(2)]
    for queue in queues:
        topic.subscribe_queue(queue)
    first = topic.publish("one", MessageGroupId="g", MessageDeduplicationId="d")
    life.clock.advance(299)
    restart()
    again = topic.publish("two", MessageGroupId="h", MessageDeduplicationId="d")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    other = topic.publish("three", MessageGroupId="g", MessageDeduplicationId="e")
    assert other["SequenceNumber"] > first["SequenceNumber"]
    life.clock.advance(1)
    last = topic.publish("four", MessageGroupId="g", MessageDeduplicationId="d")
    assert last["SequenceNumber"] > other["SequenceNumber"]
    for queue in queues:
        assert [e["Message"] for e in envelopes(queue)] == ["one", "three", "four"]


def test_the_window_holds_however_much_is_published_after_the_restart(life: Lives) -> None:
    topic = life.topic("t.fifo", FifoTopic="true")
    life.stop_and_start()
    first = topic.publish("one", MessageGroupId="g", MessageDeduplicationId="d")
    for batch in range(110):
        entries = [
            {"Id": str(n), "Message": "m", "MessageGroupId": "g", "MessageDeduplicationId": f"{batch}-{n}"}
            for n in range(10)
        ]
        life.sns.publish_batch(TopicArn=topic.arn, PublishBatchRequestEntries=entries)
    again = topic.publish("one", MessageGroupId="g", MessageDeduplicationId="d")
    assert again["MessageId"] == first["MessageId"]


def test_old_signatures_verify_and_new_ones_name_the_same_certificate(life: Lives, restart: Restart) -> None:
    topic, queue = life.topic(), life.queue()
    topic.subscribe_queue(queue)
    topic.publish("before")
    restart()
    topic.publish("after")
    old, new = sorted(envelopes(queue), key=lambda e: e["Message"], reverse=True)
    assert (old["Message"], new["Message"]) == ("before", "after")
    assert old["SigningCertURL"] == new["SigningCertURL"]
    assert urlsplit(old["SigningCertURL"]).path.startswith("/SimpleNotificationService-")
    for envelope in (old, new):
        verify(life.running, envelope)


def test_an_archive_can_be_replayed(life: Lives, restart: Restart) -> None:
    topic = life.archived_topic(2)
    restart()
    topic.publish_in_group("g", "2")
    late = life.queue("late.fifo")
    topic.subscribe_queue(late, ReplayPolicy=life.replay_from(1))
    life.clock.advance(0)
    assert [e["Message"] for e in envelopes(late)] == ["0", "1", "2"]


def test_a_replay_goes_on_where_it_was(life: Lives, restart: Restart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_PAGE", 10)
    topic = life.archived_topic(25)
    after_a_page = hold_reads(life, monkeypatch)
    late = life.queue("late.fifo")
    arn = topic.subscribe_queue(late, ReplayPolicy=life.replay_from(1))
    after_a_page()
    assert subscription_attributes(life.sns, arn)["ReplayStatus"] == "In progress"
    assert sum(late.counts()) == 10
    restart()
    topic.publish_in_group("g", "last")
    life.clock.advance(0)
    assert subscription_attributes(life.sns, arn)["ReplayStatus"] == "Completed"
    assert [e["Message"] for e in envelopes(late)] == [*(str(n) for n in range(25)), "last"]


def hold_reads(life: Lives, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the next replay read one page and no more. What is returned waits until that page is on disk."""
    store, look = life.broker.store, life.broker.store.look
    held = asyncio.Event()

    async def look_once(queue: int, after_id: int, *, limit: int, bytes_max: int) -> Any:
        page = await look(queue, after_id, limit=limit, bytes_max=bytes_max)
        if limit > 1 and after_id:
            held.set()
            await asyncio.Event().wait()
        return page

    monkeypatch.setattr(store, "look", look_once)
    return lambda: life.run(held.wait())


def test_deliveries_are_retried_at_their_instants(life: Lives, restart: Restart, hook: Endpoint) -> None:
    topic, dead = life.topic(), life.queue("dead")
    life.confirmed_hook(hook, topic, RedrivePolicy=dead_letters(dead))
    hook.answers = [500] * 4
    topic.publish("stubborn")
    life.clock.advance(7)
    assert len(hook.notifications) == 1
    restart()
    life.clock.advance(12.999)
    assert len(hook.notifications) == 1
    life.clock.advance(0.001)
    assert len(hook.notifications) == 2
    restart()
    life.clock.advance(20)
    assert len(hook.notifications) == 3
    life.clock.advance(19)
    restart()
    assert dead.receive() == []
    life.clock.advance(1)
    assert len(hook.notifications) == 4
    assert json.loads(dead.receive_one()["Body"])["Message"] == "stubborn"
    assert {r.headers["x-amz-sns-message-id"] for r in hook.notifications} == {
        hook.notifications[0].document["MessageId"]
    }


def test_what_was_on_its_way_is_sent_again_when_its_lease_ends(
    life: Lives, restart: Restart, hook: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = life.topic()
    life.confirmed_hook(hook, topic)
    life.clock.advance(0)
    begun = threading.Event()

    async def begin_and_never_end(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(life.broker.outboxes.transports["http"], "send", begin_and_never_end)
    topic.publish("on its way")
    assert begun.wait(10)
    restart()
    life.clock.advance(59)
    assert hook.notifications == []
    life.clock.advance(1)
    assert [r.document["Message"] for r in hook.notifications] == ["on its way"]


def test_what_has_been_delivered_is_not_sent_again(life: Lives, restart: Restart, hook: Endpoint) -> None:
    topic = life.topic()
    life.confirmed_hook(hook, topic)
    topic.publish()
    life.clock.advance(0)
    restart()
    life.clock.advance(3_600)
    assert len(hook.notifications) == 1
    topic.publish()
    life.clock.advance(0)
    assert len(hook.notifications) == 2


def test_the_end_of_a_subscription_is_told_and_can_be_undone(life: Lives, restart: Restart, hook: Endpoint) -> None:
    topic = life.topic()
    arn = life.confirmed_hook(hook, topic)
    hook.answers = [500]
    life.sns.unsubscribe(SubscriptionArn=arn)
    life.clock.advance(0)
    restart()
    assert topic.subscriptions() == []
    life.clock.advance(20)
    asked, again = hook.of_type("UnsubscribeConfirmation")
    assert asked.body == again.body
    life.sns.confirm_subscription(TopicArn=topic.arn, Token=again.document["Token"])
    assert [s["SubscriptionArn"] for s in topic.subscriptions()] == [arn]
    restart()
    topic.publish("back")
    life.clock.advance(0)
    assert [r.document["Message"] for r in hook.notifications] == ["back"]


def test_captured_deliveries_and_records_of_deliveries_are_there(life: Lives, restart: Restart, hook: Endpoint) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    topic = life.topic(HTTPFailureFeedbackRoleArn=role, SQSSuccessFeedbackRoleArn=role)
    topic.set("SQSSuccessFeedbackSampleRate", "100")
    topic.subscribe_queue(life.queue())
    topic.subscribe("sms", "+15550100123")
    topic.subscribe("lambda", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f")
    life.confirmed_hook(hook, topic)
    hook.answers = [404]
    topic.publish("hello", Subject="greeting")
    life.sns.publish(PhoneNumber="+15550100124", Message="direct")
    life.clock.advance(0)
    before = [life.captured(status) for status in ("captured", "SUCCESS", "FAILURE")]
    assert [len(some) for some in before] == [3, 1, 1]
    restart()
    assert [life.captured(status) for status in ("captured", "SUCCESS", "FAILURE")] == before
    life.clock.advance(4 * 86_400)
    assert life.captured() == []
