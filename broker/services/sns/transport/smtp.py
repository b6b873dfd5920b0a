"""E-mail through a mail server: the message as text, or (e-mail-JSON) its JSON document."""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final

import aiosmtplib

from broker.services.sns.outbox import Outcome
from broker.services.sns.outgoing import Outgoing
from broker.services.sns.topic import Subscription

TIMEOUT_S: Final = 15.0
SENDER: Final = "no-reply@sns.amazonaws.com"
_NAME: Final = "AWS Notifications"


class SmtpTransport:
    """`host` and `port` of the mail server. It is spoken to in plain SMTP, with STARTTLS where it offers that."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def send(self, subscription: Subscription, outgoing: Outgoing) -> Outcome:
        try:
            mail = write(subscription, outgoing)
            _, answer = await aiosmtplib.send(
                mail, hostname=self._host, port=self._port, timeout=TIMEOUT_S, validate_certs=False
            )
        except aiosmtplib.SMTPResponseException as error:
            return Outcome(False, 500 <= error.code < 600, error.code, error.message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            return Outcome(False, all(code >= 500 for code in codes), max(codes, default=0), str(error))
        except (MessageError, ValueError) as error:
            return Outcome(False, True, 0, f"{type(error).__name__}: {error}")
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Outcome(False, False, 0, f"{type(error).__name__}: {error}")
        return Outcome(True, status_code=250, response=answer)

    async def close(self) -> None:
        """A connection is closed when its message is sent."""


def write(subscription: Subscription, outgoing: Outgoing) -> EmailMessage:
    """The mail. Only notifications carry the topic's DisplayName as their sender's."""
    name = _NAME
    if outgoing.kind == "Notification" and subscription.topic is not None:
        name = subscription.topic.record.attributes.get("DisplayName") or _NAME
    mail = EmailMessage()
    mail["From"] = Address(name, addr_spec=SENDER)
    mail["To"] = subscription.endpoint
    mail["Subject"] = outgoing.subject or ""
    mail["Message-ID"] = f"<{outgoing.message_id}@sns.amazonaws.com>"
    mail.set_content(outgoing.body)
    return mail
