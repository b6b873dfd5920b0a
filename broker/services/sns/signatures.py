"""Signatures of SNS's documents: what is signed, and with which key. Source: SNS Developer Guide, "Verifying signatures"."""

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from broker.services.sns.envelope import Notification, confirmation_message

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_KEY_BITS: Final = 2_048
_VALID_DAYS: Final = 36_500


def notification_text(notification: Notification) -> str:
    """What is signed of a notification."""
    fields = [
        ("Message", notification.message),
        ("MessageId", notification.message_id),
        ("Subject", notification.subject),
        ("Timestamp", notification.timestamp),
        ("TopicArn", notification.topic_arn),
        ("Type", "Notification"),
    ]
    return _text((name, value) for name, value in fields if value is not None)


def confirmation_text(
    *,
    kind: str,
    message_id: str,
    token: str,
    topic_arn: str,
    subscription_arn: str,
    subscribe_url: str,
    timestamp: str,
) -> str:
    """What is signed of a SubscriptionConfirmation or UnsubscribeConfirmation."""
    return _text(
        [
            ("Message", confirmation_message(kind, topic_arn, subscription_arn)),
            ("MessageId", message_id),
            ("SubscribeURL", subscribe_url),
            ("Timestamp", timestamp),
            ("Token", token),
            ("TopicArn", topic_arn),
            ("Type", kind),
        ]
    )


class _Record(msgspec.Struct):
    key: bytes  # PKCS 8, PEM
    certificate: bytes  # PEM


class SigningKey:
    """An RSA key with its self-signed certificate.

    `create` and `sign` are called on threads; they alone need cryptography, which is 9 MB and is imported there.
    """

    def __init__(self, record: _Record) -> None:
        self._key: RSAPrivateKey | None = None  # once something was signed
        self._record = record
        self.certificate_pem = record.certificate
        fingerprint = hashlib.sha256(_der(record.certificate)).hexdigest()
        self.certificate_name = f"SimpleNotificationService-{fingerprint[:32]}.pem"

    @classmethod
    def create(cls, now_s: float) -> "SigningKey":
        """A new key. `now_s`: seconds since the epoch; the certificate is valid from a day before."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.x509.oid import NameOID

        key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
        begins = datetime.fromtimestamp(now_s, UTC) - timedelta(days=1)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(days=_VALID_DAYS))
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(_Record(pem, certificate.public_bytes(serialization.Encoding.PEM)))

    @classmethod
    def from_record(cls, stored: bytes) -> "SigningKey":
        """The key that the store kept."""
        return cls(msgspec.msgpack.decode(stored, type=_Record))

    def to_record(self) -> bytes:
        """For the store."""
        return msgspec.msgpack.encode(self._record)

    def sign(self, text: str, version: str) -> str:
        """The signature in base64: SHA1withRSA (version 1) or SHA256withRSA (2)."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
        return base64.b64encode(self._loaded().sign(text.encode(), padding.PKCS1v15(), algorithm)).decode("ascii")

    def _loaded(self) -> "RSAPrivateKey":
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

        if self._key is None:
            pem = self._record.key
            key = serialization.load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)  # our own
            assert isinstance(key, RSAPrivateKey)
            self._key = key
        return self._key


def _text(fields: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{name}\n{value}\n" for name, value in fields)


def _der(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(pem.split(b"-----")[2].split()))
