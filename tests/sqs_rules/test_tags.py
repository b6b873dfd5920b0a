"""Tags: how long and how many. Source: SQS Developer Guide, quotas related to queues."""

import pytest

from broker.core.errors import InvalidParameterValue
from broker.core.settings import QueueName
from broker.services.sqs.tags import check_tags

NAME = QueueName("123456789012", "us-east-1", "orders")


@pytest.mark.parametrize("tags", [{}, {"k": ""}, {"k" * 128: "v" * 256}, {f"k{n}": "v" for n in range(50)}])
def test_tags_within_the_limits(tags: dict[str, str]) -> None:
    check_tags(NAME, tags)


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ({"": "v"}, "Tag keys must be between 1 and 128 characters"),
        ({"k" * 129: "v"}, "Tag keys must be between 1 and 128 characters"),
        ({"k": "v" * 257}, "Tag values must be between 0 and 256 characters"),
        ({f"k{n}": "v" for n in range(51)}, "Too many tags added for queue orders"),
        ({"k": "\x00"}, "control characters"),
        ({"\uffff": "v"}, "control characters"),
    ],
)
def test_tags_beyond_the_limits(tags: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidParameterValue, match=text):
        check_tags(NAME, tags)
