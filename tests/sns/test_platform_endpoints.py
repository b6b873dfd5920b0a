"""Platform endpoints: made, changed, deleted, published to, subscribed. Source: SNS API Reference; Developer Guide."""

import json
from typing import Any

import pytest

from tests.conftest import RunningBroker
from tests.sns.conftest import MakeTopic
from tests.sns.deliveries import captured
from tests.sns.platforms import Application, create_application, endpoint_attributes, set_endpoint
from tests.sns.topics import Sns, Topic, envelopes
from tests.sqs.queues import Queue, refused

GONE = "Endpoint does not exist"


@pytest.fixture
def application(sns: Sns) -> Application:
    return create_application(sns, "app", "GCM")


@pytest.fixture
def endpoint(application: Application) -> str:
    return application.create_endpoint()


def taken(arn: str) -> str:
    return (
        f"Invalid parameter: Token Reason: Endpoint {arn} already exists with the same Token, but different attributes."
    )


def test_an_endpoint_belongs_to_its_application(application: Application, endpoint: str) -> None:
    assert endpoint.startswith(application.arn.replace(":app/", ":endpoint/") + "/")
    assert application.endpoints() == {endpoint: {"Enabled": "true", "Token": "a token"}}


def test_attributes_are_returned(sns: Sns, application: Application) -> None:
    arn = application.create_endpoint(CustomUserData="user 1", Attributes={"Enabled": "false"})
    assert endpoint_attributes(sns, arn) == {"Enabled": "false", "Token": "a token", "CustomUserData": "user 1"}


def test_the_same_token_is_the_same_endpoint(application: Application) -> None:
    arn = application.create_endpoint("t", CustomUserData="u")
    assert application.create_endpoint("t", CustomUserData="u") == arn
    assert application.create_endpoint("t", CustomUserData="u", Attributes={"Enabled": "true"}) == arn
    assert application.create_endpoint("another", CustomUserData="u") != arn


@pytest.mark.parametrize(
    "different", [{"CustomUserData": "v"}, {}, {"CustomUserData": "u", "Attributes": {"Enabled": "false"}}]
)
def test_the_same_token_with_other_attributes_is_refused(application: Application, different: dict[str, Any]) -> None:
    arn = application.create_endpoint("t", CustomUserData="u")
    with refused("InvalidParameter", text=taken(arn)):
        application.create_endpoint("t", **different)


def test_a_disabled_endpoint_is_found_by_its_token(sns: Sns, application: Application, endpoint: str) -> None:
    """So the Developer Guide has apps register: create, then look whether the endpoint is enabled."""
    set_endpoint(sns, endpoint, Enabled="false")
    assert application.create_endpoint() == endpoint


def test_endpoints_are_listed_100_at_a_time(sns: Sns, application: Application) -> None:
    made = {application.create_endpoint(f"token-{n}") for n in range(102)}
    first = sns.list_endpoints_by_platform_application(PlatformApplicationArn=application.arn)
    assert len(first["Endpoints"]) == 100
    assert first["NextToken"]
    assert set(application.endpoints()) == made


def test_attributes_are_set(sns: Sns, application: Application, endpoint: str) -> None:
    set_endpoint(sns, endpoint, Token="new", Enabled="False", CustomUserData="mine")
    assert endpoint_attributes(sns, endpoint) == {"Enabled": "false", "Token": "new", "CustomUserData": "mine"}
    set_endpoint(sns, endpoint, CustomUserData="")
    assert endpoint_attributes(sns, endpoint) == {"Enabled": "false", "Token": "new"}
    assert application.create_endpoint("a token") != endpoint


def test_a_token_is_one_endpoints(sns: Sns, application: Application, endpoint: str) -> None:
    other = application.create_endpoint("other")
    with refused("InvalidParameter", text=taken(endpoint)):
        set_endpoint(sns, other, Token="a token")
    set_endpoint(sns, other, Token="other")


@pytest.mark.parametrize(
    "wrong", [{"Enabled": "maybe"}, {"Enabled": ""}, {"Token": ""}, {"Nonsense": "x"}, {"ChannelId": "x"}]
)
def test_wrong_attributes_are_refused(sns: Sns, endpoint: str, wrong: dict[str, str]) -> None:
    with refused("InvalidParameter"):
        set_endpoint(sns, endpoint, **wrong)


def test_an_endpoint_needs_a_token(application: Application) -> None:
    with refused("InvalidParameter"):
        application.create_endpoint("")


def test_user_data_has_up_to_2048_bytes(application: Application) -> None:
    application.create_endpoint("t", CustomUserData="ä" * 1024)
    text = "Invalid parameter: CustomUserData Reason: must be at most 2048 bytes long in UTF-8 encoding"
    with refused("InvalidParameter", text=text):
        application.create_endpoint("u", CustomUserData="ä" * 1024 + "x")


def test_ios_tokens_are_hexadecimal_and_shown_in_lower_case(sns: Sns) -> None:
    application = create_application(sns, "ios", "APNS")
    endpoint = application.create_endpoint("00FF" * 16)
    assert endpoint_attributes(sns, endpoint)["Token"] == "00ff" * 16
    assert application.create_endpoint("00ff" * 16) == endpoint
    text = "Invalid parameter: Token Reason: iOS device tokens must be no more than 400 hexadecimal characters"
    for token in ("no digits", "0" * 401):
        with refused("InvalidParameter", text=text):
            application.create_endpoint(token)


def test_baidus_endpoints_are_named_by_channel_and_user(sns: Sns) -> None:
    application = create_application(sns, "baidu", "BAIDU")
    arn = application.create_endpoint("channel", Attributes={"ChannelId": "channel", "UserId": "user"})
    assert endpoint_attributes(sns, arn) == {
        "Enabled": "true",
        "Token": "channel",
        "ChannelId": "channel",
        "UserId": "user",
    }
    with refused("InvalidParameter"):
        application.create_endpoint("channel 2", Attributes={"ChannelId": "channel 2"})
    with refused("InvalidParameter"):
        application.create_endpoint("another", Attributes={"ChannelId": "channel 3", "UserId": "user"})


def test_a_deleted_endpoint_is_gone_and_may_be_deleted_again(sns: Sns, application: Application, endpoint: str) -> None:
    sns.delete_endpoint(EndpointArn=endpoint)
    with refused("NotFound", text=GONE, status=404):
        endpoint_attributes(sns, endpoint)
    with refused("NotFound", text=GONE, status=404):
        set_endpoint(sns, endpoint, Enabled="true")
    sns.delete_endpoint(EndpointArn=endpoint)
    assert application.create_endpoint() != endpoint


def test_what_is_no_arn_of_an_endpoint_is_refused(sns: Sns, application: Application) -> None:
    text = "Invalid parameter: EndpointArn Reason: An ARN must have at least 6 elements, not 1"
    with refused("InvalidParameter", text=text):
        endpoint_attributes(sns, "nonsense")
    with refused("InvalidParameter"):
        endpoint_attributes(sns, application.arn)


# Publishing


def test_a_message_to_an_endpoint_is_captured(sns: Sns, broker: RunningBroker, account: str, endpoint: str) -> None:
    message_id = sns.publish(TargetArn=endpoint, Message="hello")["MessageId"]
    (record,) = captured(broker, account)
    assert record["Protocol"] == "application"
    assert record["Destination"] == endpoint
    assert record["MessageId"] == message_id
    assert record["Payload"] == "hello"


def test_an_endpoint_gets_its_platforms_text(sns: Sns, broker: RunningBroker, account: str, endpoint: str) -> None:
    texts = {"default": "for all", "GCM": '{"notification":{"body":"x"}}', "APNS": "not this"}
    sns.publish(TargetArn=endpoint, Message=json.dumps(texts), MessageStructure="json")
    sns.publish(TargetArn=endpoint, Message=json.dumps({"default": "for all"}), MessageStructure="json")
    assert [record["Payload"] for record in captured(broker, account)] == [texts["GCM"], "for all"]


def test_a_missing_endpoint_is_no_target(sns: Sns, endpoint: str) -> None:
    text = "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"
    with refused("InvalidParameter", text=text):
        sns.publish(TargetArn=endpoint + "x", Message="hello")


def test_a_disabled_endpoint_is_refused_until_it_is_enabled(sns: Sns, endpoint: str) -> None:
    set_endpoint(sns, endpoint, Enabled="false")
    with refused("EndpointDisabled", text="Endpoint is disabled"):
        sns.publish(TargetArn=endpoint, Message="hello")
    set_endpoint(sns, endpoint, Enabled="true")
    sns.publish(TargetArn=endpoint, Message="hello")


def test_a_disabled_application_is_refused(sns: Sns, application: Application, endpoint: str) -> None:
    application.set(Enabled="false")
    with refused("PlatformApplicationDisabled"):
        sns.publish(TargetArn=endpoint, Message="hello")


# Subscriptions


def test_a_subscribed_endpoint_gets_its_platforms_text(
    topic: Topic, broker: RunningBroker, account: str, endpoint: str
) -> None:
    subscription = topic.subscribe("application", endpoint)
    topic.publish(json.dumps({"default": "for all", "GCM": "for Firebase"}), MessageStructure="json")
    (record,) = captured(broker, account)
    assert record["SubscriptionArn"] == subscription
    assert record["Payload"] == "for Firebase"


def test_a_missing_endpoint_cannot_subscribe(topic: Topic, application: Application, endpoint: str) -> None:
    text = f"Invalid parameter: Endpoint Reason: Endpoint does not exist for endpoint {endpoint}x"
    with refused("InvalidParameter", text=text):
        topic.subscribe("application", endpoint + "x")
    with refused("InvalidParameter"):
        topic.subscribe("application", application.arn)


def test_a_deleted_endpoint_stays_subscribed_and_its_messages_are_dead(
    topic: Topic, queue: Queue, broker: RunningBroker, account: str, endpoint: str
) -> None:
    """ "When you delete an endpoint that is also subscribed to a topic, then you must also unsubscribe the endpoint." """
    topic.set("ApplicationFailureFeedbackRoleArn", "arn:aws:iam::111111111111:role/feedback")
    dead_letters = json.dumps({"deadLetterTargetArn": queue.arn})
    subscription = topic.subscribe("application", endpoint, RedrivePolicy=dead_letters)
    topic.sns.delete_endpoint(EndpointArn=endpoint)
    assert [s["SubscriptionArn"] for s in topic.subscriptions()] == [subscription]
    topic.publish("hello")
    assert queue.receive_one()["Body"] == "hello"
    (record,) = captured(broker, account, status="FAILURE")
    assert record["ProviderResponse"] == GONE


def test_a_disabled_endpoints_messages_are_dead(topic: Topic, queue: Queue, sns: Sns, endpoint: str) -> None:
    topic.subscribe("application", endpoint, RedrivePolicy=json.dumps({"deadLetterTargetArn": queue.arn}))
    set_endpoint(sns, endpoint, Enabled="false")
    topic.publish("1")
    set_endpoint(sns, endpoint, Enabled="true")
    topic.publish("2")
    assert queue.receive_bodies() == ["1"]


# Application events


def test_events_are_published_to_the_applications_topics(
    sns: Sns, topic: Topic, queue: Queue, application: Application
) -> None:
    topic.subscribe_queue(queue)
    application.set(EventEndpointCreated=topic.arn, EventEndpointUpdated=topic.arn, EventEndpointDeleted=topic.arn)
    endpoint = application.create_endpoint()
    application.create_endpoint()
    set_endpoint(sns, endpoint, CustomUserData="x")
    set_endpoint(sns, endpoint, CustomUserData="x")
    sns.delete_endpoint(EndpointArn=endpoint)
    sns.delete_endpoint(EndpointArn=endpoint)
    events = [json.loads(envelope["Message"]) for envelope in envelopes(queue)]
    assert [event["EventType"] for event in events] == ["EndpointCreated", "EndpointUpdated", "EndpointDeleted"]
    assert {(event["EndpointArn"], event["Resource"]) for event in events} == {(endpoint, application.arn)}


def test_an_event_without_its_topic_is_missed(make_topic: MakeTopic, application: Application) -> None:
    topic, fifo = make_topic("gone"), make_topic("fifo", FifoTopic="true")
    application.set(EventEndpointCreated=topic.arn, EventEndpointUpdated=fifo.arn)
    topic.sns.delete_topic(TopicArn=topic.arn)
    endpoint = application.create_endpoint()
    set_endpoint(topic.sns, endpoint, CustomUserData="x")
    assert list(application.endpoints()) == [endpoint]
