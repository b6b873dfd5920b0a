"""DeliveryPolicy: retries to the instant, what a policy may say, and how AWS shows it.

Expectations: the examples, tables and constraints of the Developer Guide, "Amazon SNS message delivery retries", and texts that
AWS has answered.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.services.filtering.refused import PolicyRefused
from broker.services.sns.delivery_policy import (
    AWS_MANAGED,
    CUSTOMER_MANAGED,
    Backoff,
    EffectivePolicy,
    RetryPolicy,
    check_subscription_policy,
    check_topic_policy,
    effective,
    effective_json,
)

BACKOFFS: tuple[Backoff, ...] = ("arithmetic", "exponential", "geometric", "linear")
GUIDE_EXAMPLE = """{
    "healthyRetryPolicy": {
        "minDelayTarget": 1,
        "maxDelayTarget": 60,
        "numRetries": 50,
        "numNoDelayRetries": 3,
        "numMinDelayRetries": 2,
        "numMaxDelayRetries": 35,
        "backoffFunction": "exponential"
    },
    "throttlePolicy": {
        "maxReceivesPerSecond": 10
    },
    "requestPolicy": {
        "headerContentType": "application/json"
    }
}"""
TOPIC_DEFAULT = (
    '{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,'
    '"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,'
    '"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}'
)
DEFAULT_RETRIES = json.loads(TOPIC_DEFAULT)["http"]["defaultHealthyRetryPolicy"]
SUBSCRIPTION_DEFAULT = (
    '{"healthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,'
    '"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"sicklyRetryPolicy":null,'
    '"throttlePolicy":null,"requestPolicy":{"headerContentType":"text/plain; charset=UTF-8"},"guaranteed":false}'
)


def retries(**parts: Any) -> dict[str, Any]:
    """A retry policy that is valid but for `parts`."""
    return {"minDelayTarget": 1, "maxDelayTarget": 10, "numRetries": 10} | parts


def healthy(**parts: Any) -> str:
    return json.dumps({"healthyRetryPolicy": retries(**parts)})


def on_topic(**http: Any) -> str:
    return json.dumps({"http": http})


def delays_s(policy: RetryPolicy) -> list[float]:
    delays: list[float] = []
    while (delay := policy.delay_ms(len(delays) + 1)) is not None:
        delays.append(delay / 1000)
    return delays


def refusal(text: str, *, of_topic: bool = False) -> str:
    with pytest.raises(PolicyRefused) as caught:
        (check_topic_policy if of_topic else check_subscription_policy)(text)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


def test_by_default_three_retries_20_seconds_apart() -> None:
    assert delays_s(effective(None, None).retries) == [20, 20, 20]


def test_linear_grows_at_a_constant_rate() -> None:
    """The guide: with a maximum of 40 s, the retries come after 20, 30 and 40 s."""
    policy = healthy(minDelayTarget=20, maxDelayTarget=40, numRetries=3)
    assert delays_s(effective(None, policy).retries) == [20, 30, 40]


def test_the_guides_example_phase_by_phase() -> None:
    check_subscription_policy(GUIDE_EXAMPLE)
    policy = effective(None, GUIDE_EXAMPLE)
    delays = delays_s(policy.retries)
    assert len(delays) == 50
    assert delays[:3] == [0, 0, 0]
    assert delays[3:5] == [1, 1]
    assert delays[5] == 1
    assert delays[14] == 60
    assert delays[5:15] == sorted(set(delays[5:15]))
    assert delays[15:] == [60] * 35
    assert (policy.max_receives_per_second, policy.content_type) == (10, "application/json")


def test_endpoints_that_aws_manages() -> None:
    delays = delays_s(AWS_MANAGED)
    assert len(delays) == 100_015
    assert delays[:5] == [0, 0, 0, 1, 1]
    assert delays[5:15] == [1, 1.037, 1.112, 1.26, 1.558, 2.153, 3.342, 5.722, 10.481, 20]  # 1 + 19 (2^n - 1)/511
    assert set(delays[15:]) == {20}
    assert AWS_MANAGED.total_ms() // 86_400_000 == 23


def test_endpoints_that_customers_manage() -> None:
    delays = delays_s(CUSTOMER_MANAGED)
    assert len(delays) == 50
    assert delays[:2] == [10, 10]
    assert delays[2:12] == [
        10,
        11.155,
        13.464,
        18.082,
        27.319,
        45.793,
        82.74,
        156.634,
        304.423,
        600,
    ]  # + 590 (2^n - 1)/511
    assert delays[12:] == [600] * 38
    assert CUSTOMER_MANAGED.total_ms() // 3_600_000 == 6


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ("linear", [5, 33.333, 61.667, 90, 118.333, 146.667, 175, 203.333, 231.667, 260]),
        ("arithmetic", [5, 10.667, 22, 39, 61.667, 90, 124, 163.667, 209, 260]),
        ("geometric", [5, 7.756, 12.031, 18.663, 28.949, 44.906, 69.658, 108.054, 167.612, 260]),
        ("exponential", [5, 5.499, 6.497, 8.493, 12.485, 20.470, 36.438, 68.376, 132.250, 260]),
    ],
)
def test_the_curves_of_the_guides_graph(backoff: Backoff, expected: list[float]) -> None:
    """10 retries from 5 to 260 s. The formulae are this broker's; worked out apart from it, for n of 0 to 9:

    5 + 255 n/9; 5 + 255 (1 + ... + n)/45; 5 (260/5)^(n/9); 5 + 255 (2^n - 1)/511.
    """
    assert delays_s(RetryPolicy(5, 260, 10, backoff=backoff)) == expected


def test_the_geometric_curve_multiplies() -> None:
    assert delays_s(RetryPolicy(1, 3000, 2, backoff="geometric")) == [1, 3000]
    assert delays_s(RetryPolicy(1, 1024, 11, backoff="geometric")) == [2**n for n in range(11)]


def test_a_back_off_of_one_retry_has_the_minimum() -> None:
    for backoff in BACKOFFS:
        assert delays_s(RetryPolicy(5, 260, 3, num_min_delay=1, num_max_delay=1, backoff=backoff)) == [5, 5, 260]


def test_without_retries_there_is_none() -> None:
    assert RetryPolicy(1, 1, 0).delay_ms(1) is None


@given(st.integers(1, 3600), st.integers(0, 3600), st.integers(2, 100), st.sampled_from(BACKOFFS))
def test_delays_never_fall_and_keep_their_ends(low: int, more: int, count: int, backoff: Backoff) -> None:
    delays = delays_s(RetryPolicy(low, low + more, count, backoff=backoff))
    assert (delays[0], delays[-1], len(delays)) == (low, low + more, count)
    assert delays == sorted(delays)


def test_what_aws_shows_without_a_policy() -> None:
    assert effective_json(None, of_subscription=False) == TOPIC_DEFAULT
    assert effective_json("{}", of_subscription=False) == TOPIC_DEFAULT
    assert effective_json(None, None, of_subscription=True) == SUBSCRIPTION_DEFAULT
    assert effective_json("", "", of_subscription=True) == SUBSCRIPTION_DEFAULT


def test_what_aws_shows_is_a_policy() -> None:
    assert check_topic_policy(TOPIC_DEFAULT) == json.loads(TOPIC_DEFAULT)
    assert check_subscription_policy(SUBSCRIPTION_DEFAULT) == json.loads(SUBSCRIPTION_DEFAULT)


def test_what_aws_shows_of_a_policy() -> None:
    topic = on_topic(defaultThrottlePolicy={"maxReceivesPerSecond": 1}, disableSubscriptionOverrides=True)
    expected = json.loads(TOPIC_DEFAULT)
    expected["http"] |= {"disableSubscriptionOverrides": True, "defaultThrottlePolicy": {"maxReceivesPerSecond": 1}}
    shown = json.loads(effective_json(topic, of_subscription=False))
    assert shown == expected
    assert list(shown["http"]) == [
        "defaultHealthyRetryPolicy",
        "disableSubscriptionOverrides",
        "defaultThrottlePolicy",
        "defaultRequestPolicy",
    ]
    assert effective_json(None, GUIDE_EXAMPLE, of_subscription=True) == (
        '{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":60,"numRetries":50,"numMaxDelayRetries":35,'
        '"numNoDelayRetries":3,"numMinDelayRetries":2,"backoffFunction":"exponential"},"sicklyRetryPolicy":null,'
        '"throttlePolicy":{"maxReceivesPerSecond":10},"requestPolicy":{"headerContentType":"application/json"},'
        '"guaranteed":false}'
    )


def test_a_subscriptions_policy_as_aws_adds_to_it() -> None:
    given = '{"healthyRetryPolicy":{"maxDelayTarget":20,"minDelayTarget":5,"numRetries":5}}'
    assert json.dumps(check_subscription_policy(given), separators=(",", ":")) == (
        '{"healthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":20,"numRetries":5,"numMaxDelayRetries":null,'
        '"numNoDelayRetries":null,"numMinDelayRetries":null,"backoffFunction":null},"sicklyRetryPolicy":null,'
        '"throttlePolicy":null,"requestPolicy":null,"guaranteed":false}'
    )
    assert check_subscription_policy('{"guaranteed":true}')["guaranteed"] is True
    sickly = check_subscription_policy(json.dumps({"sicklyRetryPolicy": retries()}))
    assert json.loads(effective_json(None, json.dumps(sickly), of_subscription=True))["sicklyRetryPolicy"] == {
        **retries(),
        "numMaxDelayRetries": 0,
        "numNoDelayRetries": 0,
        "numMinDelayRetries": 0,
        "backoffFunction": "linear",
    }


def test_a_topics_policy_is_shown_as_given() -> None:
    given = on_topic(
        disableSubscriptionOverrides=False, defaultHealthyRetryPolicy=retries(), defaultThrottlePolicy=None
    )
    assert check_topic_policy(given) == {
        "http": {"defaultHealthyRetryPolicy": retries(), "disableSubscriptionOverrides": False}
    }


def test_a_subscription_has_what_it_does_not_say_from_its_topic() -> None:
    topic = on_topic(
        defaultHealthyRetryPolicy=retries(numRetries=7),
        defaultThrottlePolicy={"maxReceivesPerSecond": 4},
        defaultRequestPolicy={"headerContentType": "application/json"},
    )
    of_topic = EffectivePolicy(RetryPolicy(1, 10, 7), 4, "application/json")
    assert effective(topic, None) == effective(topic, "{}") == of_topic
    assert effective(topic, '{"throttlePolicy":{}}') == of_topic
    own = json.dumps({"requestPolicy": {"headerContentType": "text/plain"}})
    for policy in (own, json.dumps(check_subscription_policy(own))):
        assert effective(topic, policy) == EffectivePolicy(RetryPolicy(1, 10, 7), 4, "text/plain")
    assert effective(topic, healthy(numRetries=2)) == EffectivePolicy(RetryPolicy(1, 10, 2), 4, "application/json")
    assert json.loads(effective_json(topic, own, of_subscription=True))["throttlePolicy"] == {"maxReceivesPerSecond": 4}
    assert json.loads(effective_json(topic, own, of_subscription=False))["http"]["defaultRequestPolicy"] == {
        "headerContentType": "application/json"
    }


def test_a_topic_may_disable_what_its_subscriptions_say() -> None:
    topic = on_topic(disableSubscriptionOverrides=True)
    assert effective(topic, GUIDE_EXAMPLE) == effective(None, None)
    assert effective_json(topic, GUIDE_EXAMPLE, of_subscription=True) == SUBSCRIPTION_DEFAULT


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"minDelayTarget": 0}, "healthyRetryPolicy.minDelayTarget must be greater than or equal to 1"),
        ({"maxDelayTarget": 3601}, "healthyRetryPolicy.maxDelayTarget must be less than or equal to 3600"),
        ({"numRetries": 101}, "healthyRetryPolicy.numRetries must be less than or equal to 100"),
        ({"numRetries": -1}, "healthyRetryPolicy.numRetries must be greater than or equal to 0"),
        ({"numNoDelayRetries": -1}, "healthyRetryPolicy.numNoDelayRetries must be greater than or equal to 0"),
        ({"numMinDelayRetries": -1}, "healthyRetryPolicy.numMinDelayRetries must be greater than or equal to 0"),
        ({"numMaxDelayRetries": -1}, "healthyRetryPolicy.numMaxDelayRetries must be greater than or equal to 0"),
        ({"minDelayTarget": None}, "healthyRetryPolicy.minDelayTarget must be specified"),
        ({"maxDelayTarget": None}, "healthyRetryPolicy.maxDelayTarget must be specified"),
        ({"numRetries": None}, "healthyRetryPolicy.numRetries must be specified"),
        ({"minDelayTarget": 11}, "healthyRetryPolicy.minDelayTarget must be less than or equal to maxDelayTarget"),
        (
            {"numNoDelayRetries": 4, "numMinDelayRetries": 4, "numMaxDelayRetries": 3},
            "healthyRetryPolicy.numRetries must be greater than or equal to the sum of numNoDelayRetries, "
            "numMinDelayRetries and numMaxDelayRetries",
        ),
        (
            {"maxDelayTarget": 3600, "numMaxDelayRetries": 2},
            "healthyRetryPolicy total retry time must be less than or equal to 3600 seconds",
        ),
        (
            {"backoffFunction": "quadratic"},
            "healthyRetryPolicy.backoffFunction must be one of: arithmetic, exponential, geometric, linear",
        ),
        (
            {"minDelayTarget": "20"},
            "healthyRetryPolicy.minDelayTarget type mismatch, expecting integer, received a string",
        ),
        ({"numRetries": True}, "healthyRetryPolicy.numRetries type mismatch, expecting integer, received a boolean"),
        ({"numRetries": 1.5}, "healthyRetryPolicy.numRetries type mismatch, expecting integer, received a decimal"),
        ({"numRetries": [3]}, "healthyRetryPolicy.numRetries type mismatch, expecting integer, received an array"),
        (
            {"backoffFunction": 1},
            "healthyRetryPolicy.backoffFunction type mismatch, expecting string, received an integer",
        ),
        ({"attempts": 3}, "Unexpected JSON member: attempts"),
    ],
)
def test_retries_that_are_refused(parts: dict[str, Any], text: str) -> None:
    assert refusal(healthy(**parts)) == f"DeliveryPolicy: {text}"
    on_the_topic = text.replace("healthyRetryPolicy", "http.defaultHealthyRetryPolicy")
    policy = on_topic(defaultHealthyRetryPolicy=retries(**parts))
    assert refusal(policy, of_topic=True) == f"DeliveryPolicy: {on_the_topic}"


def test_the_total_may_be_an_hour() -> None:
    check_subscription_policy(healthy(minDelayTarget=3600, maxDelayTarget=3600, numRetries=1))
    check_subscription_policy(healthy(minDelayTarget=36, maxDelayTarget=36, numRetries=100))
    assert "total retry time" in refusal(healthy(minDelayTarget=37, maxDelayTarget=37, numRetries=100))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"healthyRetryPolicy":{"numRetries":5}}', "healthyRetryPolicy.minDelayTarget must be specified"),
        ('{"http":{}}', "Unexpected JSON member: http"),
        ('{"healthyRetryPolicy":5}', "healthyRetryPolicy type mismatch, expecting object, received an integer"),
        ('{"guaranteed":"no"}', "guaranteed type mismatch, expecting boolean, received a string"),
        (
            '{"throttlePolicy":{"maxReceivesPerSecond":0}}',
            "throttlePolicy.maxReceivesPerSecond must be greater than or equal to 1",
        ),
        (
            '{"sicklyRetryPolicy":{"minDelayTarget":0,"maxDelayTarget":1,"numRetries":1}}',
            "sicklyRetryPolicy.minDelayTarget must be greater than or equal to 1",
        ),
        ("[]", "type mismatch, expecting object, received an array"),
        ("null", "type mismatch, expecting object, received null"),
        ("", "failed to parse JSON."),
        ("{", "failed to parse JSON."),
    ],
)
def test_policies_of_subscriptions_that_are_refused(text: str, reason: str) -> None:
    assert refusal(text) == f"DeliveryPolicy: {reason}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"http":{"throttlePolicy":{}}}', "Unexpected JSON member: throttlePolicy"),
        ('{"healthyRetryPolicy":{}}', "Unexpected JSON member: healthyRetryPolicy"),
        ('{"http":[]}', "http type mismatch, expecting object, received an array"),
        (
            '{"http":{"disableSubscriptionOverrides":"true"}}',
            "http.disableSubscriptionOverrides type mismatch, expecting boolean, received a string",
        ),
    ],
)
def test_policies_of_topics_that_are_refused(text: str, reason: str) -> None:
    assert refusal(text, of_topic=True) == f"DeliveryPolicy: {reason}"


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/css", "text/csv", "text/html", "text/plain", "text/xml", "text/plain; charset=UTF-8"),
        *("application/atom+xml", "application/json", "application/octet-stream", "application/soap+xml"),
        *("application/x-www-form-urlencoded", "application/xhtml+xml", "application/xml"),
    ],
)
def test_content_types(content_type: str) -> None:
    policy = json.dumps({"requestPolicy": {"headerContentType": content_type}})
    check_subscription_policy(policy)
    assert effective(None, policy).content_type == content_type


@pytest.mark.parametrize("content_type", ["", "image/png", "text/plain\r\nX-Other: 1", "application/json "])
def test_other_content_types_are_refused(content_type: str) -> None:
    policy = json.dumps({"requestPolicy": {"headerContentType": content_type}})
    assert refusal(policy).startswith("DeliveryPolicy: requestPolicy.headerContentType must be one of: text/css, ")
    refusal(on_topic(defaultRequestPolicy={"headerContentType": content_type}), of_topic=True)


def test_a_topic_has_fewer_content_types() -> None:
    for content_type in ("application/json", "text/plain", "text/plain; charset=UTF-8"):
        check_topic_policy(on_topic(defaultRequestPolicy={"headerContentType": content_type}))
    refusal(on_topic(defaultRequestPolicy={"headerContentType": "text/css"}), of_topic=True)


def test_what_tools_send() -> None:
    """CloudFormation has the numbers as doubles, the CDK the functions in capitals."""
    given = healthy(numRetries=10.0, numMinDelayRetries=1.0, backoffFunction="EXPONENTIAL")
    read = check_subscription_policy(given)["healthyRetryPolicy"]
    assert (read["numRetries"], read["backoffFunction"]) == (10, "exponential")
    assert "10.0" not in json.dumps(read)
    assert effective(None, given).retries == RetryPolicy(1, 10, 10, num_min_delay=1, backoff="exponential")
    assert '"numRetries":10,' in effective_json(None, given, of_subscription=True)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"healthyRetryPolicy":' * 100_000,
        '{"http":' * 500 + "{}" + "}" * 500,
        healthy(numRetries=10**30),
        healthy(numRetries=-(10**30)),
        healthy(numNoDelayRetries=2**63),
        healthy().replace("10", "1e400"),
        healthy().replace("10", "NaN"),
        '{"throttlePolicy":{"maxReceivesPerSecond":1e26}}',
        '{"\\ud800":1}',
        '{"\ud800":1}',
        '{"\\u0000":1}',
        '{"' + "x" * 300_000 + '":1}',
        "{" + ",".join(f'"{n}":0' for n in range(50_000)) + "}",
        "\x00",
        "\ufeff{}",
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_hostile_input_is_refused(text: str) -> None:
    assert refusal(text).startswith("DeliveryPolicy: ")
    assert refusal(text, of_topic=True).startswith("DeliveryPolicy: ")


small = st.integers(-1, 4) | st.sampled_from([None, True, 1.0, 1.5, "1", "linear", "LINEAR", 101, 3601, [], {}])


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from([*DEFAULT_RETRIES, "more"]), small))
def test_what_passes_can_be_followed(parts: dict[str, Any]) -> None:
    """Any policy is refused, or has as many retries as it says."""
    text = healthy(**parts)
    try:
        shown = check_subscription_policy(text)
    except PolicyRefused:
        return
    policy = effective(None, text)
    assert policy == effective(None, json.dumps(shown))
    assert len(delays_s(policy.retries)) == policy.retries.num_retries == shown["healthyRetryPolicy"]["numRetries"]
