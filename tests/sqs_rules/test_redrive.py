"""RedrivePolicy and RedriveAllowPolicy as JSON. Source: SQS API Reference, SetQueueAttributes."""

import json
from typing import Any

import pytest

from broker.core.errors import InvalidParameterValue
from broker.core.settings import QueueName, Redrive, RedriveAllow
from broker.services.sqs.redrive import read_redrive_allow_policy, read_redrive_policy

NAME = QueueName("123456789012", "us-east-1", "dead")


def policy(**parts: Any) -> str:
    return json.dumps(parts)


@pytest.mark.parametrize(("given", "count"), [(1, 1), ("1", 1), (1000, 1000), ("1000", 1000)])
def test_a_count_is_a_number_or_its_digits(given: int | str, count: int) -> None:
    assert read_redrive_policy(policy(deadLetterTargetArn=NAME.arn, maxReceiveCount=given)) == Redrive(NAME, count)


@pytest.mark.parametrize("given", [0, 1001, -1, 1.5, True, None, "", "many", "1.0", " 1", "\u0663", "0001001", [1]])
def test_other_counts_are_refused(given: object) -> None:
    with pytest.raises(InvalidParameterValue, match="valid values are from 1 to 1000 both inclusive"):
        read_redrive_policy(policy(deadLetterTargetArn=NAME.arn, maxReceiveCount=given))


def test_a_count_nested_deeper_than_json_is_written_is_refused() -> None:
    with pytest.raises(InvalidParameterValue, match="valid values are from 1 to 1000 both inclusive"):
        read_redrive_policy(f'{{"deadLetterTargetArn": "{NAME.arn}", "maxReceiveCount": {"[" * 500 + "]" * 500}}}')


def test_the_text_names_the_policy_and_what_is_missing() -> None:
    with pytest.raises(InvalidParameterValue) as caught:
        read_redrive_policy("{}")
    assert caught.value.message == (
        "Value {} for parameter RedrivePolicy is invalid. Reason: Redrive policy does not contain mandatory attribute: "
        "maxReceiveCount."
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        policy(maxReceiveCount=1),
        policy(deadLetterTargetArn="dead", maxReceiveCount=1),
        policy(deadLetterTargetArn=5, maxReceiveCount=1),
        policy(deadLetterTargetArn="arn:aws:sns:us-east-1:123456789012:dead", maxReceiveCount=1),
        policy(deadLetterTargetArn=NAME.arn, maxReceiveCount=1, more=1),
    ],
)
def test_policies_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameterValue, match="for parameter RedrivePolicy is invalid"):
        read_redrive_policy(text)


def test_allow_policies() -> None:
    for permission in ("allowAll", "denyAll"):
        assert read_redrive_allow_policy(policy(redrivePermission=permission)).permission == permission
    sources = [NAME._replace(name=f"source-{n}").arn for n in range(10)]
    text = policy(redrivePermission="byQueue", sourceQueueArns=sources)
    assert read_redrive_allow_policy(text) == RedriveAllow("byQueue", tuple(sources))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        policy(redrivePermission="sometimes"),
        policy(redrivePermission=["allowAll"]),
        policy(redrivePermission="allowAll", sourceQueueArns=[NAME.arn]),
        policy(redrivePermission="byQueue"),
        policy(redrivePermission="byQueue", sourceQueueArns=[]),
        policy(redrivePermission="byQueue", sourceQueueArns=[NAME.arn] * 11),
        policy(redrivePermission="byQueue", sourceQueueArns=["nonsense"]),
        policy(redrivePermission="byQueue", sourceQueueArns=NAME.arn),
        policy(redrivePermission="allowAll", more=1),
    ],
)
def test_allow_policies_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameterValue, match="for parameter RedriveAllowPolicy is invalid"):
        read_redrive_allow_policy(text)


def test_who_is_permitted() -> None:
    source = NAME._replace(name="source")
    assert RedriveAllow().permits(source)
    assert not RedriveAllow("denyAll").permits(source)
    assert RedriveAllow("byQueue", (source.arn,)).permits(source)
    assert not RedriveAllow("byQueue", (NAME.arn,)).permits(source)
