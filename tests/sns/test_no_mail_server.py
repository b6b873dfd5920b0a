"""Without a mail server e-mail is captured, and so is what waited for one when the broker is started without it."""

from pathlib import Path

from tests.sns.deliveries import captured
from tests.sns.inside import ACCOUNT, serve_inside

NOBODY = "127.0.0.1:1"  # nobody listens


async def test_what_waited_for_a_mail_server_is_captured_without_it(tmp_path: Path) -> None:
    async with serve_inside(tmp_path, smtp=NOBODY) as inside:
        topic = (await inside.ask("create_topic", Name="t"))["TopicArn"]
        await inside.ask("subscribe", TopicArn=topic, Protocol="email", Endpoint="a@example.com")
        await inside.advance(10)
        assert await inside.away(captured, inside.running, ACCOUNT) == []
    async with serve_inside(tmp_path) as inside:
        await inside.advance(600)
        (mail,) = await inside.away(captured, inside.running, ACCOUNT)
        assert (mail["Destination"], mail["Subject"]) == (
            "a@example.com",
            "AWS Notification - Subscription Confirmation",
        )
        await inside.advance(6 * 3_600)
        assert len(await inside.away(captured, inside.running, ACCOUNT)) == 1
