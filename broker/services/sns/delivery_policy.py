"""DeliveryPolicy: when a failed delivery is made again, how many deliveries a second there are, and their content type.

Owns the timetable of retries and the policy's JSON, of a topic and of a subscription: what may be in it and how AWS shows it.
Knows neither topics nor subscriptions, and no clock. A policy is checked when it is set (`check_…`); what is asked later
(`effective…`) takes such texts, as they were given or as `check_…` returned them. AWS adds jitter to its delays; here they are
exact, so that a test can name the instant.

Source: SNS Developer Guide, "Amazon SNS message delivery retries" and "SetTopicAttributes delivery policy JSON format".
Observed: the texts "… must be specified" (hashicorp/terraform-provider-aws #3289), "… must be greater than or equal to 1"
(awsdocs/amazon-sns-developer-guide #5), "… type mismatch, expecting integer, received a string" (ansible-collections/
community.aws #716) and "Unexpected JSON member: …"; that minDelayTarget, maxDelayTarget and numRetries are mandatory
whatever the guide's examples leave out; the members that AWS adds to a subscription's policy. Other texts are ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, get_args

import orjson

from broker.services.filtering.refused import PolicyRefused

Backoff = Literal["arithmetic", "exponential", "geometric", "linear"]

DEFAULT_CONTENT_TYPE: Final = "text/plain; charset=UTF-8"
ENVELOPE_CONTENT_TYPES: Final = ("application/json", "text/plain", DEFAULT_CONTENT_TYPE)  # without raw message delivery
RAW_CONTENT_TYPES: Final = (
    *("text/css", "text/csv", "text/html", "text/plain", "text/xml"),
    *("application/atom+xml", "application/json", "application/octet-stream", "application/soap+xml"),
    *("application/x-www-form-urlencoded", "application/xhtml+xml", "application/xml"),
    DEFAULT_CONTENT_TYPE,
)
_TOPIC_CONTENT_TYPES: Final = (*ENVELOPE_CONTENT_TYPES, "application/xml")  # the guide is of two minds on the last

_DELAY_S_MAX: Final = 3600
_RETRIES_MAX: Final = 100
_TOTAL_S_MAX: Final = 3600  # a hard limit of AWS's
_INTEGER_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A timetable of retries, in four phases: no delay, minimum delay, back-off, maximum delay.

    The back-off phase has what the other three leave of `num_retries`. The counts of the three add up to no more than that.
    """

    min_delay_s: int
    max_delay_s: int
    num_retries: int
    num_no_delay: int = 0
    num_min_delay: int = 0
    num_max_delay: int = 0
    backoff: Backoff = "linear"

    def delay_ms(self, retry: int) -> int | None:
        """How long after the failed attempt retry number `retry` (1 is the first) is made; None: give up."""
        assert retry >= 1
        if retry > self.num_retries:
            return None
        if retry <= self.num_no_delay:
            return 0
        before_backoff = self.num_no_delay + self.num_min_delay
        if retry <= before_backoff:
            return 1000 * self.min_delay_s
        backoffs = self.num_retries - self.num_max_delay - before_backoff
        if retry > before_backoff + backoffs:
            return 1000 * self.max_delay_s
        return self._backoff_ms(retry - before_backoff - 1, backoffs - 1)

    def total_ms(self) -> int:
        """How long after the first attempt the last retry is made, were attempts to take no time."""
        return sum(self.delay_ms(retry) or 0 for retry in range(1, self.num_retries + 1))

    def _backoff_ms(self, step: int, last: int) -> int:
        """The delay at `step` of 0 (the minimum) to `last` (the maximum).

        AWS documents the two ends, and that linear grows at a constant rate; for the others it has a graph (10 retries from
        5 to 260 s) that shows arithmetic and geometric steeper than linear, exponential the steepest, and no formula. Ours
        never fall, and come in that order there. Arithmetic: the increases, from one delay to the next, are as 1, 2, 3, 4, …;
        exponential: as 1, 2, 4, 8, …; geometric: each delay is the one before, times a constant. A phase of one retry has
        the minimum.
        """
        low, high = 1000 * self.min_delay_s, 1000 * self.max_delay_s
        if last == 0 or low == high:
            return low
        if self.backoff == "geometric":
            factor: float = (high / low) ** (step / last)
            return round(low * factor)
        if self.backoff == "linear":
            part, whole = step, last
        elif self.backoff == "arithmetic":
            part, whole = step * (step + 1), last * (last + 1)
        else:
            part, whole = (1 << step) - 1, (1 << last) - 1
        return low + ((high - low) * part + whole // 2) // whole


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """What an HTTP/S subscription's deliveries follow."""

    retries: RetryPolicy
    max_receives_per_second: int | None = None  # on average; None: as many as there are
    content_type: str = DEFAULT_CONTENT_TYPE


AWS_MANAGED: Final = RetryPolicy(1, 20, 100_015, 3, 2, 100_000, "exponential")
"""To SQS, Lambda and Firehose: 100,015 retries over 23 days."""

CUSTOMER_MANAGED: Final = RetryPolicy(10, 600, 50, 0, 2, 38, "exponential")
"""To e-mail, SMS and mobile push, and to a Firehose that throttles: 50 retries over 6 hours."""


def check_topic_policy(text: str) -> dict[str, Any]:
    """A topic's policy that a user sets: what was given, in AWS's order. Raises PolicyRefused."""
    return _without_nulls(_read_document(text, _TOPIC))


def check_subscription_policy(text: str) -> dict[str, Any]:
    """A subscription's policy that a user sets, with what AWS adds when it shows it. Raises PolicyRefused.

    Content types that need raw message delivery (those not in ENVELOPE_CONTENT_TYPES) pass: the policy does not say whether
    the subscription has it.
    """
    read = _read_document(text, _SUBSCRIPTION)
    return read | {"guaranteed": read["guaranteed"] or False}


def effective_json(topic_policy: str | None, subscription_policy: str | None = None, *, of_subscription: bool) -> str:
    """The EffectiveDeliveryPolicy attribute of a topic, or of an HTTP/S subscription of that topic."""
    http = _http(topic_policy)
    parts = _in_force(http, subscription_policy if of_subscription else None)
    retries = _complete(parts["healthyRetryPolicy"])
    limit = _throttle(parts["throttlePolicy"])
    throttle = None if limit is None else {"maxReceivesPerSecond": limit}
    request = {"headerContentType": _content_type(parts["requestPolicy"])}
    if of_subscription:
        sickly = parts["sicklyRetryPolicy"]
        shown = {
            "healthyRetryPolicy": retries,
            "sicklyRetryPolicy": _complete(sickly) if sickly else None,
            "throttlePolicy": throttle,
            "requestPolicy": request,
            "guaranteed": bool(parts["guaranteed"]),
        }
    else:
        overrides = {"disableSubscriptionOverrides": bool(http.get("disableSubscriptionOverrides"))}
        throttles = {"defaultThrottlePolicy": throttle} if throttle else {}
        of_http = {"defaultHealthyRetryPolicy": retries} | overrides | throttles | {"defaultRequestPolicy": request}
        shown = {"http": of_http}
    return orjson.dumps(shown).decode()


@lru_cache(maxsize=64)  # most subscriptions have the default, or their topic's
def effective(topic_policy: str | None, subscription_policy: str | None) -> EffectivePolicy:
    """What the deliveries to an HTTP/S subscription follow.

    Each of retries, throttle and content type is the subscription's if that has one, else the topic's, else AWS's default.
    A topic that disables overrides is followed alone.
    """
    parts = _in_force(_http(topic_policy), subscription_policy)
    return EffectivePolicy(
        _retry_policy(_complete(parts["healthyRetryPolicy"])),
        _throttle(parts["throttlePolicy"]),
        _content_type(parts["requestPolicy"]),
    )


# Policies that were checked.

_DEFAULT_RETRIES: Final = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "linear",
}  # in AWS's order


def _http(topic_policy: str | None) -> dict[str, Any]:
    return _stored(topic_policy).get("http") or {}


def _stored(policy: str | None) -> dict[str, Any]:
    return _without_nulls(orjson.loads(policy)) if policy else {}


def _in_force(http: Mapping[str, Any], subscription_policy: str | None) -> dict[str, Any]:
    """A subscription's policies by name, the topic's in place of those that it does not have."""
    defaults = {
        "healthyRetryPolicy": http.get("defaultHealthyRetryPolicy"),
        "sicklyRetryPolicy": None,
        "throttlePolicy": http.get("defaultThrottlePolicy"),
        "requestPolicy": http.get("defaultRequestPolicy"),
        "guaranteed": None,
    }
    own = {} if http.get("disableSubscriptionOverrides") else _stored(subscription_policy)
    return {name: own.get(name) or default for name, default in defaults.items()}


def _complete(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A retry policy with the defaults of what it leaves out."""
    read = {name: v.lower() if isinstance(v, str) else int(v) for name, v in (given or {}).items() if v is not None}
    return _DEFAULT_RETRIES | read


def _throttle(given: Mapping[str, Any] | None) -> int | None:
    limit = (given or {}).get("maxReceivesPerSecond")
    return None if limit is None else int(limit)


def _content_type(given: Mapping[str, Any] | None) -> str:
    return (given or {}).get("headerContentType") or DEFAULT_CONTENT_TYPE


def _retry_policy(complete: Mapping[str, Any]) -> RetryPolicy:
    return RetryPolicy(
        min_delay_s=complete["minDelayTarget"],
        max_delay_s=complete["maxDelayTarget"],
        num_retries=complete["numRetries"],
        num_no_delay=complete["numNoDelayRetries"],
        num_min_delay=complete["numMinDelayRetries"],
        num_max_delay=complete["numMaxDelayRetries"],
        backoff=complete["backoffFunction"],
    )


def _without_nulls(given: Mapping[str, Any]) -> dict[str, Any]:
    """The members that were given, at every level of a policy."""
    return {
        name: _without_nulls(value) if isinstance(value, dict) else value
        for name, value in given.items()
        if value is not None
    }


# Checking: as deep as the rules at the end go, however deep the input.


@dataclass(frozen=True, slots=True)
class _Integer:
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class _Word:
    words: tuple[str, ...]
    any_case: bool = False


@dataclass(frozen=True, slots=True)
class _Flag:
    pass


@dataclass(frozen=True, slots=True)
class _Object:
    members: Mapping[str, "_Integer | _Word | _Flag | _Object"]  # in AWS's order
    required: tuple[str, ...] = ()
    check: Callable[[str, dict[str, Any]], None] | None = None


def _read_document(text: str, rule: _Object) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _refused("failed to parse JSON.") from None
    if not isinstance(document, dict):
        raise _mismatch("", "object", document)
    return _read_object("", document, rule)


def _read_object(where: str, given: dict[str, Any], rule: _Object) -> dict[str, Any]:
    """Every member of the rule, None where it was not given or is null."""
    for name in given:
        if name not in rule.members:
            raise _refused(f"Unexpected JSON member: {name}")
    for name in rule.required:
        if given.get(name) is None:
            raise _refused(f"{where}{name} must be specified")
    read = {
        name: None if given.get(name) is None else _read_member(where + name, given[name], member)
        for name, member in rule.members.items()
    }
    if rule.check:
        rule.check(where, read)
    return read


def _read_member(where: str, given: object, rule: _Integer | _Word | _Flag | _Object) -> Any:
    match rule:
        case _Integer():
            return _read_integer(where, given, rule)
        case _Word():
            if not isinstance(given, str):
                raise _mismatch(where, "string", given)
            word = given.lower() if rule.any_case else given
            if word not in rule.words:
                raise _refused(f"{where} must be one of: {', '.join(rule.words)}")
            return word
        case _Flag():
            if not isinstance(given, bool):
                raise _mismatch(where, "boolean", given)
            return given
        case _Object():
            if not isinstance(given, dict):
                raise _mismatch(where, "object", given)
            return _read_object(f"{where}.", given, rule)


def _read_integer(where: str, given: object, rule: _Integer) -> int:
    """A whole number may be written 20.0: CloudFormation's model has it as a double."""
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise _mismatch(where, "integer", given)
    if given < rule.least:
        raise _refused(f"{where} must be greater than or equal to {rule.least}")
    if given > rule.most:
        raise _refused(f"{where} must be less than or equal to {rule.most}")
    return given


def _check_retries(where: str, read: dict[str, Any]) -> None:
    """What the members of a retry policy must keep together."""
    policy = _retry_policy(_complete(read))
    if policy.min_delay_s > policy.max_delay_s:
        raise _refused(f"{where}minDelayTarget must be less than or equal to maxDelayTarget")
    if policy.num_no_delay + policy.num_min_delay + policy.num_max_delay > policy.num_retries:
        raise _refused(
            f"{where}numRetries must be greater than or equal to the sum of numNoDelayRetries, numMinDelayRetries and "
            "numMaxDelayRetries"
        )
    if policy.total_ms() > 1000 * _TOTAL_S_MAX:
        raise _refused(f"{where[:-1]} total retry time must be less than or equal to {_TOTAL_S_MAX} seconds")


def _mismatch(where: str, expected: str, given: object) -> PolicyRefused:
    received = _KINDS.get(type(given), "an object")
    return _refused(f"{where} type mismatch, expecting {expected}, received {received}".lstrip())


def _refused(reason: str) -> PolicyRefused:
    return PolicyRefused(f"DeliveryPolicy: {reason}")


_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
}
_RETRIES: Final = _Object(
    {
        "minDelayTarget": _Integer(1, _DELAY_S_MAX),
        "maxDelayTarget": _Integer(1, _DELAY_S_MAX),
        "numRetries": _Integer(0, _RETRIES_MAX),
        "numMaxDelayRetries": _Integer(0, _INTEGER_MAX),
        "numNoDelayRetries": _Integer(0, _INTEGER_MAX),
        "numMinDelayRetries": _Integer(0, _INTEGER_MAX),
        "backoffFunction": _Word(get_args(Backoff), any_case=True),  # the CDK sends capitals
    },
    required=("minDelayTarget", "maxDelayTarget", "numRetries"),
    check=_check_retries,
)
_THROTTLE: Final = _Object({"maxReceivesPerSecond": _Integer(1, _INTEGER_MAX)})
_TOPIC: Final = _Object(
    {
        "http": _Object(
            {
                "defaultHealthyRetryPolicy": _RETRIES,
                "disableSubscriptionOverrides": _Flag(),
                "defaultThrottlePolicy": _THROTTLE,
                "defaultRequestPolicy": _Object({"headerContentType": _Word(_TOPIC_CONTENT_TYPES)}),
            }
        )
    }
)
_SUBSCRIPTION: Final = _Object(
    {
        "healthyRetryPolicy": _RETRIES,
        "sicklyRetryPolicy": _RETRIES,  # AWS takes and shows it, and the next; it documents no effect of either
        "throttlePolicy": _THROTTLE,
        "requestPolicy": _Object({"headerContentType": _Word(RAW_CONTENT_TYPES)}),
        "guaranteed": _Flag(),
    }
)
