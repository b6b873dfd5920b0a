"""POST /_pombo/reset: of SNS nothing is left but the signing key, in memory, on its way out, or on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sns.endpoint import Endpoint
from tests.sns.lives import Lives, lives
from tests.sns.topics import Topic, envelopes
from tests.sqs.queues import refused


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Lives]:
    with lives(tmp_path) as broker:
        yield broker


def fill(life: Lives, hook: Endpoint) -> Topic:
    """A topic with everything that there is: confirmed, pending and ended subscriptions, and deliveries that wait."""
    topic = life.topic("t", {"team": "blue"})
    topic.subscribe_queue(life.queue())
    topic.subscribe("sms", "+15550100123")
    arn = life.confirmed_hook(hook, topic)
    topic.subscribe("email", "pigeon@example.org")
    hook.answers = [500] * 100
    topic.publish("waits")
    life.clock.advance(0)
    life.sns.unsubscribe(SubscriptionArn=arn)
    topic.subscribe("http", hook.url)
    life.clock.advance(0)
    return topic


@pytest.mark.parametrize("restarted", [False, True])
def test_topics_subscriptions_and_captured_deliveries_are_gone(life: Lives, hook: Endpoint, restarted: bool) -> None:
    topic = fill(life, hook)
    life.reset()
    if restarted:
        life.kill_and_start()
    assert life.sns.list_topics()["Topics"] == []
    assert life.sns.list_subscriptions()["Subscriptions"] == []
    assert life.captured() == []
    with refused("NotFound", status=404):
        topic.publish()
    assert life.topic("t").subscriptions() == []
    with refused("InvalidParameter", text="Invalid parameter: Token"):
        life.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token())


@pytest.mark.parametrize("restarted", [False, True])
def test_what_waited_to_leave_does_not(life: Lives, hook: Endpoint, restarted: bool) -> None:
    fill(life, hook)
    sent = len(hook.requests)
    life.reset()
    if restarted:
        life.kill_and_start()
    life.clock.advance(86_400)
    assert len(hook.requests) == sent
    topic = life.topic("t")
    hook.answers = []
    life.confirmed_hook(hook, topic)
    topic.publish("new")
    life.clock.advance(0)
    assert [r.document["Message"] for r in hook.requests[sent:]][1:] == ["new"]


def test_archives_and_windows_are_gone(life: Lives) -> None:
    attributes = {"FifoTopic": "true", "ArchivePolicy": '{"MessageRetentionPeriod":"30"}'}
    topic = life.topic("t.fifo", **attributes)
    first = topic.publish("old", MessageGroupId="g", MessageDeduplicationId="d")
    late = life.queue("late.fifo")
    topic.subscribe_queue(late, ReplayPolicy=life.replay_from(1))
    life.reset()
    topic, late = life.topic("t.fifo", **attributes), life.queue("late.fifo")
    second = topic.publish("new", MessageGroupId="g", MessageDeduplicationId="d")
    assert second["SequenceNumber"] > first["SequenceNumber"]
    topic.subscribe_queue(late, ReplayPolicy=life.replay_from(60))
    life.clock.advance(0)
    assert [e["Message"] for e in envelopes(late)] == ["new"]


def test_nothing_of_it_stays_on_disk(life: Lives, hook: Endpoint) -> None:
    fill(life, hook)
    life.topic("t.fifo", FifoTopic="true").publish_in_group("g", "a")
    life.reset()
    life.run(life.broker.runtime.quiet())
    recovered = life.broker.store.recover()
    assert [kind for kind, _ in recovered.resources] == ["sns-signing-key"]
