"""Delivery policies: when each retry is made, what is refused, and what is in effect.

Source: SNS Developer Guide, "Message delivery retries" (its table, its example of a policy, its constraints), "Creating an HTTP/S
delivery policy"; the text of the default is a recorded one.
"""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.services.sns.delivery_policy import (
    AWS_MANAGED,
    CUSTOMER_MANAGED,
    MANAGED,
    Backoff,
    RetryPolicy,
    check_subscription_policy,
    check_topic_policy,
    effective,
    effective_json,
)
from broker.services.sns.errors import PolicyRefused

BACKOFFS: list[Backoff] = ["linear", "arithmetic", "geometric", "exponential"]
DAY_S = 86_400
DEEP = 20_000

# The example of the Developer Guide.
EXAMPLE: dict[str, Any] = {
    "healthyRetryPolicy": {
        "minDelayTarget": 1,
        "maxDelayTarget": 60,
        "numRetries": 50,
        "numNoDelayRetries": 3,
        "numMinDelayRetries": 2,
        "numMaxDelayRetries": 35,
        "backoffFunction": "exponential",
    },
    "throttlePolicy": {"maxReceivesPerSecond": 10},
    "requestPolicy": {"headerContentType": "application/json"},
}
DEFAULT = (
    '{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,'
    '"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,'
    '"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}'
)


def delays_ms(policy: RetryPolicy) -> list[int]:
    """Of every retry. There is none after the last."""
    assert policy.delay_ms(policy.num_retries + 1) is None
    delays = [policy.delay_ms(retry) for retry in range(1, policy.num_retries + 1)]
    return [delay for delay in delays if delay is not None]


def growing(backoff: Backoff, least_s: int, most_s: int, retries: int) -> list[int]:
    """The delays of a policy that has a back-off phase alone."""
    return delays_ms(RetryPolicy(least_s, most_s, retries, 0, 0, 0, backoff))


# The four phases


@pytest.mark.parametrize(
    ("backoff", "expected_ms"),
    [
        ("linear", [10_000, 15_000, 20_000, 25_000, 30_000]),  # + 5, 5, 5, 5
        ("arithmetic", [10_000, 12_000, 16_000, 22_000, 30_000]),  # + 2, 4, 6, 8
        ("geometric", [10_000, 11_333, 14_000, 19_333, 30_000]),  # + 4/3, 8/3, 16/3, 32/3
        ("exponential", [10_000, 13_161, 17_321, 22_795, 30_000]),  # times the fourth root of 3
    ],
)
def test_delays_grow_from_the_minimum_to_the_maximum(backoff: Backoff, expected_ms: list[int]) -> None:
    assert growing(backoff, 10, 30, 5) == expected_ms


@pytest.mark.parametrize("backoff", BACKOFFS)
@given(least_s=st.integers(1, 3_600), more_s=st.integers(0, 3_599), retries=st.integers(2, 100))
def test_every_backoff_function_begins_at_the_minimum_ends_at_the_maximum_and_never_falls(
    backoff: Backoff, least_s: int, more_s: int, retries: int
) -> None:
    delays = growing(backoff, least_s, least_s + more_s, retries)
    assert (delays[0], delays[-1]) == (least_s * 1_000, (least_s + more_s) * 1_000)
    assert all(before <= after for before, after in pairwise(delays))


@pytest.mark.parametrize("backoff", BACKOFFS)
def test_a_backoff_phase_of_one_retry_is_at_the_minimum(backoff: Backoff) -> None:
    assert growing(backoff, 5, 50, 1) == [5_000]


@pytest.mark.parametrize("backoff", BACKOFFS)
def test_each_phase_has_its_retries(backoff: Backoff) -> None:
    policy = RetryPolicy(10, 30, 12, 3, 2, 2, backoff)
    delays = delays_ms(policy)
    assert delays[:3] == [0, 0, 0]
    assert delays[3:5] == [10_000, 10_000]
    assert delays[5:10] == growing(backoff, 10, 30, 5)
    assert delays[10:] == [30_000, 30_000]


def test_phases_may_be_empty() -> None:
    assert delays_ms(RetryPolicy(1, 2, 0, 0, 0, 0, "linear")) == []
    assert delays_ms(RetryPolicy(1, 2, 3, 3, 0, 0, "linear")) == [0, 0, 0]
    assert delays_ms(RetryPolicy(1, 2, 3, 0, 3, 0, "linear")) == [1_000, 1_000, 1_000]
    assert delays_ms(RetryPolicy(1, 2, 3, 0, 0, 3, "linear")) == [2_000, 2_000, 2_000]


def test_the_default_is_three_retries_twenty_seconds_apart() -> None:
    assert delays_ms(effective(None, None).retries) == [20_000, 20_000, 20_000]


def test_the_developer_guides_example() -> None:
    policy = effective(None, json.dumps(EXAMPLE))
    delays = delays_ms(policy.retries)
    assert delays[:5] == [0, 0, 0, 1_000, 1_000]
    assert delays[5:15] == [1_000, 1_576, 2_484, 3_915, 6_170, 9_724, 15_326, 24_155, 38_070, 60_000]
    assert delays[15:] == [60_000] * 35
    assert (policy.max_receives_per_second, policy.content_type) == (10, "application/json")


# The policies that nobody can change


def test_endpoints_that_aws_runs_are_tried_100015_times_over_23_days() -> None:
    assert (AWS_MANAGED.num_no_delay, AWS_MANAGED.num_min_delay, AWS_MANAGED.num_max_delay) == (3, 2, 100_000)
    delays = [AWS_MANAGED.delay_ms(retry) for retry in range(1, 16)]
    assert delays[:5] == [0, 0, 0, 1_000, 1_000]
    assert delays[5:] == [1_000, 1_395, 1_946, 2_714, 3_786, 5_282, 7_368, 10_278, 14_337, 20_000]
    assert AWS_MANAGED.delay_ms(16) == AWS_MANAGED.delay_ms(100_015) == 20_000
    assert AWS_MANAGED.delay_ms(100_016) is None
    assert 23 <= AWS_MANAGED.total_s() / DAY_S < 24


def test_endpoints_that_customers_run_are_tried_50_times_over_6_hours() -> None:
    delays = delays_ms(CUSTOMER_MANAGED)
    assert len(delays) == 50
    assert delays[:2] == [10_000, 10_000]
    assert delays[2:12] == [10_000, 15_761, 24_840, 39_149, 61_701, 97_244, 153_262, 241_550, 380_697, 600_000]
    assert delays[12:] == [600_000] * 38
    assert 6 <= sum(delays) / 3_600_000 < 7


def test_which_protocols_have_which() -> None:
    assert {p for p, policy in MANAGED.items() if policy is AWS_MANAGED} == {"sqs", "lambda", "firehose"}
    assert {p for p, policy in MANAGED.items() if policy is CUSTOMER_MANAGED} == {
        "email",
        "email-json",
        "sms",
        "application",
    }


# Validation: the constraints of the Developer Guide's table

HEALTHY = "healthyRetryPolicy"
ACCEPTED: list[dict[str, Any]] = [
    {},
    EXAMPLE,
    {HEALTHY: {"numRetries": 5}},
    {HEALTHY: {"numRetries": 0}},
    {HEALTHY: {"numRetries": 100, "minDelayTarget": 1, "maxDelayTarget": 36}},
    {HEALTHY: {"minDelayTarget": 1, "maxDelayTarget": 1}},
    {HEALTHY: {"numRetries": 1, "minDelayTarget": 3600, "maxDelayTarget": 3600}},
    {HEALTHY: {"numRetries": 3, "numNoDelayRetries": 1, "numMinDelayRetries": 1, "numMaxDelayRetries": 1}},
    *({HEALTHY: {"backoffFunction": backoff}} for backoff in BACKOFFS),
    {"throttlePolicy": {"maxReceivesPerSecond": 1}},
    {"throttlePolicy": {}},
    {"requestPolicy": {}},
    {"healthyRetryPolicy": None, "sicklyRetryPolicy": None, "throttlePolicy": None, "guaranteed": False},
]


@pytest.mark.parametrize("policy", ACCEPTED, ids=json.dumps)
def test_a_subscriptions_policy_is_accepted(policy: dict[str, Any]) -> None:
    assert check_subscription_policy(json.dumps(policy)) == policy


@pytest.mark.parametrize("policy", ACCEPTED[:-1], ids=json.dumps)
def test_a_topics_policy_is_accepted(policy: dict[str, Any]) -> None:
    topic_policy = {"http": {f"default{name[0].upper()}{name[1:]}": part for name, part in policy.items()}}
    assert check_topic_policy(json.dumps(topic_policy)) == topic_policy


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"unknown": {}}, "unknown attribute unknown"),
    ({"http": {}}, "unknown attribute http"),
    ({HEALTHY: {"retries": 3}}, "unknown attribute healthyRetryPolicy.retries"),
    ({HEALTHY: []}, "healthyRetryPolicy must be an object"),
    ({HEALTHY: {"numRetries": -1}}, "healthyRetryPolicy.numRetries must be greater than or equal to 0"),
    ({HEALTHY: {"numRetries": 101}}, "healthyRetryPolicy.numRetries must be less than or equal to 100"),
    ({HEALTHY: {"numRetries": "3"}}, "healthyRetryPolicy.numRetries must be an integer"),
    ({HEALTHY: {"numRetries": 3.0}}, "healthyRetryPolicy.numRetries must be an integer"),
    ({HEALTHY: {"numRetries": True}}, "healthyRetryPolicy.numRetries must be an integer"),
    ({HEALTHY: {"numRetries": None}}, "healthyRetryPolicy.numRetries must be an integer"),
    ({HEALTHY: {"minDelayTarget": 5}}, "healthyRetryPolicy.maxDelayTarget must be specified"),
    ({HEALTHY: {"maxDelayTarget": 5}}, "healthyRetryPolicy.minDelayTarget must be specified"),
    (
        {HEALTHY: {"minDelayTarget": 0, "maxDelayTarget": 5}},
        "healthyRetryPolicy.minDelayTarget must be greater than or equal to 1",
    ),
    (
        {HEALTHY: {"minDelayTarget": 1, "maxDelayTarget": 3601}},
        "healthyRetryPolicy.maxDelayTarget must be less than or equal to 3600",
    ),
    (
        {HEALTHY: {"minDelayTarget": 6, "maxDelayTarget": 5}},
        "healthyRetryPolicy.maxDelayTarget must be greater than or equal to healthyRetryPolicy.minDelayTarget",
    ),
    ({HEALTHY: {"numNoDelayRetries": -1}}, "healthyRetryPolicy.numNoDelayRetries must be greater than or equal to 0"),
    ({HEALTHY: {"numMinDelayRetries": "x"}}, "healthyRetryPolicy.numMinDelayRetries must be an integer"),
    (
        {HEALTHY: {"numRetries": 3, "numNoDelayRetries": 2, "numMaxDelayRetries": 2}},
        "healthyRetryPolicy.numRetries must be greater than or equal to total of numNoDelayRetries, numMinDelayRetries, "
        "numMaxDelayRetries",
    ),
    (
        {HEALTHY: {"backoffFunction": "sudden"}},
        "healthyRetryPolicy.backoffFunction must be one of arithmetic, exponential, geometric, linear",
    ),
    (
        {HEALTHY: {"backoffFunction": ["linear"]}},
        "healthyRetryPolicy.backoffFunction must be one of arithmetic, exponential, geometric, linear",
    ),
    (
        {HEALTHY: {"numRetries": 2, "minDelayTarget": 1, "maxDelayTarget": 3600}},
        "healthyRetryPolicy: the total of all delays must be less than or equal to 3600 seconds",
    ),
    (
        {HEALTHY: {"numRetries": 100, "minDelayTarget": 37, "maxDelayTarget": 37}},
        "healthyRetryPolicy: the total of all delays must be less than or equal to 3600 seconds",
    ),
    ({"throttlePolicy": 5}, "throttlePolicy must be an object"),
    ({"throttlePolicy": {"perSecond": 5}}, "unknown attribute throttlePolicy.perSecond"),
    (
        {"throttlePolicy": {"maxReceivesPerSecond": 0}},
        "throttlePolicy.maxReceivesPerSecond must be greater than or equal to 1",
    ),
    ({"throttlePolicy": {"maxReceivesPerSecond": 1.5}}, "throttlePolicy.maxReceivesPerSecond must be an integer"),
    ({"requestPolicy": {"accept": "*"}}, "unknown attribute requestPolicy.accept"),
    (
        {"requestPolicy": {"headerContentType": "image/png"}},
        "requestPolicy.headerContentType is not a supported content type",
    ),
    (
        {"requestPolicy": {"headerContentType": "text/plain\r\nX-Injected: 1"}},
        "requestPolicy.headerContentType is not a supported content type",
    ),
    (
        {"requestPolicy": {"headerContentType": "text/plain\n"}},
        "requestPolicy.headerContentType is not a supported content type",
    ),
    ({"requestPolicy": {"headerContentType": 5}}, "requestPolicy.headerContentType is not a supported content type"),
]


@pytest.mark.parametrize(("policy", "reason"), REFUSED, ids=[json.dumps(policy) for policy, _ in REFUSED])
def test_a_policy_is_refused(policy: dict[str, Any], reason: str) -> None:
    with pytest.raises(PolicyRefused) as caught:
        check_subscription_policy(json.dumps(policy))
    assert caught.value.reason == f"DeliveryPolicy: {reason}"


TOPIC_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"healthyRetryPolicy": {}}, "unknown attribute healthyRetryPolicy"),
    ({"http": []}, "http must be an object"),
    ({"http": {"healthyRetryPolicy": {}}}, "unknown attribute http.healthyRetryPolicy"),
    ({"http": {"disableSubscriptionOverrides": "true"}}, "http.disableSubscriptionOverrides must be true or false"),
    (
        {"http": {"defaultHealthyRetryPolicy": {"maxDelayTarget": 60}}},
        "http.defaultHealthyRetryPolicy.minDelayTarget must be specified",
    ),
]


@pytest.mark.parametrize(("policy", "reason"), TOPIC_REFUSED, ids=[json.dumps(policy) for policy, _ in TOPIC_REFUSED])
def test_a_topics_policy_is_refused(policy: dict[str, Any], reason: str) -> None:
    with pytest.raises(PolicyRefused) as caught:
        check_topic_policy(json.dumps(policy))
    assert caught.value.reason == f"DeliveryPolicy: {reason}"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/css",
        "text/csv",
        "text/html",
        "text/plain",
        "text/xml",
        "application/atom+xml",
        "application/json",
        "application/octet-stream",
        "application/soap+xml",
        "application/x-www-form-urlencoded",
        "application/xhtml+xml",
        "application/xml",
        "text/plain; charset=UTF-8",
    ],
)
def test_the_content_types_of_the_developer_guide(content_type: str) -> None:
    policy = json.dumps({"requestPolicy": {"headerContentType": content_type}})
    check_subscription_policy(policy)
    assert effective(None, policy).content_type == content_type


HOSTILE = {
    "nothing": "",
    "no JSON": "linear",
    "half an object": '{"healthyRetryPolicy":',
    "a list": "[]",
    "a string": '"healthyRetryPolicy"',
    "a number": "3",
    "null": "null",
    "nested lists": "[" * DEEP + "]" * DEEP,
    "nested objects": '{"healthyRetryPolicy":' * DEEP + "1" + "}" * DEEP,
    "a nested number": '{"healthyRetryPolicy":{"numRetries":' + "[" * DEEP + "]" * DEEP + "}}",
    "a huge integer": '{"healthyRetryPolicy":{"numRetries":' + "9" * 10_000 + "}}",
    "an integer above 64 bits": '{"throttlePolicy":{"maxReceivesPerSecond":18446744073709551616}}',
    "an infinite number": '{"healthyRetryPolicy":{"minDelayTarget":1e999,"maxDelayTarget":1e999}}',
    "not a number": '{"healthyRetryPolicy":{"numRetries":NaN}}',
    "a very long text": '{"requestPolicy":{"headerContentType":"' + "x" * 1_000_000 + '"}}',
    "half a surrogate pair": '{"requestPolicy":{"headerContentType":"\ud800"}}',
}


@pytest.mark.parametrize("check", [check_subscription_policy, check_topic_policy])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_input_is_refused(text: str, check: Any) -> None:
    with pytest.raises(PolicyRefused):
        check(text)


# What is in effect


def test_the_effective_policy_of_a_topic_without_one() -> None:
    assert effective_json(None, of_subscription=False) == DEFAULT


def test_a_topics_policy_is_completed_with_the_defaults() -> None:
    topic = {"http": {"defaultHealthyRetryPolicy": {"numRetries": 5}}}
    shown = json.loads(effective_json(json.dumps(topic), of_subscription=False))
    assert shown == json.loads(DEFAULT.replace('"numRetries":3', '"numRetries":5'))


def test_a_throttle_policy_is_shown_where_there_is_one() -> None:
    topic = {"http": {"defaultThrottlePolicy": {"maxReceivesPerSecond": 7}}}
    shown = json.loads(effective_json(json.dumps(topic), of_subscription=False))
    assert shown["http"]["defaultThrottlePolicy"] == {"maxReceivesPerSecond": 7}


def test_the_effective_policy_of_a_subscription_without_one() -> None:
    assert json.loads(effective_json(None, of_subscription=True)) == {
        "healthyRetryPolicy": json.loads(DEFAULT)["http"]["defaultHealthyRetryPolicy"],
        "sicklyRetryPolicy": None,
        "throttlePolicy": None,
        "requestPolicy": {"headerContentType": "text/plain; charset=UTF-8"},
        "guaranteed": False,
    }


def test_what_is_shown_as_effective_can_be_set() -> None:
    check_topic_policy(effective_json(None, of_subscription=False))
    check_subscription_policy(effective_json(None, json.dumps(EXAMPLE), of_subscription=True))


TOPIC = {
    "http": {
        "defaultHealthyRetryPolicy": {"minDelayTarget": 2, "maxDelayTarget": 4, "numRetries": 2},
        "defaultThrottlePolicy": {"maxReceivesPerSecond": 3},
        "defaultRequestPolicy": {"headerContentType": "application/xml"},
    }
}


def test_a_topics_policy_holds_for_its_subscriptions() -> None:
    policy = effective(json.dumps(TOPIC), None)
    assert delays_ms(policy.retries) == [2_000, 4_000]
    assert (policy.max_receives_per_second, policy.content_type) == (3, "application/xml")


def test_a_subscriptions_own_policy_goes_before_it_part_by_part() -> None:
    own = json.dumps({"healthyRetryPolicy": {"numRetries": 1}})
    policy = effective(json.dumps(TOPIC), own)
    assert delays_ms(policy.retries) == [20_000], "a retry policy holds as a whole"
    assert (policy.max_receives_per_second, policy.content_type) == (3, "application/xml")


def test_a_topic_may_disable_overrides() -> None:
    closed = json.dumps({"http": {**TOPIC["http"], "disableSubscriptionOverrides": True}})
    own = json.dumps(EXAMPLE)
    assert effective(closed, own) == effective(json.dumps(TOPIC), None)
    shown = json.loads(effective_json(closed, own, of_subscription=True))
    assert shown["healthyRetryPolicy"]["numRetries"] == 2
    assert json.loads(effective_json(closed, of_subscription=False))["http"]["disableSubscriptionOverrides"] is True
