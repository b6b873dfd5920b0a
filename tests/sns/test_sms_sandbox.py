"""The SMS sandbox, and ListOriginationNumbers. Source: SNS API Reference."""

import re

import pytest

from tests.conftest import RunningBroker
from tests.sns.conftest import MakeSns
from tests.sns.deliveries import captured
from tests.sns.topics import Sns
from tests.sqs.queues import refused

NUMBER = "+15550100123"


def numbers(sns: Sns) -> dict[str, str]:
    return {n["PhoneNumber"]: n["Status"] for n in sns.list_sms_sandbox_phone_numbers()["PhoneNumbers"]}


def passwords(broker: RunningBroker, account: str, number: str = NUMBER) -> list[str]:
    """The one-time passwords that a phone was sent."""
    texts = [record["Payload"] for record in captured(broker, account) if record["Destination"] == number]
    return [re.findall(r"[0-9]{5,8}", text)[0] for text in texts]


def another(password: str) -> str:
    return "000000" if password != "000000" else "000001"


def test_an_account_is_not_held_in_the_sandbox(sns: Sns) -> None:
    assert sns.get_sms_sandbox_account_status()["IsInSandbox"] is False


def test_a_phone_is_pending_until_it_is_verified(sns: Sns, broker: RunningBroker, account: str) -> None:
    assert numbers(sns) == {}
    sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER, LanguageCode="de-DE")
    assert numbers(sns) == {NUMBER: "Pending"}
    (password,) = passwords(broker, account)
    sns.verify_sms_sandbox_phone_number(PhoneNumber=NUMBER, OneTimePassword=password)
    assert numbers(sns) == {NUMBER: "Verified"}


def test_a_wrong_password_does_not_verify(sns: Sns, broker: RunningBroker, account: str) -> None:
    sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    (password,) = passwords(broker, account)
    with refused("VerificationException"):
        sns.verify_sms_sandbox_phone_number(PhoneNumber=NUMBER, OneTimePassword=another(password))
    assert numbers(sns) == {NUMBER: "Pending"}


def test_a_pending_phone_is_sent_another_password_that_counts(sns: Sns, broker: RunningBroker, account: str) -> None:
    sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    assert numbers(sns) == {NUMBER: "Pending"}
    first, second = passwords(broker, account)
    if first != second:
        with refused("VerificationException"):
            sns.verify_sms_sandbox_phone_number(PhoneNumber=NUMBER, OneTimePassword=first)
    sns.verify_sms_sandbox_phone_number(PhoneNumber=NUMBER, OneTimePassword=second)


def test_a_verified_phone_is_not_put_in_again(sns: Sns, broker: RunningBroker, account: str) -> None:
    sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    sns.verify_sms_sandbox_phone_number(PhoneNumber=NUMBER, OneTimePassword=passwords(broker, account)[0])
    with refused("UserError"):
        sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    assert numbers(sns) == {NUMBER: "Verified"}


@pytest.mark.parametrize("password", ["1234", "123456789", "12a456", "-12345", ""])
def test_a_password_has_5_to_8_digits(sns: Sns, password: str) -> None:
    sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    with refused("ValidationError"):
        sns.verify_sms_sandbox_phone_number(PhoneNumber=NUMBER, OneTimePassword=password)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("+1555", "ValidationError"),
        ("nonsense", "ValidationError"),
        ("1" * 10, "ValidationError"),
        ("+" + "1" * 20, "ValidationError"),
        ("15550100", "InvalidParameter"),
        ("", "InvalidParameter"),
    ],
)
def test_a_number_is_international(sns: Sns, number: str, code: str) -> None:
    with refused(code):
        sns.create_sms_sandbox_phone_number(PhoneNumber=number)
    with refused(code):
        sns.verify_sms_sandbox_phone_number(PhoneNumber=number, OneTimePassword="123456")
    with refused(code):
        sns.delete_sms_sandbox_phone_number(PhoneNumber=number)
    assert numbers(sns) == {}


def test_an_unknown_language_is_refused(sns: Sns) -> None:
    with refused("ValidationError"):
        sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER, LanguageCode="tlh")


def test_a_sandbox_has_10_phones(sns: Sns) -> None:
    for n in range(10):
        sns.create_sms_sandbox_phone_number(PhoneNumber=f"{NUMBER}{n}")
    with refused("UserError"):
        sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    sns.delete_sms_sandbox_phone_number(PhoneNumber=f"{NUMBER}0")
    sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    assert len(numbers(sns)) == 10


def test_a_deleted_phone_is_gone(sns: Sns) -> None:
    sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    sns.delete_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    assert numbers(sns) == {}
    with refused("ResourceNotFound", status=404):
        sns.delete_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    with refused("ResourceNotFound", status=404):
        sns.verify_sms_sandbox_phone_number(PhoneNumber=NUMBER, OneTimePassword="123456")


def test_phones_are_listed_page_by_page(sns: Sns) -> None:
    made = [f"{NUMBER}{n}" for n in range(5)]
    for number in reversed(made):
        sns.create_sms_sandbox_phone_number(PhoneNumber=number)
    pages = sns.get_paginator("list_sms_sandbox_phone_numbers").paginate(PaginationConfig={"PageSize": 2})
    assert [[n["PhoneNumber"] for n in page["PhoneNumbers"]] for page in pages] == [made[:2], made[2:4], made[4:]]


@pytest.mark.parametrize("size", [0, 101, -1])
def test_a_page_of_phones_has_1_to_100(sns: Sns, size: int) -> None:
    sns.list_sms_sandbox_phone_numbers(MaxResults=100)
    with refused("ValidationError"):
        sns.list_sms_sandbox_phone_numbers(MaxResults=size)


@pytest.mark.parametrize("size", [0, 31])
def test_an_account_has_no_origination_numbers(sns: Sns, size: int) -> None:
    assert sns.list_origination_numbers(MaxResults=30)["PhoneNumbers"] == []
    with refused("ValidationError"):
        sns.list_origination_numbers(MaxResults=size)


def test_accounts_and_regions_are_apart(sns: Sns, sns_of: MakeSns) -> None:
    sns.create_sms_sandbox_phone_number(PhoneNumber=NUMBER)
    assert numbers(sns_of(region="eu-west-1")) == {}
