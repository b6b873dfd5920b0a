"""AddPermission and RemovePermission write statements of the queue's policy. Source: SQS API Reference."""

import json
from typing import Any

import pytest

from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import QueryClient

EIGHT = [
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "ChangeMessageVisibility",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
]


def statements(queue: Queue) -> list[dict[str, Any]]:
    policy = queue.attributes("Policy").get("Policy")
    return [] if policy is None else list(json.loads(policy)["Statement"])


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_a_permission_is_a_statement_of_the_policy(sqs: Sqs, queue: Queue) -> None:
    sqs.add_permission(
        QueueUrl=queue.url, Label="senders", AWSAccountIds=["111111111111", "222222222222"], Actions=["SendMessage"]
    )
    (statement,) = statements(queue)
    assert statement["Sid"] == "senders"
    assert statement["Effect"] == "Allow"
    assert statement["Resource"] == queue.arn
    assert [action.lower() for action in listed(statement["Action"])] == ["sqs:sendmessage"]
    principals = listed(statement["Principal"]["AWS"])
    assert principals == ["arn:aws:iam::111111111111:root", "arn:aws:iam::222222222222:root"]


def test_every_action_may_be_permitted_at_once(sqs: Sqs, queue: Queue) -> None:
    sqs.add_permission(QueueUrl=queue.url, Label="all", AWSAccountIds=["111111111111"], Actions=["*"])
    assert [action.lower() for action in listed(statements(queue)[0]["Action"])] == ["sqs:*"]


def test_permissions_are_added_to_a_policy_that_was_set(sqs: Sqs, queue: Queue) -> None:
    own = {"Sid": "own", "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue.arn}
    queue.set(Policy=json.dumps({"Version": "2012-10-17", "Statement": [own]}))
    sqs.add_permission(QueueUrl=queue.url, Label="more", AWSAccountIds=["111111111111"], Actions=["PurgeQueue"])
    assert [statement["Sid"] for statement in statements(queue)] == ["own", "more"]
    sqs.remove_permission(QueueUrl=queue.url, Label="own")
    assert [statement["Sid"] for statement in statements(queue)] == ["more"]


def test_a_label_is_used_once(sqs: Sqs, queue: Queue) -> None:
    sqs.add_permission(QueueUrl=queue.url, Label="a", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
    with refused("InvalidParameterValue"):
        sqs.add_permission(QueueUrl=queue.url, Label="a", AWSAccountIds=["111111111111"], Actions=["PurgeQueue"])
    assert len(statements(queue)) == 1


def test_the_last_removed_permission_removes_the_statements(sqs: Sqs, queue: Queue) -> None:
    sqs.add_permission(QueueUrl=queue.url, Label="a", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
    sqs.remove_permission(QueueUrl=queue.url, Label="a")
    assert statements(queue) == []


def test_an_unknown_label_cannot_be_removed(sqs: Sqs, queue: Queue) -> None:
    with refused("InvalidParameterValue"):
        sqs.remove_permission(QueueUrl=queue.url, Label="never added")


def test_a_statement_has_at_most_seven_actions(sqs: Sqs, queue: Queue) -> None:
    sqs.add_permission(QueueUrl=queue.url, Label="seven", AWSAccountIds=["111111111111"], Actions=EIGHT[:7])
    with refused("OverLimit"):
        sqs.add_permission(QueueUrl=queue.url, Label="eight", AWSAccountIds=["111111111111"], Actions=EIGHT)


def test_a_policy_has_at_most_twenty_statements(sqs: Sqs, queue: Queue) -> None:
    permission = {"QueueUrl": queue.url, "AWSAccountIds": ["111111111111"], "Actions": ["SendMessage"]}
    for number in range(20):
        sqs.add_permission(Label=f"label-{number}", **permission)
    with refused("OverLimit"):
        sqs.add_permission(Label="one-too-many", **permission)
    sqs.remove_permission(QueueUrl=queue.url, Label="label-0")
    sqs.add_permission(Label="one-for-another", **permission)
    assert len(statements(queue)) == 20


def test_a_permission_is_given_to_at_most_fifty_accounts(sqs: Sqs, queue: Queue) -> None:
    accounts = [f"{number:012d}" for number in range(51)]
    sqs.add_permission(QueueUrl=queue.url, Label="fifty", AWSAccountIds=accounts[:50], Actions=["SendMessage"])
    with refused("OverLimit"):
        sqs.add_permission(QueueUrl=queue.url, Label="more", AWSAccountIds=accounts, Actions=["SendMessage"])
    assert len(statements(queue)) == 1


def test_a_policy_does_not_grow_beyond_8192_bytes(sqs: Sqs, queue: Queue) -> None:
    accounts = [f"{number:012d}" for number in range(50)]
    labels = []
    with refused("OverLimit"):
        for label in ("a", "b", "c", "d", "e"):
            sqs.add_permission(QueueUrl=queue.url, Label=label, AWSAccountIds=accounts, Actions=EIGHT[:7])
            labels.append(label)
    assert labels
    assert [statement["Sid"] for statement in statements(queue)] == labels


def test_an_unknown_action_is_refused(sqs: Sqs, queue: Queue) -> None:
    with refused("InvalidParameterValue"):
        sqs.add_permission(QueueUrl=queue.url, Label="a", AWSAccountIds=["111111111111"], Actions=["FlyAway"])


@pytest.mark.parametrize("label", ["x" * 81, "a b", "a/b"])
def test_a_label_has_up_to_80_letters_digits_hyphens_and_underscores(sqs: Sqs, queue: Queue, label: str) -> None:
    with refused("InvalidParameterValue"):
        sqs.add_permission(QueueUrl=queue.url, Label=label, AWSAccountIds=["111111111111"], Actions=["SendMessage"])


def test_an_unknown_queue_is_refused(sqs: Sqs, queue: Queue) -> None:
    missing = queue.url + "x"
    with refused(NO_SUCH_QUEUE):
        sqs.add_permission(QueueUrl=missing, Label="a", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
    with refused(NO_SUCH_QUEUE):
        sqs.remove_permission(QueueUrl=missing, Label="a")


def test_the_query_protocol_adds_and_removes(queue: Queue, sqs_query: QueryClient) -> None:
    answer = sqs_query.call(
        "AddPermission",
        QueueUrl=queue.url,
        Label="a",
        AWSAccountId__1="111111111111",
        ActionName__1="SendMessage",
        ActionName__2="GetQueueUrl",
    )
    assert answer.status == 200
    assert len(listed(statements(queue)[0]["Action"])) == 2
    assert sqs_query.call("RemovePermission", QueueUrl=queue.url, Label="a").status == 200
    assert statements(queue) == []
