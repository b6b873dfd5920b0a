"""How a message gets to a subscription, a module per kind of endpoint.

A module's `deliver` adds to the publish's plan and changes nothing; it may find that the envelope must be signed first.
"""

from collections.abc import Callable
from typing import Final

from broker.services.sns.delivery import captured, functions, leaving, sqs
from broker.services.sns.plan import Plan
from broker.services.sns.publication import Publication
from broker.services.sns.topic import Subscription

Deliver = Callable[[Plan, Publication, Subscription], None]

BY_PROTOCOL: Final[dict[str, Deliver]] = {
    "sqs": sqs.deliver,
    "http": leaving.deliver,
    "https": leaving.deliver,
    "email": leaving.deliver,
    "email-json": leaving.deliver,
    "lambda": functions.deliver,
    "firehose": captured.deliver,
    "sms": captured.deliver,
    "application": captured.deliver,
}
