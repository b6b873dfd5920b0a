"""SNS: AWS's meaning of topics, subscriptions and publishing, over the queue engine.

One module per operation or small family; `SERVICE` knows them all once this package is imported. `attach` gives a runtime the
state that they work on.
"""

from broker.services.runtime import Runtime
from broker.services.sns import (
    confirmation,
    data_protection,
    permissions,
    publish,
    push,
    sandbox,
    sms,
    subscriptions,
    tags,
    topics,
)
from broker.services.sns.inbox import Inbox
from broker.services.sns.outbox import Outboxes, Transport
from broker.services.sns.push_state import Platforms
from broker.services.sns.replay import Replays
from broker.services.sns.service import SERVICE
from broker.services.sns.signer import Signer
from broker.services.sns.sms_state import Phones
from broker.services.sns.state import Topics
from broker.services.sns.transport import late

__all__ = [
    "SERVICE",
    "attach",
    "confirmation",
    "data_protection",
    "permissions",
    "publish",
    "push",
    "sandbox",
    "sms",
    "subscriptions",
    "tags",
    "topics",
]


def attach(
    runtime: Runtime, base_url: str, *, smtp: tuple[str, int] | None = None, certificate_base: str = ""
) -> Outboxes:
    """Add SNS's state to a runtime, before it starts. `smtp`: the mail server; None: e-mail is captured.

    What is returned holds connections, and is the caller's to close.
    """
    state = Topics(runtime)
    runtime.add(state)
    runtime.add(Platforms(runtime))
    runtime.add(Phones(runtime))
    runtime.add(Signer(runtime, certificate_base))
    http = late.http()
    transports: dict[str, Transport] = {"http": http, "https": http}
    if smtp is not None:
        state.mail_leaves = True
        mail = late.smtp(*smtp)
        transports |= {"email": mail, "email-json": mail}
    outboxes = Outboxes(runtime, transports)
    runtime.add(outboxes)
    runtime.add(Replays(runtime))
    runtime.add(Inbox(runtime, base_url))
    return outboxes
