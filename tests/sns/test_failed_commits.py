"""A commit that fails is as if nothing had been asked: what was refused is nowhere, memory is rebuilt, and everything goes on."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from broker.services.sns import replay
from broker.services.sns.signatures import SigningKey
from broker.services.sns.signer import KEY_KIND, Signer
from broker.store import group_commit
from broker.store.base import StoreError
from broker.store.batch import Batch
from broker.store.sqlite import SqliteStore
from tests.sns.endpoint import Endpoint
from tests.sns.lives import Lives, dead_letters, lives
from tests.sns.test_signatures import verify
from tests.sns.topics import Topic, envelopes, subscription_attributes
from tests.sqs.conftest import Eventually
from tests.sqs.queues import Queue, refused


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Lives]:
    with lives(tmp_path) as broker:
        yield broker


def holds_messages(batch: Batch) -> object:
    return batch.messages


def unavailable(call: Callable[..., Any], *arguments: Any, **parameters: Any) -> None:
    with refused("ServiceUnavailable", status=503):
        call(*arguments, **parameters)


def test_a_refused_publish_is_in_no_queue_and_later_ones_are_in_all(life: Lives, hook: Endpoint) -> None:
    topic, queues = life.topic(), [life.queue(str(n)) for n in range(3)]
    for queue in queues:
        topic.subscribe_queue(queue)
    topic.subscribe("sms", "+15550100123")
    life.confirmed_hook(hook, topic)
    topic.publish("before")
    life.clock.advance(0)
    life.fail_a_commit()
    unavailable(topic.publish, "refused")
    topic.publish("after")
    life.clock.advance(0)
    for queue in queues:
        assert sorted(e["Message"] for e in envelopes(queue)) == ["after", "before"]
    assert sorted(r.document["Message"] for r in hook.notifications) == ["after", "before"]
    assert [record["Payload"] for record in life.captured()] == ["before", "after"]


def test_what_gathers_behind_a_failing_batch_is_refused_with_it(life: Lives, eventually: Eventually) -> None:
    topic, queue = life.topic(), life.queue()
    topic.subscribe_queue(queue, RawMessageDelivery="true")
    held, release = threading.Event(), threading.Event()

    def hold(batch: Batch) -> object:
        held.set()
        return release.wait(10)

    life.fail_a_commit(hold)
    with ThreadPoolExecutor(2) as clients:
        first = clients.submit(unavailable, topic.publish, "first")
        held.wait(10)
        second = clients.submit(unavailable, topic.publish, "second")
        eventually(lambda: life.running.settle() or bool(life.broker.runtime.commits.batch))
        release.set()
        first.result()
        second.result()
    topic.publish("third")
    assert queue.receive_bodies() == ["third"]


def test_a_refused_publish_is_no_duplicates_original(life: Lives) -> None:
    topic, queues = life.topic("t.fifo", FifoTopic="true"), [life.queue(f"{n}.fifo") for n in range(2)]
    for queue in queues:
        topic.subscribe_queue(queue)
    first = topic.publish("first", MessageGroupId="g", MessageDeduplicationId="d1")
    life.fail_a_commit()
    unavailable(topic.publish, "second", MessageGroupId="g", MessageDeduplicationId="d2")
    again = topic.publish("first again", MessageGroupId="g", MessageDeduplicationId="d1")
    second = topic.publish("second", MessageGroupId="g", MessageDeduplicationId="d2")
    assert again["MessageId"] == first["MessageId"]
    assert second["SequenceNumber"] > first["SequenceNumber"]
    for queue in queues:
        assert [e["Message"] for e in envelopes(queue)] == ["first", "second"]


def test_a_refused_publish_is_not_archived(life: Lives) -> None:
    topic = life.archived_topic(0)
    life.fail_a_commit(holds_messages)
    unavailable(topic.publish, "refused", MessageGroupId="g", MessageDeduplicationId="d1")
    topic.publish_in_group("g", "kept")
    queue = life.queue("late.fifo")
    topic.subscribe_queue(queue, ReplayPolicy=life.replay_from(1))
    life.clock.advance(0)
    assert [e["Message"] for e in envelopes(queue)] == ["kept"]


def test_refused_changes_have_not_happened(life: Lives, hook: Endpoint) -> None:
    topic, queue = life.topic(), life.queue()
    arn = topic.subscribe_queue(queue)
    pending = topic.subscribe("http", hook.url)
    life.clock.advance(0)

    def seen() -> list[Any]:
        attributes = [subscription_attributes(life.sns, each) for each in (arn, pending)]
        return [life.sns.list_topics()["Topics"], topic.attributes(), topic.subscriptions(), attributes]

    before = seen()
    sns, name = life.sns, topic.arn
    for call, parameters in (
        (sns.create_topic, {"Name": "other"}),
        (sns.set_topic_attributes, {"TopicArn": name, "AttributeName": "DisplayName", "AttributeValue": "x"}),
        (sns.tag_resource, {"ResourceArn": name, "Tags": [{"Key": "k", "Value": "v"}]}),
        (sns.subscribe, {"TopicArn": name, "Protocol": "email", "Endpoint": "a@example.org"}),
        (sns.subscribe, {"TopicArn": name, "Protocol": "sms", "Endpoint": "+15550100123"}),
        (sns.confirm_subscription, {"TopicArn": name, "Token": hook.token()}),
        (
            sns.set_subscription_attributes,
            {"SubscriptionArn": arn, "AttributeName": "RawMessageDelivery", "AttributeValue": "true"},
        ),
        (sns.unsubscribe, {"SubscriptionArn": arn}),
        (sns.delete_topic, {"TopicArn": name}),
    ):
        life.fail_a_commit()
        unavailable(call, **parameters)
        assert seen() == before, call
    assert sns.list_tags_for_resource(ResourceArn=name)["Tags"] == []
    assert life.captured() == []
    assert sns.confirm_subscription(TopicArn=name, Token=hook.token())["SubscriptionArn"] == pending


def test_where_there_is_no_room_for_a_letter_its_subscription_neither_begins_nor_ends(
    life: Lives, hook: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = life.topic()
    arn = life.confirmed_hook(hook, topic)
    before = topic.subscriptions(), topic.attributes()
    monkeypatch.setattr(group_commit, "_FULL_S", 60.0)
    life.fail_a_commit(disk_full=True)
    unavailable(topic.publish)
    unavailable(topic.subscribe, "http", f"{hook.url}/other")
    unavailable(life.sns.unsubscribe, SubscriptionArn=arn)
    assert (topic.subscriptions(), topic.attributes()) == before
    assert topic.subscribe("http", hook.url) == arn  # which needs no letter


# What leaves the process


def test_couriers_keep_their_instants(life: Lives, hook: Endpoint) -> None:
    topic = life.topic()
    life.confirmed_hook(hook, topic)
    hook.answers = [500]
    topic.publish("stubborn")
    life.clock.advance(5)
    life.fail_a_commit()
    unavailable(topic.publish, "refused")
    life.clock.advance(14)
    assert len(hook.notifications) == 1
    life.clock.advance(1)
    assert [r.document["Message"] for r in hook.notifications] == ["stubborn"] * 2
    topic.publish("new")
    life.clock.advance(0)
    assert len(hook.notifications) == 3


def test_what_could_not_be_recorded_is_sent_again_when_its_lease_ends(life: Lives, hook: Endpoint) -> None:
    topic = life.topic()
    life.confirmed_hook(hook, topic)
    life.fail_a_commit(lambda batch: batch.deleted)
    topic.publish()
    advance_in_spite_of_a_failure(life)
    assert len(hook.notifications) == 1
    life.clock.advance(59)
    assert len(hook.notifications) == 1
    life.clock.advance(1)
    assert len(hook.notifications) == 2
    life.clock.advance(3_600)
    assert len(hook.notifications) == 2


def advance_in_spite_of_a_failure(life: Lives) -> None:
    """Until everything that is due has been done: a failing commit meanwhile fails the first request, perhaps."""
    life.running.request("POST", "/_pombo/clock", b'{"advance_s": 0}', {"Content-Type": "application/json"})
    life.clock.advance(0)


def test_a_dead_letter_that_could_not_be_written_is_written_once(life: Lives, hook: Endpoint) -> None:
    topic, dead = life.topic(), life.queue("dead")
    life.confirmed_hook(hook, topic, RedrivePolicy=dead_letters(dead))
    hook.answers = [404, 404]
    life.fail_a_commit(lambda batch: batch.deleted)
    topic.publish("refused by the endpoint")
    advance_in_spite_of_a_failure(life)
    assert sum(dead.counts()) == 0
    life.clock.advance(60)
    assert [e["Message"] for e in envelopes(dead)] == ["refused by the endpoint"]


@pytest.mark.parametrize("status", [200, 404])
def test_what_became_of_a_message_is_recorded_once_however_little_memory_there_is(
    life: Lives, hook: Endpoint, status: int
) -> None:
    dead = life.queue("dead")
    role = "arn:aws:iam::111111111111:role/r"
    topic = life.topic(HTTPSuccessFeedbackRoleArn=role, HTTPFailureFeedbackRoleArn=role)
    topic.set("HTTPSuccessFeedbackSampleRate", "100")
    life.confirmed_hook(hook, topic, RedrivePolicy=dead_letters(dead))
    hook.answers = [status]
    life.broker.runtime.ledger.memory_bytes_max = 0  # of all queues, only the one in use stays
    topic.publish()
    life.clock.advance(0)
    assert len(life.captured("SUCCESS" if status == 200 else "FAILURE")) == 1
    assert sum(dead.counts()) == (status != 200)


@pytest.fixture
def broken_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the next read fail that is of one of these kinds."""

    def break_reads(*names: str) -> None:
        working = {name: getattr(SqliteStore, name) for name in names}

        async def fail_once(*_: Any, **__: Any) -> Any:
            for name, read in working.items():
                monkeypatch.setattr(SqliteStore, name, read)
            raise StoreError("an injected failure")

        for name in names:
            monkeypatch.setattr(SqliteStore, name, fail_once)

    return break_reads


def test_a_courier_outlives_a_failed_read(life: Lives, hook: Endpoint, broken_reads: Callable[..., None]) -> None:
    topic = life.topic()
    life.confirmed_hook(hook, topic)
    hook.answers = [500]
    topic.publish()
    life.clock.advance(0)
    broken_reads("scan", "timed")
    life.stop_and_start()
    life.clock.advance(21)
    assert len(hook.notifications) == 2


# Replays


@pytest.fixture
def archived(life: Lives, monkeypatch: pytest.MonkeyPatch) -> Topic:
    """A topic whose archive has three pages."""
    monkeypatch.setattr(replay, "_PAGE", 10)
    return life.archived_topic(25)


@pytest.fixture
def late(life: Lives) -> Queue:
    return life.queue("late.fifo")


def test_a_replay_goes_on_after_a_failed_commit(life: Lives, archived: Topic, late: Queue) -> None:
    pages = iter((False, True))
    life.fail_a_commit(lambda batch: bool(batch.messages) and next(pages))
    archived.subscribe_queue(late, ReplayPolicy=life.replay_from(1))
    advance_in_spite_of_a_failure(life)
    assert [e["Message"] for e in envelopes(late)] == [str(n) for n in range(25)]


def test_a_replay_goes_on_after_a_failed_read(
    life: Lives, archived: Topic, late: Queue, broken_reads: Callable[..., None]
) -> None:
    broken_reads("look")
    arn = archived.subscribe_queue(late, ReplayPolicy=life.replay_from(1))
    life.clock.advance(1)
    assert subscription_attributes(life.sns, arn)["ReplayStatus"] == "Completed"
    assert [e["Message"] for e in envelopes(late)] == [str(n) for n in range(25)]


# The signing key


def test_a_key_that_is_not_on_disk_signs_nothing(life: Lives, monkeypatch: pytest.MonkeyPatch) -> None:
    topic, queue = life.topic(), life.queue()
    topic.subscribe_queue(queue)
    sign, signed = SigningKey.sign, []
    monkeypatch.setattr(SigningKey, "sign", lambda key, *rest: signed.append(key) or sign(key, *rest))
    held, release = threading.Event(), threading.Event()

    def holds_the_key(batch: Batch) -> object:
        if not any(kind == KEY_KIND for kind, _ in batch.resources):
            return False
        held.set()
        return release.wait(10)

    life.fail_a_commit(holds_the_key)
    with ThreadPoolExecutor(2) as clients:
        first = clients.submit(unavailable, topic.publish, "first")
        held.wait(10)
        second = clients.submit(topic.publish, "second")
        life.running.settle()
        assert signed == []
        release.set()
        first.result()
        second.result()
    (envelope,) = envelopes(queue)
    assert envelope["Message"] == "second"
    verify(life.running, envelope)


def test_what_is_being_signed_while_a_commit_fails_is_published(life: Lives) -> None:
    """Memory is dropped meanwhile; the key is on disk, and stays."""
    signer = life.broker.runtime.part(Signer)

    async def sign_and_forget() -> str:
        await signer.sign(["text"], "1")
        signer.forget()
        return signer.certificate_url("http://here")

    url = life.run(sign_and_forget())
    assert life.running.request("GET", url.removeprefix("http://here"))[0] == 200
