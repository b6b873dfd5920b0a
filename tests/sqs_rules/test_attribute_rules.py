"""Queue attributes: strings in, settings out, and what is refused. Source: SQS API Reference, CreateQueue."""

from typing import Any

import pytest

from broker.core.errors import InvalidAttributeValue
from broker.core.settings import QueueName, QueueSettings, Redrive, RedriveAllow
from broker.errors import AwsError
from broker.services.sqs.attribute_rules import (
    check_attributes,
    differing_attribute,
    is_fifo,
    merge_attributes,
    read_settings,
    with_defaults,
)
from broker.services.sqs.errors import InvalidAttributeName

DLQ = "arn:aws:sqs:us-east-1:123456789012:dead"
POLICY = f'{{"deadLetterTargetArn":"{DLQ}","maxReceiveCount":"5"}}'


def checked(fifo: bool = False, creating: bool = False, **given: str) -> dict[str, str]:
    return check_attributes(given, fifo=fifo, creating=creating)


def refusal(error: type[AwsError], **given: Any) -> str:
    with pytest.raises(error) as caught:
        checked(**given)
    return caught.value.message


def test_no_attributes_mean_awss_defaults() -> None:
    assert read_settings({}, fifo=False) == QueueSettings()
    assert read_settings({}, fifo=True) == QueueSettings(fifo=True)


def test_every_setting_is_read() -> None:
    attributes = checked(
        fifo=True,
        creating=True,
        FifoQueue="true",
        DelaySeconds="1",
        MaximumMessageSize="1024",
        MessageRetentionPeriod="60",
        ReceiveMessageWaitTimeSeconds="20",
        VisibilityTimeout="0",
        ContentBasedDeduplication="true",
        DeduplicationScope="messageGroup",
        FifoThroughputLimit="perMessageGroupId",
        RedrivePolicy=POLICY,
        RedriveAllowPolicy='{"redrivePermission":"denyAll"}',
    )
    assert read_settings(merge_attributes({}, attributes), fifo=True) == QueueSettings(
        fifo=True,
        delay_ms=1_000,
        visibility_ms=0,
        retention_ms=60_000,
        receive_wait_ms=20_000,
        message_bytes_max=1024,
        content_based_deduplication=True,
        deduplicate_by_group=True,
        redrive=Redrive(QueueName("123456789012", "us-east-1", "dead"), 5),
        redrive_allow=RedriveAllow("denyAll"),
    )


@pytest.mark.parametrize("value", ["", " 1", "1 ", "+1", "1_0", "1.0", "1e1", "\uff10", "901", "-1", "9" * 5_000])
def test_numbers_are_plain_and_in_range(value: str) -> None:
    text = refusal(InvalidAttributeValue, DelaySeconds=value)
    assert text == "Invalid value for the parameter DelaySeconds."


def test_numbers_and_booleans_are_kept_in_awss_spelling() -> None:
    assert checked(fifo=True, DelaySeconds="007", ContentBasedDeduplication="True") == {
        "DelaySeconds": "7",
        "ContentBasedDeduplication": "true",
    }


@pytest.mark.parametrize("name", ["Nonsense", "QueueArn", "All", "delayseconds", "ApproximateNumberOfMessages"])
def test_unknown_and_read_only_attributes(name: str) -> None:
    assert refusal(InvalidAttributeName, **{name: "1"}) == f"Unknown Attribute {name}."


@pytest.mark.parametrize(
    ("given", "fifo"), [({}, False), ({"FifoQueue": "false"}, False), ({"FifoQueue": "True"}, True)]
)
def test_only_true_means_fifo(given: dict[str, str], fifo: bool) -> None:
    assert is_fifo(given) is fifo


def test_fifoqueue_is_said_once_and_only_of_a_fifo_queue() -> None:
    assert checked(fifo=True, creating=True, FifoQueue="true") == {"FifoQueue": "true"}
    for value in ("true", "false"):
        assert refusal(InvalidAttributeValue, fifo=True, FifoQueue=value) == (
            "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
        )
        assert refusal(InvalidAttributeName, FifoQueue=value) == "Unknown Attribute FifoQueue."
    assert refusal(InvalidAttributeName, creating=True, FifoQueue="false") == "Unknown Attribute FifoQueue."


def test_fifo_attributes_of_a_standard_queue() -> None:
    assert refusal(InvalidAttributeName, ContentBasedDeduplication="true") == (
        "Unknown Attribute ContentBasedDeduplication."
    )
    for name, value in (("DeduplicationScope", "queue"), ("FifoThroughputLimit", "perQueue")):
        assert refusal(InvalidAttributeName, **{name: value}) == (
            f"You can specify the {name} only when FifoQueue is set to true."
        )


def test_throughput_per_group_needs_deduplication_per_group_now_or_already() -> None:
    limit = {"FifoThroughputLimit": "perMessageGroupId"}
    scope = {"DeduplicationScope": "messageGroup"}
    assert merge_attributes(scope, limit) == merge_attributes({}, scope | limit) == scope | limit
    for current, changes in (({}, limit), (scope | limit, {"DeduplicationScope": "queue"})):
        with pytest.raises(InvalidAttributeValue):
            merge_attributes(current, changes)


def test_an_empty_value_removes() -> None:
    current = {"Policy": "{}", "RedrivePolicy": POLICY, "KmsMasterKeyId": "key", "DelaySeconds": "1"}
    changes = checked(Policy="", RedrivePolicy="", RedriveAllowPolicy="", KmsMasterKeyId="")
    assert merge_attributes(current, changes) == {"DelaySeconds": "1"}


def test_the_default_reuse_period_is_the_same_as_none() -> None:
    assert merge_attributes({"KmsDataKeyReusePeriodSeconds": "60"}, checked(KmsDataKeyReusePeriodSeconds="300")) == {}


def test_one_kind_of_encryption_at_a_time() -> None:
    key = {"KmsMasterKeyId": "alias/aws/sqs"}
    with_key = merge_attributes({"SqsManagedSseEnabled": "true"}, key)
    assert with_defaults(with_key, fifo=False)["SqsManagedSseEnabled"] == "false"
    for current, changes in (
        (with_key, {"SqsManagedSseEnabled": "true"}),
        ({}, key | {"SqsManagedSseEnabled": "true"}),
    ):
        with pytest.raises(InvalidAttributeName, match=r"one type of server-side encryption \(SSE\) at one time"):
            merge_attributes(current, changes)
    turned = merge_attributes(with_key, {"KmsMasterKeyId": "", "SqsManagedSseEnabled": "true"})
    assert turned == {"SqsManagedSseEnabled": "true"}


@pytest.mark.parametrize("policy", ["{", "[]", "1", '"text"', "[" * 100_000, '{"Id":"\uffff"}'])
def test_a_policy_is_a_json_object(policy: str) -> None:
    refusal(InvalidAttributeValue, Policy=policy)


def test_no_value_holds_what_xml_cannot_carry() -> None:
    assert refusal(InvalidAttributeValue, KmsMasterKeyId="a\x00b") == "Invalid value for the parameter KmsMasterKeyId."


def test_attributes_are_compared_by_what_they_mean() -> None:
    existing = {"VisibilityTimeout": "60", "RedrivePolicy": POLICY}
    same = {
        "VisibilityTimeout": "60",
        "DelaySeconds": "0",
        "RedrivePolicy": f'{{"maxReceiveCount": 5, "deadLetterTargetArn": "{DLQ}"}}',
        "Policy": "",
    }
    assert differing_attribute(same, existing, fifo=False) is None
    assert differing_attribute({"VisibilityTimeout": "61"}, existing, fifo=False) == "VisibilityTimeout"
    assert differing_attribute({"DelaySeconds": "1"}, existing, fifo=False) == "DelaySeconds"
    assert differing_attribute({"RedrivePolicy": ""}, existing, fifo=False) == "RedrivePolicy"
    assert differing_attribute({"Policy": "{}"}, existing, fifo=False) == "Policy"
