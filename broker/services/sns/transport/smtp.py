"""E-mail through a mail server: the message as text, or (e-mail-JSON) its JSON document."""

import asyncio
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

import aiosmtplib

from broker.services.sns.outbox import Outcome
from broker.services.sns.outgoing import Outgoing
from broker.services.sns.topic import Subscription

TIMEOUT_S: Final = 30.0
SENDER: Final = "no-reply@sns.amazonaws.com"
_NAME: Final = "AWS Notifications"
_POLICY: Final = SMTP.clone(cte_type="7bit")  # so that any mail server takes it


class SmtpTransport:
    """`host` and `port` of the mail server. It is spoken to in plain SMTP, with STARTTLS where it offers that.

    `timeout_s`: for a whole attempt, from looking the host up to the last answer.
    """

    def __init__(self, host: str, port: int, timeout_s: float = TIMEOUT_S) -> None:
        self._host = host
        self._port = port
        self._timeout_s = timeout_s

    async def send(self, subscription: Subscription, outgoing: Outgoing) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._mail(subscription, outgoing)
        except aiosmtplib.SMTPResponseException as error:
            return Outcome(False, 500 <= error.code < 600, error.code, error.message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            (refused,) = error.recipients
            return Outcome(False, 500 <= refused.code < 600, refused.code, refused.message)
        except (MessageError, ValueError) as error:
            return Outcome(False, True, 0, f"{type(error).__name__}: {error}")
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Outcome(False, False, 0, f"{type(error).__name__}: {error}")
        return Outcome(True, status_code=250, response=answer)

    async def close(self) -> None:
        """A connection is closed when its message is sent."""

    async def _mail(self, subscription: Subscription, outgoing: Outgoing) -> str:
        # Encoding takes Python 100 ms for a message of many lines.
        mail = await asyncio.to_thread(write, sender_name(subscription, outgoing), subscription.endpoint, outgoing)
        _, answer = await aiosmtplib.send(
            mail,
            sender=SENDER,
            recipients=[subscription.endpoint],
            hostname=self._host,
            port=self._port,
            timeout=self._timeout_s / 2,  # for each command, and for taking leave of a server when the attempt is over
            validate_certs=False,
        )
        return answer


def sender_name(subscription: Subscription, outgoing: Outgoing) -> str:
    """Only notifications carry the topic's DisplayName as their sender's."""
    if outgoing.kind == "Notification" and subscription.topic is not None:
        return subscription.topic.record.attributes.get("DisplayName") or _NAME
    return _NAME


def write(name: str, recipient: str, outgoing: Outgoing) -> bytes:
    """The mail, in ASCII."""
    mail = EmailMessage(_POLICY)
    mail["From"] = Address(_line(name), addr_spec=SENDER)
    mail["To"] = recipient
    mail["Subject"] = _line(outgoing.subject or "")
    mail["Message-ID"] = f"<{outgoing.message_id}@sns.amazonaws.com>"
    mail.set_content(outgoing.body)
    return mail.as_bytes()


def _line(text: str) -> str:
    """For a header: U+2028 and other separators that SNS lets pass end a line for Python."""
    return " ".join(text.splitlines())
