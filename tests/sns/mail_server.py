"""A mail server in the test process: it keeps the mails that it takes, and answers as it is told to."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP

_START_S = 20


@dataclass
class Mail:
    """What a mail's envelope says, and the mail."""

    sender: str
    recipients: list[str]
    content: EmailMessage
    raw: bytes

    @property
    def subject(self) -> str:
        return str(self.content["Subject"])

    @property
    def text(self) -> str:
        return str(self.content.get_content()).replace("\r\n", "\n")


@dataclass
class MailServer:
    """`to_recipients`, `to_mails`: answers to the next RCPT and DATA commands; then all are taken. `asked`: recipients named."""

    address: str = ""
    mails: list[Mail] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    to_recipients: list[str] = field(default_factory=list)
    to_mails: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        self.asked.append(address)
        if self.to_recipients:
            return self.to_recipients.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.to_mails:
            return self.to_mails.pop(0)
        content = message_from_bytes(envelope.content, policy=default)
        assert isinstance(content, EmailMessage)
        self.mails.append(Mail(envelope.mail_from, list(envelope.rcpt_tos), content, envelope.content))
        return "250 Taken"

    def to(self, recipient: str) -> list[Mail]:
        """The mails to one address, the oldest first."""
        return [mail for mail in self.mails if recipient in mail.recipients]


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Serve on a thread until the block ends."""
    server = MailServer()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="mail server", daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await loop.create_server(lambda: SMTP(server, hostname="mail.test", loop=loop), "127.0.0.1", 0)

    listening = asyncio.run_coroutine_threadsafe(start(), loop).result(_START_S)
    host, port = listening.sockets[0].getsockname()
    server.address = f"{host}:{port}"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_S)
        loop.close()
