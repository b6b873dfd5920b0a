"""What SNS signs, and that the signatures are RSASSA-PKCS1-v1_5 over SHA-1 and SHA-256.

Source: SNS Developer Guide, "Verifying the signatures of Amazon SNS messages" (its examples of a string to sign); RFC 8017, 8.2.2.
"""

import base64
import hashlib
import hmac

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from broker.services.sns.envelope import Notification
from broker.services.sns.signatures import SigningKey, confirmation_text, notification_text

NOW_S = 1_790_000_000.0
TOPIC = "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P"
LINK = f"https://sns.us-east-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=233"

# DER of DigestInfo up to the digest: RFC 8017, 9.2, note 1.
DIGEST_INFO = {
    "1": (hashlib.sha1, bytes.fromhex("3021300906052b0e03021a05000414")),
    "2": (hashlib.sha256, bytes.fromhex("3031300d060960864801650304020105000420")),
}


def notification(message: str = "My Test Message", subject: str | None = "My subject") -> Notification:
    return Notification(
        message_id="4d4dc071-ddbf-465d-bba8-08f81c89da64",
        topic_arn=TOPIC,
        subject=subject,
        message=message,
        timestamp="2019-01-31T04:37:04.321Z",
        sequence_number=None,
    )


def test_the_text_of_a_notification() -> None:
    assert notification_text(notification()) == (
        "Message\nMy Test Message\n"
        "MessageId\n4d4dc071-ddbf-465d-bba8-08f81c89da64\n"
        "Subject\nMy subject\n"
        "Timestamp\n2019-01-31T04:37:04.321Z\n"
        f"TopicArn\n{TOPIC}\n"
        "Type\nNotification\n"
    )


def test_a_subject_that_there_is_not_is_left_out() -> None:
    assert notification_text(notification(subject=None)) == (
        "Message\nMy Test Message\n"
        "MessageId\n4d4dc071-ddbf-465d-bba8-08f81c89da64\n"
        "Timestamp\n2019-01-31T04:37:04.321Z\n"
        f"TopicArn\n{TOPIC}\n"
        "Type\nNotification\n"
    )


def test_the_message_stands_as_it_was_published_not_as_json_escapes_it() -> None:
    message = 'two\nlines, "quotes" and \\ \x00 ü'
    assert notification_text(notification(message)).startswith(f"Message\n{message}\nMessageId\n")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "SubscriptionConfirmation",
            f"You have chosen to subscribe to the topic {TOPIC}.\n"
            "To confirm the subscription, visit the SubscribeURL included in this message.",
        ),
        (
            "UnsubscribeConfirmation",
            f"You have chosen to deactivate subscription {TOPIC}:1.\n"
            "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message.",
        ),
    ],
)
def test_the_text_of_a_confirmation(kind: str, message: str) -> None:
    text = confirmation_text(
        kind=kind,
        message_id="3d891288-136d-417f-bc05-901c108273ee",
        token="233",
        topic_arn=TOPIC,
        subscription_arn=f"{TOPIC}:1",
        subscribe_url=LINK,
        timestamp="2019-01-31T19:25:13.719Z",
    )
    assert text == (
        f"Message\n{message}\n"
        "MessageId\n3d891288-136d-417f-bc05-901c108273ee\n"
        f"SubscribeURL\n{LINK}\n"
        "Timestamp\n2019-01-31T19:25:13.719Z\n"
        "Token\n233\n"
        f"TopicArn\n{TOPIC}\n"
        f"Type\n{kind}\n"
    )


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.create(NOW_S)


def verifies(key: SigningKey, text: str, signature: str, version: str) -> bool:
    """By hand: the signature to the power of the public exponent must be the padded digest."""
    public = x509.load_pem_x509_certificate(key.certificate_pem).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    numbers, length = public.public_numbers(), public.key_size // 8
    raw = base64.b64decode(signature, validate=True)
    assert len(raw) == length
    digest, prefix = DIGEST_INFO[version]
    info = prefix + digest(text.encode()).digest()
    expected = b"\x00\x01" + b"\xff" * (length - len(info) - 3) + b"\x00" + info
    return hmac.compare_digest(pow(int.from_bytes(raw), numbers.e, numbers.n).to_bytes(length), expected)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("text", ["", "Message\nMy Test Message\n", "grüße \U0001f600\n", "x" * 1_000_000])
def test_a_signature_verifies(key: SigningKey, text: str, version: str) -> None:
    signature = key.sign(text, version)
    assert verifies(key, text, signature, version)
    assert not verifies(key, text + " ", signature, version)
    assert not verifies(key, text, signature, "2" if version == "1" else "1")


def test_the_certificate_is_valid_from_the_day_before_for_a_hundred_years(key: SigningKey) -> None:
    certificate = x509.load_pem_x509_certificate(key.certificate_pem)
    assert certificate.not_valid_before_utc.timestamp() == NOW_S - 86_400
    assert certificate.not_valid_after_utc.timestamp() > NOW_S + 99 * 365 * 86_400
    assert certificate.subject.rfc4514_string() == "CN=sns.amazonaws.com"


def test_the_key_that_the_store_kept_is_the_same(key: SigningKey) -> None:
    again = SigningKey.from_record(key.to_record())
    assert (again.certificate_name, again.certificate_pem) == (key.certificate_name, key.certificate_pem)
    assert verifies(key, "text", again.sign("text", "2"), "2")
