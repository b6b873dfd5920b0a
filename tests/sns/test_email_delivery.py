"""E-mail through a mail server: confirmations, notifications as text and as JSON, retries, and giving up.

Source: SNS Developer Guide, "Email notifications" and "Message delivery retries" (SMTP: 50 retries, the first 10 seconds after
the first attempt).
"""

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.conftest import MessageClock, RunningBroker, serve
from tests.sns.conftest import Deliveries, MakeTopic, make_client
from tests.sns.deliveries import captured
from tests.sns.mail_server import Mail, MailServer, mail_server
from tests.sns.topics import Topic, string, subscription_attributes
from tests.sqs.queues import Queue

ACCOUNT = "123456789012"
serving = contextmanager(serve)
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def broker(mail: MailServer) -> Iterator[RunningBroker]:
    """A broker that sends e-mail."""
    yield from serve(smtp=mail.address)


@pytest.fixture
def address() -> str:
    """A mailbox of the test's own."""
    return f"pigeon-{next(_numbers)}@example.com"


class Mailbox:
    """A mailbox that has confirmed its subscription."""

    def __init__(self, mail: MailServer, clock: MessageClock, address: str) -> None:
        self._mail, self._clock, self._address = mail, clock, address
        self.seen = 0

    def confirm(self, topic: Topic) -> None:
        """Do what the newest letter asks for."""
        self._clock.advance(0)
        (letter,) = self.new()
        link = str(json.loads(letter.text)["SubscribeURL"]) if letter.text.startswith("{") else links(letter)[0]
        with urlopen(link) as reply:
            assert reply.status == 200

    def new(self) -> list[Mail]:
        """What has come since the last look."""
        found = self._mail.to(self._address)[self.seen :]
        self.seen += len(found)
        return found

    def attempts(self) -> int:
        """How often the mail server was asked to take a mail to it."""
        return self._mail.asked.count(self._address)


def links(letter: Mail) -> list[str]:
    return re.findall(r"http://\S+", letter.text)


@pytest.fixture
def mailbox(mail: MailServer, clock: MessageClock, address: str) -> Mailbox:
    return Mailbox(mail, clock, address)


def test_a_confirmation(topic: Topic, mailbox: Mailbox, address: str, clock: MessageClock) -> None:
    arn = topic.subscribe("email", address)
    clock.advance(0)
    (letter,) = mailbox.new()
    assert (letter.sender, letter.recipients) == ("no-reply@sns.amazonaws.com", [address])
    assert letter.content["From"] == "AWS Notifications <no-reply@sns.amazonaws.com>"
    assert letter.content["To"] == address
    assert letter.subject == "AWS Notification - Subscription Confirmation"
    assert letter.content["Message-ID"]
    assert topic.arn in letter.text
    with urlopen(links(letter)[0]) as reply:
        assert f"<SubscriptionArn>{arn}</SubscriptionArn>" in reply.read().decode()
    assert subscription_attributes(topic.sns, arn)["PendingConfirmation"] == "false"


def test_a_notification_is_its_text(topic: Topic, mailbox: Mailbox, address: str, clock: MessageClock) -> None:
    topic.subscribe("email", address)
    mailbox.confirm(topic)
    message_id = topic.publish("hello\n\n.dots\n..\nFrom a pigeon", Subject="greeting")["MessageId"]
    clock.advance(0)
    (letter,) = mailbox.new()
    assert letter.subject == "greeting"
    assert letter.content.get_content_type() == "text/plain"
    assert letter.text.startswith("hello\n\n.dots\n..\nFrom a pigeon\n")
    assert letter.content["Message-ID"] == f"<{message_id}@sns.amazonaws.com>"
    with urlopen(links(letter)[-1]) as reply:
        assert reply.status == 200
    assert topic.subscriptions() == []


def test_a_message_without_a_subject_has_awss(
    topic: Topic, mailbox: Mailbox, address: str, clock: MessageClock
) -> None:
    topic.subscribe("email", address)
    mailbox.confirm(topic)
    topic.publish()
    clock.advance(0)
    assert mailbox.new()[0].subject == "AWS Notification Message"


@pytest.mark.parametrize(
    "text",
    [
        "grüße \U0001f600",
        "x" * 5_000 + "ü" * 5_000,
        "a short line\n" * 15_000,
        "=3D and =\n trailing \n\ttabs\t\n",
        "\x01\x1b control \x7f",
    ],
    ids=["unicode", "long lines", "many lines", "equals signs", "control characters"],
)
def test_every_text_arrives_in_ascii(
    topic: Topic, mailbox: Mailbox, address: str, clock: MessageClock, text: str
) -> None:
    topic.subscribe("email", address)
    mailbox.confirm(topic)
    topic.publish(text, Subject="grüße")
    clock.advance(0)
    (letter,) = mailbox.new()
    assert letter.subject == "grüße"
    assert letter.text.startswith(text)
    assert letter.raw.isascii()
    assert max(map(len, letter.raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("name", ["The news", "Grüße, Söhne & Co.", '"quoted" <x@y>', "a" * 100])
def test_the_display_name_is_the_senders(
    make_topic: MakeTopic, mailbox: Mailbox, address: str, clock: MessageClock, name: str
) -> None:
    topic = make_topic(DisplayName=name)
    topic.subscribe("email", address)
    mailbox.confirm(topic)
    topic.publish()
    clock.advance(0)
    (sender,) = mailbox.new()[0].content["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, "no-reply@sns.amazonaws.com")


def test_line_separators_are_spaces_in_a_header(
    make_topic: MakeTopic, mailbox: Mailbox, address: str, clock: MessageClock
) -> None:
    topic = make_topic(DisplayName="two\u2028lines")
    topic.subscribe("email", address)
    mailbox.confirm(topic)
    topic.publish(Subject="of\u2028three\x85lines")
    clock.advance(0)
    (letter,) = mailbox.new()
    assert letter.subject == "of three lines"
    assert letter.content["From"].addresses[0].display_name == "two lines"


def test_a_mailbox_has_its_own_text(topic: Topic, mailbox: Mailbox, address: str, clock: MessageClock) -> None:
    topic.subscribe("email", address)
    mailbox.confirm(topic)
    topic.publish('{"default":"for all","email":"for mailboxes"}', MessageStructure="json")
    clock.advance(0)
    assert mailbox.new()[0].text.startswith("for mailboxes\n")


def test_json_is_the_document(topic: Topic, mailbox: Mailbox, address: str, clock: MessageClock) -> None:
    topic.subscribe("email-json", address)
    mailbox.confirm(topic)
    message_id = topic.publish("grüße", Subject="s", MessageAttributes={"a": string("x")})["MessageId"]
    clock.advance(0)
    (letter,) = mailbox.new()
    document = json.loads(letter.text)
    assert (document["Type"], document["MessageId"], document["Message"]) == ("Notification", message_id, "grüße")
    assert document["MessageAttributes"] == {"a": {"Type": "String", "Value": "x"}}
    assert document["Signature"]
    assert letter.subject == "s"


def test_nothing_is_captured(
    topic: Topic, mailbox: Mailbox, address: str, clock: MessageClock, deliveries: Deliveries
) -> None:
    topic.subscribe("email", address)
    mailbox.confirm(topic)
    topic.publish()
    clock.advance(0)
    assert len(mailbox.new()) == 1
    assert deliveries() == []


@pytest.mark.parametrize("command", ["to_recipients", "to_mails"])
def test_a_temporary_failure_is_retried_after_ten_seconds(
    topic: Topic, mail: MailServer, mailbox: Mailbox, address: str, clock: MessageClock, command: str
) -> None:
    topic.subscribe("email", address)
    mailbox.confirm(topic)
    getattr(mail, command).extend(["450 mailbox busy", "451 try later", "452 no room"])
    topic.publish("late")
    clock.advance(0)
    attempts = mailbox.attempts()
    for delay_s in (10, 10, 10):  # two at the minimum, and the first that grows
        clock.advance(delay_s - 1)
        assert mailbox.attempts() == attempts
        clock.advance(1)
        attempts += 1
        assert mailbox.attempts() == attempts
    assert [letter.text.splitlines()[0] for letter in mailbox.new()] == ["late"]
    clock.advance(3_600)
    assert mailbox.attempts() == attempts


@pytest.mark.parametrize("command", ["to_recipients", "to_mails"])
def test_what_is_refused_for_good_goes_to_the_dead_letter_queue(
    topic: Topic, mail: MailServer, mailbox: Mailbox, address: str, clock: MessageClock, queue: Queue, command: str
) -> None:
    topic.subscribe("email", address, RedrivePolicy=json.dumps({"deadLetterTargetArn": queue.arn}))
    mailbox.confirm(topic)
    getattr(mail, command).append("550 no such mailbox")
    attempts = mailbox.attempts()
    topic.publish("lost")
    clock.advance(0)
    assert queue.receive_one()["Body"].startswith("lost\n")
    clock.advance(3_600)
    assert mailbox.attempts() == attempts + 1


def test_a_confirmation_is_retried_too(
    topic: Topic, mail: MailServer, mailbox: Mailbox, address: str, clock: MessageClock
) -> None:
    mail.to_recipients.append("421 closing")
    topic.subscribe("email", address)
    clock.advance(0)
    assert mailbox.new() == []
    clock.advance(10)
    assert mailbox.new()[0].subject == "AWS Notification - Subscription Confirmation"


def test_a_mailbox_is_given_up_after_fifty_retries(
    topic: Topic, mail: MailServer, mailbox: Mailbox, address: str, clock: MessageClock, queue: Queue
) -> None:
    topic.subscribe("email", address, RedrivePolicy=json.dumps({"deadLetterTargetArn": queue.arn}))
    mailbox.confirm(topic)
    attempts = mailbox.attempts()
    mail.to_recipients.extend(["450 mailbox busy"] * 51)
    topic.publish("lost")
    clock.advance(6 * 3_600)
    assert queue.receive() == []
    clock.advance(3_600)
    assert mailbox.attempts() == attempts + 51
    assert queue.receive_one()["Body"].startswith("lost\n")


def test_without_a_mail_server_any_more_what_waits_is_captured(tmp_path: Path, mail: MailServer) -> None:
    mail.to_recipients.append("450 mailbox busy")
    with serving(data=str(tmp_path), smtp=mail.address) as running:
        with closing(make_client(running.url, ACCOUNT)) as sns:
            arn = sns.create_topic(Name="topic")["TopicArn"]
            sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="moved@example.com")
        MessageClock(running).advance(0)
        assert mail.asked[-1] == "moved@example.com"
    with serving(data=str(tmp_path)) as running:
        MessageClock(running).advance(10)
        (found,) = captured(running, ACCOUNT)
        assert (found["Destination"], found["Protocol"]) == ("moved@example.com", "email")
        assert "Action=ConfirmSubscription" in found["Payload"]
        MessageClock(running).advance(3_600)
        assert len(captured(running, ACCOUNT)) == 1
