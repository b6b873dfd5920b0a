"""Signatures of envelopes, checked with the certificate that the broker serves. Source: SNS Developer Guide, "Verifying"; B2."""

import base64
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.conftest import MessageClock, RunningBroker
from tests.sns.endpoint import Endpoint
from tests.sns.topics import Topic, envelopes
from tests.sqs.queues import Queue

SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


def verify(broker: RunningBroker, document: dict[str, Any]) -> None:
    """As a receiver does it. Raises InvalidSignature."""
    text = "".join(f"{name}\n{document[name]}\n" for name in SIGNED[document["Type"]] if name in document)
    status, _, pem = broker.request("GET", urlsplit(document["SigningCertURL"]).path)
    assert status == 200
    key = x509.load_pem_x509_certificate(pem).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    digest: hashes.HashAlgorithm = hashes.SHA1() if document["SignatureVersion"] == "1" else hashes.SHA256()
    key.verify(base64.b64decode(document["Signature"]), text.encode(), padding.PKCS1v15(), digest)


@pytest.mark.parametrize("subject", [{}, {"Subject": "a subject"}])
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_notification_is_signed(
    broker: RunningBroker, topic: Topic, queue: Queue, version: str, subject: dict[str, str]
) -> None:
    topic.set("SignatureVersion", version)
    topic.subscribe_queue(queue)
    topic.publish("ä message\nof two lines", **subject)
    (envelope,) = envelopes(queue)
    assert envelope["SignatureVersion"] == version
    verify(broker, envelope)


def test_confirmations_are_signed(broker: RunningBroker, topic: Topic, hook: Endpoint, clock: MessageClock) -> None:
    topic.subscribe("http", hook.url)
    clock.advance(0)
    verify(broker, hook.requests[0].document)
    arn = topic.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token())["SubscriptionArn"]
    topic.sns.unsubscribe(SubscriptionArn=arn)
    clock.advance(0)
    verify(broker, hook.requests[1].document)


def test_each_protocols_text_has_its_own_signature(broker: RunningBroker, topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    topic.publish('{"default":"d","sqs":"for queues"}', MessageStructure="json")
    (envelope,) = envelopes(queue)
    assert envelope["Message"] == "for queues"
    verify(broker, envelope)


def test_the_certificates_name_has_awss_form(topic: Topic, queue: Queue, broker: RunningBroker) -> None:
    topic.subscribe_queue(queue)
    topic.publish()
    path = urlsplit(envelopes(queue)[0]["SigningCertURL"]).path
    assert path.startswith("/SimpleNotificationService-")
    assert path.endswith(".pem")
    assert broker.request("GET", "/SimpleNotificationService-0123.pem")[0] == 404
