"""Phones that opt out: CheckIfPhoneNumberIsOptedOut, ListPhoneNumbersOptedOut, OptInPhoneNumber, and what is sent to them.

Source: SNS API Reference; Developer Guide, "Managing SMS opt-outs" and "SMS delivery failure reasons".
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import RunningBroker
from tests.sns.deliveries import captured
from tests.sns.inside import ACCOUNT, Inside, serve_inside
from tests.sns.topics import Sns
from tests.sqs.queues import refused

NUMBER = "+15550100"
DAY_S = 86_400


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    async with serve_inside() as served:
        yield served


def test_nobody_has_opted_out_at_first(sns: Sns) -> None:
    assert sns.check_if_phone_number_is_opted_out(phoneNumber=NUMBER)["isOptedOut"] is False
    reply = sns.list_phone_numbers_opted_out()
    assert reply["phoneNumbers"] == []
    assert "nextToken" not in reply


@pytest.mark.parametrize("number", ["", "15550100", "+0155", "+1 555 0100", "+1234567890123456", "nonsense"])
def test_a_number_has_the_form_of_e164(sns: Sns, number: str) -> None:
    text = "Invalid parameter: PhoneNumber Reason: input incorrectly formatted"
    with refused("InvalidParameter", text=text):
        sns.check_if_phone_number_is_opted_out(phoneNumber=number)
    with refused("InvalidParameter", text=text):
        sns.opt_in_phone_number(phoneNumber=number)


def test_a_number_that_has_not_opted_out_may_be_opted_in(sns: Sns) -> None:
    sns.opt_in_phone_number(phoneNumber=NUMBER)
    sns.opt_in_phone_number(phoneNumber=NUMBER)
    assert sns.check_if_phone_number_is_opted_out(phoneNumber=NUMBER)["isOptedOut"] is False


async def test_a_phone_that_has_opted_out_is_listed(inside: Inside) -> None:
    await inside.opt_out(NUMBER)
    assert await inside.opted_out(NUMBER)
    assert not await inside.opted_out(NUMBER + "1")
    assert (await inside.ask("list_phone_numbers_opted_out"))["phoneNumbers"] == [NUMBER]


async def test_phones_are_listed_100_at_a_time(inside: Inside) -> None:
    numbers = [f"+1555{n:04d}" for n in range(101)]
    for number in numbers:
        await inside.opt_out(number)
    first = await inside.ask("list_phone_numbers_opted_out")
    second = await inside.ask("list_phone_numbers_opted_out", nextToken=first["nextToken"])
    assert first["phoneNumbers"] + second["phoneNumbers"] == numbers
    assert len(second["phoneNumbers"]) == 1
    assert "nextToken" not in second


async def test_a_message_to_it_is_accepted_and_not_delivered(inside: Inside) -> None:
    await inside.opt_out(NUMBER)
    message_id = (await inside.ask("publish", PhoneNumber=NUMBER, Message="hello"))["MessageId"]
    assert await records(inside) == []
    (failed,) = await records(inside, status="FAILURE")
    assert failed["MessageId"] == message_id
    assert failed["Destination"] == NUMBER
    assert failed["ProviderResponse"] == "Phone number is opted out"


async def test_a_subscription_of_it_gets_nothing(inside: Inside) -> None:
    topic = (await inside.ask("create_topic", Name="t"))["TopicArn"]
    await inside.ask("subscribe", TopicArn=topic, Protocol="sms", Endpoint="+1 (555) 0100")
    await inside.ask("publish", TopicArn=topic, Message="before")
    await inside.opt_out(NUMBER)
    await inside.ask("publish", TopicArn=topic, Message="after")
    assert [record["Payload"] for record in await records(inside)] == ["before"]


async def test_a_phone_that_is_opted_in_gets_messages_again(inside: Inside) -> None:
    await inside.opt_out(NUMBER)
    await inside.ask("opt_in_phone_number", phoneNumber=NUMBER)
    assert not await inside.opted_out(NUMBER)
    assert (await inside.ask("list_phone_numbers_opted_out"))["phoneNumbers"] == []
    await inside.ask("publish", PhoneNumber=NUMBER, Message="hello")
    assert [record["Payload"] for record in await records(inside)] == ["hello"]


async def test_a_phone_is_opted_in_once_in_30_days(inside: Inside) -> None:
    await inside.opt_out(NUMBER)
    await inside.ask("opt_in_phone_number", phoneNumber=NUMBER)
    await inside.opt_out(NUMBER)
    await inside.advance(30 * DAY_S - 1)
    with refused("InvalidParameter"):
        await inside.ask("opt_in_phone_number", phoneNumber=NUMBER)
    assert await inside.opted_out(NUMBER)
    await inside.advance(1)
    await inside.ask("opt_in_phone_number", phoneNumber=NUMBER)
    assert not await inside.opted_out(NUMBER)


async def test_it_cannot_be_put_into_the_sandbox(inside: Inside) -> None:
    await inside.opt_out(NUMBER + "123")
    with refused("OptedOut"):
        await inside.ask("create_sms_sandbox_phone_number", PhoneNumber=NUMBER + "123")


async def records(inside: Inside, **wanted: Any) -> list[dict[str, Any]]:
    return list(await inside.away(captured, inside.running, ACCOUNT, **wanted))


def test_a_message_to_a_phone_is_captured(sns: Sns, broker: RunningBroker, account: str) -> None:
    message_id = sns.publish(PhoneNumber=NUMBER, Message="hello")["MessageId"]
    (record,) = captured(broker, account)
    assert (record["Protocol"], record["Destination"], record["Payload"]) == ("sms", NUMBER, "hello")
    assert record["MessageId"] == message_id


# The holder's side, over HTTP


def test_a_phone_can_be_opted_out_by_a_test(sns: Sns, broker: RunningBroker, account: str) -> None:
    broker.request_json("POST", f"/_pombo/sns/opt-outs?Account={account}", {"phone_number": NUMBER})
    assert sns.check_if_phone_number_is_opted_out(phoneNumber=NUMBER)["isOptedOut"] is True
    assert sns.list_phone_numbers_opted_out()["phoneNumbers"] == [NUMBER]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", b"the body is not JSON"),
        (b"[]", b"phone_number is None; expected"),
        (b'{"phone_number": "me"}', b"phone_number is 'me'; expected"),
    ],
)
def test_what_is_no_number_is_named(broker: RunningBroker, body: bytes, text: bytes) -> None:
    status, _, answer = broker.request("POST", "/_pombo/sns/opt-outs", body)
    assert status == 400
    assert text in answer
