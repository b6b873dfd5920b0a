"""Deliveries to HTTP endpoints: confirmation, headers, retries at the policy's instants, giving up.

`clock.advance(0)` answers when everything that is due now has been done: what was published has left. Source: B2; SNS Developer
Guide, "HTTP/HTTPS headers", "Message delivery retries".
"""

import base64
import json
from collections.abc import Callable
from contextlib import closing
from urllib.request import urlopen

import pytest

from tests.conftest import MessageClock, RunningBroker
from tests.sns.conftest import make_client
from tests.sns.endpoint import Endpoint
from tests.sns.topics import Topic, subscription_attributes
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, refused

SubscribeHook = Callable[..., str]


def retry_policy(**policy: int | str) -> str:
    return json.dumps({"healthyRetryPolicy": policy})


def test_an_endpoint_is_asked_to_confirm(topic: Topic, hook: Endpoint, clock: MessageClock) -> None:
    arn = topic.subscribe("http", hook.url)
    clock.advance(0)
    (request,) = hook.requests
    document = request.document
    assert request.path == "/hook"
    assert request.headers["x-amz-sns-message-type"] == document["Type"] == "SubscriptionConfirmation"
    assert request.headers["x-amz-sns-message-id"] == document["MessageId"]
    assert request.headers["x-amz-sns-topic-arn"] == document["TopicArn"] == topic.arn
    assert "x-amz-sns-subscription-arn" not in request.headers
    assert request.headers["content-type"] == "text/plain; charset=UTF-8"
    assert request.headers["user-agent"] == "Amazon Simple Notification Service Agent"
    assert document["Message"] == (
        f"You have chosen to subscribe to the topic {topic.arn}.\n"
        "To confirm the subscription, visit the SubscribeURL included in this message."
    )
    assert document["Token"] in document["SubscribeURL"]
    assert subscription_attributes(topic.sns, arn)["PendingConfirmation"] == "true"


def test_nothing_is_delivered_before_that(topic: Topic, hook: Endpoint, clock: MessageClock) -> None:
    topic.subscribe("http", hook.url)
    topic.publish()
    clock.advance(0)
    assert hook.notifications == []


def test_visiting_the_link_confirms(topic: Topic, hook: Endpoint, clock: MessageClock) -> None:
    arn = topic.subscribe("http", hook.url)
    clock.advance(0)
    with urlopen(hook.requests[0].document["SubscribeURL"]) as reply:  # unsigned
        assert f"<SubscriptionArn>{arn}</SubscriptionArn>" in reply.read().decode()
    attributes = subscription_attributes(topic.sns, arn)
    assert (attributes["PendingConfirmation"], attributes["ConfirmationWasAuthenticated"]) == ("false", "false")


def test_a_token_is_valid_for_two_days(topic: Topic, hook: Endpoint, clock: MessageClock) -> None:
    topic.subscribe("http", hook.url)
    clock.advance(0)
    clock.advance(2 * 86_400)
    with refused("InvalidParameter", text="Invalid parameter: Token"):
        topic.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token())


def test_asking_again_gives_two_more_days(topic: Topic, hook: Endpoint, clock: MessageClock) -> None:
    arn = topic.subscribe("http", hook.url)
    clock.advance(86_400)
    topic.subscribe("http", hook.url)
    clock.advance(2 * 86_400 - 1)
    assert topic.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token())["SubscriptionArn"] == arn
    clock.advance(86_400)
    assert [s["SubscriptionArn"] for s in topic.subscriptions()] == [arn]


def test_a_made_up_token_is_refused(topic: Topic) -> None:
    with refused("InvalidParameter", text="Invalid parameter: Token"):
        topic.sns.confirm_subscription(TopicArn=topic.arn, Token="0" * 64)


def test_a_confirmed_endpoint_gets_notifications(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    arn = subscribe_hook(topic)
    message_id = topic.publish("hello", Subject="greeting")["MessageId"]
    clock.advance(0)
    (request,) = hook.notifications
    assert request.headers["x-amz-sns-message-type"] == "Notification"
    assert request.headers["x-amz-sns-message-id"] == message_id
    assert request.headers["x-amz-sns-subscription-arn"] == arn
    assert "x-amz-sns-rawdelivery" not in request.headers
    assert (request.document["Message"], request.document["Subject"]) == ("hello", "greeting")


def test_raw_delivery_says_so(topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock) -> None:
    subscribe_hook(topic, RawMessageDelivery="true")
    topic.publish("hello")
    clock.advance(0)
    (request,) = hook.notifications
    assert request.body == "hello"
    assert request.headers["x-amz-sns-rawdelivery"] == "true"


def test_the_request_policy_names_the_content_type(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    policy = json.dumps({"requestPolicy": {"headerContentType": "application/json"}})
    subscribe_hook(topic, DeliveryPolicy=policy)
    topic.publish()
    clock.advance(0)
    assert hook.notifications[0].headers["content-type"] == "application/json"


def test_a_user_in_the_url_is_basic_authorization(topic: Topic, hook: Endpoint, clock: MessageClock) -> None:
    topic.subscribe("http", hook.url.replace("http://", "http://pigeon:se%20cret@"))
    clock.advance(0)
    expected = base64.b64encode(b"pigeon:se cret").decode()
    assert hook.requests[0].headers["authorization"] == f"Basic {expected}"


def test_nobody_is_told_the_password_in_an_endpoint(topic: Topic, hook: Endpoint) -> None:
    endpoint = hook.url.replace("http://", "http://pigeon:se%20cret@")
    arn = topic.subscribe("http", endpoint)
    shown = hook.url.replace("http://", "http://pigeon:****@")
    assert [s["Endpoint"] for s in topic.subscriptions()] == [shown]
    assert subscription_attributes(topic.sns, arn)["Endpoint"] == shown
    assert topic.subscribe("http", endpoint) == arn


def test_a_failure_is_retried_three_times_twenty_seconds_apart(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    subscribe_hook(topic)
    hook.answers = [500] * 10
    topic.publish()
    clock.advance(0)
    for attempts in (1, 2, 3):
        assert len(hook.notifications) == attempts
        clock.advance(19)
        assert len(hook.notifications) == attempts
        clock.advance(1)
    assert len(hook.notifications) == 4
    clock.advance(86_400)
    assert len(hook.notifications) == 4
    assert len({request.headers["x-amz-sns-message-id"] for request in hook.notifications}) == 1


def test_each_phase_of_a_policy_has_its_instants(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    """2 without delay, 2 at the minimum, 3 growing from 10 to 30 seconds, 2 at the maximum."""
    subscribe_hook(
        topic,
        DeliveryPolicy=retry_policy(
            minDelayTarget=10,
            maxDelayTarget=30,
            numRetries=9,
            numNoDelayRetries=2,
            numMinDelayRetries=2,
            numMaxDelayRetries=2,
            backoffFunction="linear",
        ),
    )
    hook.answers = [503] * 20
    topic.publish()
    clock.advance(0)
    assert len(hook.notifications) == 3  # the first attempt, and two retries at once
    for number, delay_s in enumerate((10, 10, 10, 20, 30, 30, 30)):
        clock.advance(delay_s - 1)
        assert len(hook.notifications) == 3 + number
        clock.advance(1)
        assert len(hook.notifications) == 4 + number
    clock.advance(86_400)
    assert len(hook.notifications) == 10


def test_an_endpoint_that_recovers_gets_the_message_once(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    subscribe_hook(topic)
    hook.answers = [500, 429]
    topic.publish()
    clock.advance(3_600)
    assert len(hook.notifications) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_the_endpoints_own_refusal_is_not_retried(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock, status: int
) -> None:
    subscribe_hook(topic)
    hook.answers = [status]
    topic.publish()
    clock.advance(3_600)
    assert len(hook.notifications) == 1


def test_redirects_are_not_followed(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    subscribe_hook(topic)
    hook.answers = [302] * 10
    topic.publish()
    clock.advance(0)
    assert len(hook.notifications) == 1


def test_what_cannot_be_delivered_ends_in_the_dead_letter_queue(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock, queue: Queue
) -> None:
    subscribe_hook(topic, RedrivePolicy=json.dumps({"deadLetterTargetArn": queue.arn}))
    hook.answers = [500] * 4
    topic.publish("undeliverable")
    clock.advance(59)
    assert queue.receive() == []
    clock.advance(1)
    body = queue.receive_one()["Body"]
    assert body == hook.notifications[0].body
    assert json.loads(body)["Message"] == "undeliverable"


def test_a_client_error_goes_there_at_once(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock, queue: Queue
) -> None:
    subscribe_hook(topic, RedrivePolicy=json.dumps({"deadLetterTargetArn": queue.arn}), RawMessageDelivery="true")
    hook.answers = [404]
    topic.publish("refused")
    clock.advance(0)
    assert queue.receive_one()["Body"] == "refused"


def test_a_throttled_endpoint_gets_so_many_a_second(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    subscribe_hook(topic, DeliveryPolicy=json.dumps({"throttlePolicy": {"maxReceivesPerSecond": 2}}))
    clock.advance(1)  # the confirmation counts too
    for number in range(5):
        topic.publish(str(number))
    clock.advance(0)
    assert len(hook.notifications) == 2
    clock.advance(1)
    assert len(hook.notifications) == 4
    clock.advance(1)
    assert len(hook.notifications) == 5


def test_an_endpoint_that_is_away_holds_up_nobody_else(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock, queue: Queue
) -> None:
    topic.subscribe("http", "http://127.0.0.1:1/")  # nobody listens; it never confirms
    subscribe_hook(topic)
    topic.subscribe_queue(queue)
    topic.publish()
    clock.advance(0)
    assert len(hook.notifications) == 1
    assert len(queue.receive()) == 1


def test_unsubscribing_is_confirmed_and_can_be_undone(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    arn = subscribe_hook(topic)
    topic.sns.unsubscribe(SubscriptionArn=arn)
    clock.advance(0)
    (request,) = hook.of_type("UnsubscribeConfirmation")
    assert request.headers["x-amz-sns-subscription-arn"] == arn
    document = request.document
    assert document["Message"] == (
        f"You have chosen to deactivate subscription {arn}.\n"
        "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
    )
    assert topic.subscriptions() == []
    with urlopen(document["SubscribeURL"]) as reply:
        assert reply.status == 200
    topic.publish()
    clock.advance(0)
    assert len(hook.notifications) == 1


def test_awss_cooldown_after_a_purge_is_not_for_subscriptions(
    broker_with_cooldowns: RunningBroker, account: str, hook: Endpoint
) -> None:
    """What waits for an endpoint is dropped when it unsubscribes; it may change its mind as often as it likes."""
    clock = MessageClock(broker_with_cooldowns)
    with closing(make_client(broker_with_cooldowns.url, account)) as sns:
        topic = Topic(sns, sns.create_topic(Name="topic")["TopicArn"])
        arn = topic.subscribe("http", hook.url)
        for kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation", "UnsubscribeConfirmation"):
            clock.advance(0)
            sns.confirm_subscription(TopicArn=topic.arn, Token=hook.of_type(kind)[-1].document["Token"])
            sns.unsubscribe(SubscriptionArn=arn)
        assert topic.attributes()["SubscriptionsDeleted"] == "3"


def test_an_endpoint_that_has_subscribed_anew_is_told_which_one_holds(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    topic.sns.unsubscribe(SubscriptionArn=subscribe_hook(topic))
    clock.advance(0)
    token = hook.of_type("UnsubscribeConfirmation")[0].document["Token"]
    arn = subscribe_hook(topic)
    assert topic.sns.confirm_subscription(TopicArn=topic.arn, Token=token)["SubscriptionArn"] == arn
    assert [s["SubscriptionArn"] for s in topic.subscriptions()] == [arn]


def test_the_link_in_a_notification_unsubscribes(
    topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    subscribe_hook(topic)
    topic.publish()
    clock.advance(0)
    with urlopen(hook.notifications[0].document["UnsubscribeURL"]) as reply:
        assert reply.status == 200
    assert topic.subscriptions() == []


def test_a_guarded_subscription_ends_for_its_owners_alone(
    topic: Topic, hook: Endpoint, clock: MessageClock, broker: RunningBroker
) -> None:
    topic.subscribe("http", hook.url)
    clock.advance(0)
    reply = topic.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token(), AuthenticateOnUnsubscribe="true")
    arn = reply["SubscriptionArn"]
    status, _, body = broker.request("GET", f"/?Action=Unsubscribe&SubscriptionArn={arn}")
    assert (status, b"<Code>AuthorizationError</Code>" in body) == (403, True)
    topic.sns.unsubscribe(SubscriptionArn=arn)
    assert topic.subscriptions() == []


def test_messages_for_many_endpoints_go_out_side_by_side(
    make_queue: MakeQueue, topic: Topic, hook: Endpoint, clock: MessageClock
) -> None:
    for number in range(20):
        topic.subscribe("http", f"{hook.url}/{number}")
    clock.advance(0)
    for request in list(hook.requests):
        topic.sns.confirm_subscription(TopicArn=topic.arn, Token=request.document["Token"])
    topic.publish()
    clock.advance(0)
    assert {request.path for request in hook.notifications} == {f"/hook/{number}" for number in range(20)}
