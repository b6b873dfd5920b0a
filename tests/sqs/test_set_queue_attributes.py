"""SetQueueAttributes: what it changes, from when, and what it refuses. Source: API Reference and recorded replies."""

import json

import pytest

from tests.conftest import MessageClock
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, redrive_policy, refused
from tests.sqs.wire_clients import QueryClient


def test_several_attributes_are_set_at_once(queue: Queue) -> None:
    queue.set(VisibilityTimeout="1", DelaySeconds="2", MaximumMessageSize="2048")
    assert queue.attributes("VisibilityTimeout", "DelaySeconds", "MaximumMessageSize") == {
        "VisibilityTimeout": "1",
        "DelaySeconds": "2",
        "MaximumMessageSize": "2048",
    }


def test_the_others_keep_their_values(queue: Queue) -> None:
    queue.set(VisibilityTimeout="1")
    queue.set(DelaySeconds="2")
    assert queue.attributes("VisibilityTimeout") == {"VisibilityTimeout": "1"}


def test_one_bad_value_and_nothing_is_changed(queue: Queue) -> None:
    before = queue.attributes("All")
    with refused("InvalidAttributeValue"):
        queue.set(VisibilityTimeout="1", DelaySeconds="901")
    assert queue.attributes("All") == before


@pytest.mark.parametrize("name", ["Nonsense", "QueueArn", "CreatedTimestamp", "ApproximateNumberOfMessagesDelayed"])
def test_an_unknown_or_read_only_attribute_is_refused(queue: Queue, name: str) -> None:
    with refused("InvalidAttributeName", text=f"Unknown Attribute {name}."):
        queue.set(**{name: "1"})


def test_an_unknown_queue_is_refused(sqs: Sqs, queue: Queue) -> None:
    with refused(NO_SUCH_QUEUE):
        sqs.set_queue_attributes(QueueUrl=queue.url + "x", Attributes={"DelaySeconds": "1"})


def test_the_query_protocol_sets_attributes(queue: Queue, sqs_query: QueryClient) -> None:
    answer = sqs_query.call(
        "SetQueueAttributes", QueueUrl=queue.url, Attribute__1__Name="DelaySeconds", Attribute__1__Value=7
    )
    assert answer.status == 200
    assert answer.text("ResponseMetadata/RequestId")
    assert queue.attributes("DelaySeconds") == {"DelaySeconds": "7"}


def test_a_queues_type_cannot_be_changed(fifo: Queue) -> None:
    text = "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
    with refused("InvalidAttributeValue", text=text):
        fifo.set(FifoQueue="false")


def test_a_standard_queue_has_no_fifoqueue_attribute(queue: Queue) -> None:
    with refused("InvalidAttributeName", text="Unknown Attribute FifoQueue."):
        queue.set(FifoQueue="true")


def test_a_standard_queue_has_no_deduplication_scope(queue: Queue) -> None:
    text = "You can specify the DeduplicationScope only when FifoQueue is set to true."
    with refused("InvalidAttributeName", text=text):
        queue.set(DeduplicationScope="queue")


@pytest.mark.parametrize(
    ("name", "value"), [("ContentBasedDeduplication", "true"), ("FifoThroughputLimit", "perQueue")]
)
def test_a_standard_queue_has_no_fifo_attribute(queue: Queue, name: str, value: str) -> None:
    with refused("InvalidAttributeName"):
        queue.set(**{name: value})


def test_high_throughput_is_set_by_its_two_attributes(fifo: Queue) -> None:
    fifo.set(DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    assert fifo.attributes("DeduplicationScope", "FifoThroughputLimit") == {
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
    }


def test_throughput_per_group_needs_deduplication_per_group(fifo: Queue) -> None:
    with refused("InvalidAttributeValue", "InvalidParameterValue"):
        fifo.set(FifoThroughputLimit="perMessageGroupId")


def test_a_new_delay_is_not_retroactive_on_a_standard_queue(queue: Queue) -> None:
    queue.send("before")
    queue.set(DelaySeconds="100")
    queue.send("after")
    assert queue.counts() == (1, 0, 1)
    assert queue.receive_bodies() == ["before"]


def test_a_new_delay_is_retroactive_on_a_fifo_queue(make_queue: MakeQueue, clock: MessageClock) -> None:
    fifo = make_queue("late", FifoQueue="true", DelaySeconds="100")
    fifo.send_in_group("g", "a")
    fifo.set(DelaySeconds="0")
    assert fifo.receive_bodies() == ["a"]


def test_a_new_visibility_timeout_counts_from_the_next_receive(queue: Queue, clock: MessageClock) -> None:
    queue.send("a")
    queue.receive_one()
    queue.set(VisibilityTimeout="5")
    clock.advance(6)
    assert queue.receive() == []
    clock.advance(24)
    assert queue.receive_bodies() == ["a"]
    clock.advance(5)
    assert queue.receive_bodies() == ["a"]


def test_a_policy_is_kept_and_returned_and_removed_by_an_empty_one(queue: Queue) -> None:
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue.arn}],
        }
    )
    queue.set(Policy=policy)
    assert json.loads(queue.attributes("Policy")["Policy"]) == json.loads(policy)
    queue.set(Policy="")
    assert "Policy" not in queue.attributes("All")


def test_a_policy_that_is_no_json_is_refused(queue: Queue) -> None:
    with refused("InvalidAttributeValue", "InvalidParameterValue"):
        queue.set(Policy="{not json")


def test_a_policy_has_at_most_8192_bytes(queue: Queue) -> None:
    policy = json.dumps({"Id": "é" * 4_000}, ensure_ascii=False)
    longest = policy + " " * (8_192 - len(policy.encode()))
    queue.set(Policy=longest)
    with refused("InvalidAttributeValue"):
        queue.set(Policy=longest + " ")
    assert queue.attributes("Policy") == {"Policy": longest}


@pytest.mark.parametrize("name", ["RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId"])
def test_no_other_attribute_is_of_any_length(queue: Queue, name: str) -> None:
    with refused("InvalidAttributeValue", "InvalidParameterValue"):
        queue.set(**{name: '{"redrivePermission": "allowAll"}' + " " * 8_192})
    assert name not in queue.attributes("All")


@pytest.mark.parametrize("depth", [300, 2_000])
def test_a_policy_without_bottom_is_refused(queue: Queue, depth: int) -> None:
    with refused("InvalidAttributeValue"):
        queue.set(Policy='{"Id":' + "[" * depth + "]" * depth + "}")


def test_an_empty_redrive_policy_removes_it(queue: Queue, make_queue: MakeQueue) -> None:
    dead = make_queue("dead")
    queue.redrive_to(dead, 3)
    found = json.loads(queue.attributes("RedrivePolicy")["RedrivePolicy"])
    assert found["deadLetterTargetArn"] == dead.arn
    assert int(found["maxReceiveCount"]) == 3
    queue.set(RedrivePolicy="")
    assert "RedrivePolicy" not in queue.attributes("All")


@pytest.mark.parametrize("count", [1, "1", 1000, "1000"])
def test_maxreceivecount_may_be_a_number_or_a_string(queue: Queue, make_queue: MakeQueue, count: int | str) -> None:
    queue.set(RedrivePolicy=json.dumps({"deadLetterTargetArn": make_queue("dead").arn, "maxReceiveCount": count}))
    assert int(json.loads(queue.attributes("RedrivePolicy")["RedrivePolicy"])["maxReceiveCount"]) == int(count)


@pytest.mark.parametrize("count", [0, 1001, -1, "many", None])
def test_maxreceivecount_is_1_to_1000(queue: Queue, make_queue: MakeQueue, count: object) -> None:
    policy = json.dumps({"deadLetterTargetArn": make_queue("dead").arn, "maxReceiveCount": count})
    with refused("InvalidParameterValue"):
        queue.set(RedrivePolicy=policy)
    assert "RedrivePolicy" not in queue.attributes("All")


@pytest.mark.parametrize("policy", ["{", "[]", "1", '{"maxReceiveCount": 3}', '{"deadLetterTargetArn": "nonsense"}'])
def test_a_redrive_policy_must_be_whole(queue: Queue, policy: str) -> None:
    with refused("InvalidParameterValue"):
        queue.set(RedrivePolicy=policy)


def test_the_dead_letter_queue_must_exist(queue: Queue) -> None:
    with refused("InvalidParameterValue"):
        queue.set(RedrivePolicy=redrive_policy(queue.arn + "-missing", 3))


def test_the_dead_letter_queue_must_be_of_the_same_type(queue: Queue, fifo: Queue, make_queue: MakeQueue) -> None:
    with refused("InvalidParameterValue"):
        queue.redrive_to(fifo, 3)
    with refused("InvalidParameterValue"):
        fifo.redrive_to(queue, 3)


def test_a_queue_whose_redrive_policy_is_bad_is_not_created(sqs: Sqs, queue: Queue) -> None:
    with refused("InvalidParameterValue"):
        sqs.create_queue(QueueName="new", Attributes={"RedrivePolicy": redrive_policy(queue.arn, 0)})
    assert sqs.list_queues()["QueueUrls"] == [queue.url]


def test_a_kms_key_turns_managed_encryption_off(queue: Queue) -> None:
    queue.set(KmsMasterKeyId="alias/aws/sqs", KmsDataKeyReusePeriodSeconds="6000")
    found = queue.attributes("All")
    assert found["KmsMasterKeyId"] == "alias/aws/sqs"
    assert found["KmsDataKeyReusePeriodSeconds"] == "6000"
    assert found["SqsManagedSseEnabled"] == "false"


def test_an_empty_kms_key_removes_it(queue: Queue) -> None:
    queue.set(KmsMasterKeyId="alias/aws/sqs")
    queue.set(KmsMasterKeyId="")
    assert "KmsMasterKeyId" not in queue.attributes("All")


def test_the_default_reuse_period_is_not_returned(queue: Queue) -> None:
    queue.set(KmsMasterKeyId="alias/aws/sqs", KmsDataKeyReusePeriodSeconds="6000")
    queue.set(KmsMasterKeyId="", KmsDataKeyReusePeriodSeconds="300")
    assert not {"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"} & set(queue.attributes("All"))


def test_two_kinds_of_encryption_at_once_are_refused(queue: Queue) -> None:
    text = "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."
    with refused("InvalidAttributeName", text=text):
        queue.set(KmsMasterKeyId="alias/aws/sqs", SqsManagedSseEnabled="true")


def test_managed_encryption_can_be_turned_off(queue: Queue) -> None:
    queue.set(SqsManagedSseEnabled="false")
    assert queue.attributes("SqsManagedSseEnabled") == {"SqsManagedSseEnabled": "false"}
