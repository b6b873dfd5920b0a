"""Delivery policies: how deliveries are retried, throttled and labelled, and when each retry is made.

A topic's policy holds for its HTTP and HTTPS subscriptions; a subscription's own goes before it, unless the topic forbids that.
Source: SNS Developer Guide, "Message delivery retries" and "Creating an HTTP/S delivery policy".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

import orjson

from broker.services.sns.errors import PolicyRefused

Backoff = Literal["linear", "arithmetic", "geometric", "exponential"]

TOTAL_S_MAX: Final = 3_600
RETRIES_MAX: Final = 100
_BYTES_MAX: Final = 65_536
_BACKOFFS: Final = ("arithmetic", "exponential", "geometric", "linear")
_COUNTS: Final = ("numNoDelayRetries", "numMinDelayRetries", "numMaxDelayRetries")
_DEFAULT_RETRIES: Final[dict[str, Any]] = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "linear",
}
DEFAULT_CONTENT_TYPE: Final = "text/plain; charset=UTF-8"
_CONTENT_TYPE: Final = re.compile(
    r"(?:application/(?:atom\+xml|json|octet-stream|soap\+xml|x-www-form-urlencoded|xhtml\+xml|xml)"
    r"|text/(?:css|csv|html|javascript|plain|xml))(?:; ?charset=[A-Za-z0-9_-]{1,40})?"
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The four phases of retries: without delay, at the minimum, growing from it to the maximum, at the maximum."""

    min_delay_s: int
    max_delay_s: int
    num_retries: int
    num_no_delay: int
    num_min_delay: int
    num_max_delay: int
    backoff: Backoff

    def delay_ms(self, retry: int) -> int | None:
        """How long after the failed attempt before it retry number `retry` (from 1) is made; None: the message is given up.

        AWS draws the back-off functions and gives no formulae: each grows from the minimum, at the first retry of its phase,
        to the maximum, at the last. Linear: by equal steps. Arithmetic: by steps that grow by an equal amount. Geometric: by
        steps that double. Exponential: by an equal factor.
        """
        if retry > self.num_retries:
            return None
        if retry <= self.num_no_delay:
            return 0
        retry -= self.num_no_delay
        if retry <= self.num_min_delay:
            return self.min_delay_s * 1_000
        retry -= self.num_min_delay
        growing = self.num_retries - self.num_no_delay - self.num_min_delay - self.num_max_delay
        if retry > growing:
            return self.max_delay_s * 1_000
        return round(self._grown_s(retry - 1, growing - 1) * 1_000)

    def total_s(self) -> float:
        """How long all retries take together, answers not counted."""
        return sum((self.delay_ms(retry) or 0) / 1_000 for retry in range(1, self.num_retries + 1))

    def _grown_s(self, step: int, steps: int) -> float:
        if steps == 0:
            return self.min_delay_s
        if self.backoff == "exponential":
            factor: float = (self.max_delay_s / self.min_delay_s) ** (step / steps)
            return self.min_delay_s * factor
        share = step / steps
        if self.backoff == "arithmetic":
            share = step * (step + 1) / (steps * (steps + 1))
        elif self.backoff == "geometric":
            share = (2.0**step - 1) / (2.0**steps - 1)
        return self.min_delay_s + (self.max_delay_s - self.min_delay_s) * share


# Endpoints that AWS runs, and those that its customers run, have fixed policies.
AWS_MANAGED: Final = RetryPolicy(1, 20, 100_015, 3, 2, 100_000, "exponential")
CUSTOMER_MANAGED: Final = RetryPolicy(10, 600, 50, 0, 2, 38, "exponential")
MANAGED: Final[Mapping[str, RetryPolicy]] = {
    "sqs": AWS_MANAGED,
    "lambda": AWS_MANAGED,
    "firehose": AWS_MANAGED,
    "email": CUSTOMER_MANAGED,
    "email-json": CUSTOMER_MANAGED,
    "sms": CUSTOMER_MANAGED,
    "application": CUSTOMER_MANAGED,
}


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """What holds for one HTTP subscription."""

    retries: RetryPolicy
    max_receives_per_second: int | None
    content_type: str


def check_topic_policy(text: str) -> dict[str, Any]:
    """A topic's DeliveryPolicy. Raises PolicyRefused."""
    document = _document(text, ("http",), "")
    policy = _section(document, "http")
    _check_names(
        policy,
        ("defaultHealthyRetryPolicy", "disableSubscriptionOverrides", "defaultThrottlePolicy", "defaultRequestPolicy"),
        "http",
    )
    if not isinstance(policy.get("disableSubscriptionOverrides", False), bool):
        _refuse("http.disableSubscriptionOverrides must be true or false")
    _check_parts(policy, "defaultHealthyRetryPolicy", "defaultThrottlePolicy", "defaultRequestPolicy", "http.")
    return document


def check_subscription_policy(text: str) -> dict[str, Any]:
    """A subscription's DeliveryPolicy. Raises PolicyRefused."""
    names = ("healthyRetryPolicy", "sicklyRetryPolicy", "throttlePolicy", "requestPolicy", "guaranteed")
    document = _document(text, names, "")
    _check_parts(document, "healthyRetryPolicy", "throttlePolicy", "requestPolicy", "")
    return document


def effective_json(topic_policy: str | None, subscription_policy: str | None = None, *, of_subscription: bool) -> str:
    """The EffectiveDeliveryPolicy of a topic, or of an HTTP subscription. The policies are valid."""
    retries, throttle, request, closed = _combined(topic_policy, subscription_policy)
    if of_subscription:
        shown = {
            "healthyRetryPolicy": retries,
            "sicklyRetryPolicy": None,
            "throttlePolicy": throttle,
            "requestPolicy": request,
            "guaranteed": False,
        }
        return orjson.dumps(shown).decode()
    http = {"defaultHealthyRetryPolicy": retries, "disableSubscriptionOverrides": closed}
    if throttle is not None:
        http["defaultThrottlePolicy"] = throttle
    http["defaultRequestPolicy"] = request
    return orjson.dumps({"http": http}).decode()


def effective(topic_policy: str | None, subscription_policy: str | None) -> EffectivePolicy:
    """What holds for an HTTP subscription. The policies are valid."""
    retries, throttle, request, _ = _combined(topic_policy, subscription_policy)
    return EffectivePolicy(
        _retry_policy(retries),
        None if throttle is None else throttle.get("maxReceivesPerSecond"),
        request["headerContentType"],
    )


def _combined(
    topic_policy: str | None, subscription_policy: str | None
) -> tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any], bool]:
    """The retry, throttle and request policies, and whether subscriptions may have none of their own."""
    topic = orjson.loads(topic_policy).get("http") or {} if topic_policy else {}
    closed = bool(topic.get("disableSubscriptionOverrides", False))
    own = orjson.loads(subscription_policy) if subscription_policy and not closed else {}
    retries = own.get("healthyRetryPolicy") or topic.get("defaultHealthyRetryPolicy") or {}
    throttle = own.get("throttlePolicy") or topic.get("defaultThrottlePolicy") or None
    request = own.get("requestPolicy") or topic.get("defaultRequestPolicy") or {}
    content_type = request.get("headerContentType") or DEFAULT_CONTENT_TYPE
    return _DEFAULT_RETRIES | retries, throttle, {"headerContentType": content_type}, closed


def _retry_policy(given: Mapping[str, Any]) -> RetryPolicy:
    return RetryPolicy(
        given["minDelayTarget"],
        given["maxDelayTarget"],
        given["numRetries"],
        given["numNoDelayRetries"],
        given["numMinDelayRetries"],
        given["numMaxDelayRetries"],
        given["backoffFunction"],
    )


def _check_parts(policy: Mapping[str, Any], retries: str, throttle: str, request: str, before: str) -> None:
    if policy.get(retries) is not None:
        _check_retries(_section(policy, retries, before), f"{before}{retries}")
    if policy.get(throttle) is not None:
        limit = _section(policy, throttle, before)
        _check_names(limit, ("maxReceivesPerSecond",), f"{before}{throttle}")
        if limit.get("maxReceivesPerSecond") is not None:
            _check_number(limit, "maxReceivesPerSecond", 1, None, f"{before}{throttle}")
    if policy.get(request) is not None:
        label = _section(policy, request, before)
        _check_names(label, ("headerContentType",), f"{before}{request}")
        content_type = label.get("headerContentType")
        if content_type is not None and not (isinstance(content_type, str) and _CONTENT_TYPE.fullmatch(content_type)):
            _refuse(f"{before}{request}.headerContentType is not a supported content type")


def _check_retries(policy: Mapping[str, Any], where: str) -> None:
    _check_names(policy, tuple(_DEFAULT_RETRIES), where)
    if "minDelayTarget" in policy or "maxDelayTarget" in policy:
        for name in ("minDelayTarget", "maxDelayTarget"):
            if policy.get(name) is None:
                _refuse(f"{where}.{name} must be specified")
            _check_number(policy, name, 1, TOTAL_S_MAX, where)
        if policy["minDelayTarget"] > policy["maxDelayTarget"]:
            _refuse(f"{where}.maxDelayTarget must be greater than or equal to {where}.minDelayTarget")
    given = {**_DEFAULT_RETRIES, **policy}
    _check_number(given, "numRetries", 0, RETRIES_MAX, where)
    for name in _COUNTS:
        _check_number(given, name, 0, RETRIES_MAX, where)
    if sum(given[name] for name in _COUNTS) > given["numRetries"]:
        _refuse(f"{where}.numRetries must be greater than or equal to total of {', '.join(_COUNTS)}")
    if given["backoffFunction"] not in _BACKOFFS:
        _refuse(f"{where}.backoffFunction must be one of {', '.join(_BACKOFFS)}")
    if _retry_policy(given).total_s() > TOTAL_S_MAX:
        _refuse(f"{where}: the total of all delays must be less than or equal to {TOTAL_S_MAX} seconds")


def _check_number(policy: Mapping[str, Any], name: str, least: int, most: int | None, where: str) -> None:
    value = policy[name]
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse(f"{where}.{name} must be an integer")
    if value < least:
        _refuse(f"{where}.{name} must be greater than or equal to {least}")
    if most is not None and value > most:
        _refuse(f"{where}.{name} must be less than or equal to {most}")


def _document(text: str, names: tuple[str, ...], where: str) -> dict[str, Any]:
    try:
        document = orjson.loads(text) if len(text) <= _BYTES_MAX else None
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        _refuse("failed to parse JSON.")
    _check_names(document, names, where)
    return document


def _section(policy: Mapping[str, Any], name: str, before: str = "") -> dict[str, Any]:
    section = policy.get(name)
    if not isinstance(section, dict):
        _refuse(f"{before}{name} must be an object")
    return section


def _check_names(policy: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in policy:
        if name not in names:
            _refuse(f"unknown attribute {where}.{name}" if where else f"unknown attribute {name}")


def _refuse(reason: str) -> NoReturn:
    raise PolicyRefused(f"DeliveryPolicy: {reason}")
