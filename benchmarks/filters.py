"""What the filters of a topic cost a publish.

One message meets the filter policies of 200 subscriptions, the most that AWS allows a topic: one or two names each, exact
values, prefixes, ranges, anything-but and exists. A round reads the message and asks every policy; the median counts.
"""

import json
import statistics
import time

from broker.core.message import Attribute
from broker.services.filtering.policy import FilterInput, FilterPolicy, Scope, compile_filter

SUBSCRIPTIONS = 200

EVENT = {"event_type": "order.created", "store": "store-17", "price_usd": 210.75, "priority": 3, "region": "eu-west-1"}


def policy(number: int) -> dict[str, object]:
    """The policy of one subscription: ten kinds in turn, of which about a fifth accepts the message."""
    kinds: tuple[dict[str, object], ...] = (
        {"event_type": [f"kind-{number}", "order.created" if number % 20 == 0 else "order.paid"]},
        {"store": [f"store-{number}"]},
        {"event_type": [{"prefix": f"order.{'c' if number % 40 < 20 else 'p'}"}]},
        {"price_usd": [{"numeric": [">=", number, "<", number + 100]}]},
        {"priority": [1, 2, number % 7]},
        {"event_type": ["order.created"], "store": [f"store-{number}", f"store-{number + 1}"]},
        {"region": [{"anything-but": ["eu-west-1", "eu-central-1"]}]},
        {"event_type": [{"prefix": "order."}], "price_usd": [{"numeric": [">", number]}]},
        {"customer": [{"exists": True}]},
        {"store": [{"exists": True}], "region": ["us-east-1", "us-west-2"]},
    )
    return kinds[number % len(kinds)]


def compiled(scope: Scope) -> list[FilterPolicy]:
    policies = [compile_filter(json.dumps(policy(number)), scope) for number in range(SUBSCRIPTIONS)]
    return [filters for filters in policies if filters is not None]


def measure(scope: Scope, rounds: int) -> tuple[float, int]:
    """The median microseconds of a round, and how many subscriptions receive the message."""
    policies = compiled(scope)
    attributes = [
        Attribute(name, "String" if isinstance(value, str) else "Number", str(value).encode())
        for name, value in EVENT.items()
    ]
    body = json.dumps(EVENT)
    taken: list[float] = []
    accepted = 0
    for _ in range(rounds):
        began = time.perf_counter()
        message = FilterInput(attributes, body)
        accepted = sum([filters.matches(message) for filters in policies])
        taken.append((time.perf_counter() - began) * 1e6)
    return statistics.median(taken), accepted
