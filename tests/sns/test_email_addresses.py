"""Addresses of e-mail subscriptions: what is taken, and what is refused lest a mail go to somebody else. Source: RFC 5321."""

import pytest

from tests.sns.topics import Topic
from tests.sqs.queues import refused


@pytest.mark.parametrize(
    "address",
    [
        "pigeon",
        "pigeon@",
        "@example.com",
        "a b@example.com",
        "a,b@example.com",
        "a@b@example.com",
        "a@example.com\nBcc: c@example.com",
        "a@example.com,b@example.com",
        "list:a@example.com",  # a group in a header: the mail would go to a@example.com
        "(comment)a@example.com",
        "=?utf-8?q?a?=@example.com",
        "a\x00b@example.com",
        "a[b@example.com",
        "ü@example.com",
        ".a@example.com",
        "a..b@example.com",
        "a@example..com",
        "a@-example.com",
    ],
)
@pytest.mark.parametrize("protocol", ["email", "email-json"])
def test_what_is_no_address_is_refused(topic: Topic, protocol: str, address: str) -> None:
    with refused("InvalidParameter", text="Invalid parameter: Email address"):
        topic.subscribe(protocol, address)
    assert topic.subscriptions() == []


@pytest.mark.parametrize(
    "address", ["a@b.c", "first.last+tag@sub.example.co.uk", "o'neil_!#$%&*/=?^`{|}~-@x-y.example"]
)
def test_addresses_of_every_form_are_taken(topic: Topic, address: str) -> None:
    assert topic.subscribe("email", address)
