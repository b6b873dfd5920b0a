"""The round trip through boto3, by the protocol that the argument names: a current botocore speaks json, an old one query."""

import json
import os
import sys

import boto3

ATTRIBUTES = {
    "city": {"DataType": "String", "StringValue": "Zürich"},
    "count": {"DataType": "Number", "StringValue": "12"},
    "blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff\r\n"},
}
BODY = 'grüße, <&> "quoted"\r\n'


def main(protocol):
    sqs = boto3.client("sqs", endpoint_url=os.environ["POMBO_URL"])
    assert sqs.meta.service_model.metadata["protocol"] == protocol, "this botocore speaks another protocol"
    standard(sqs)
    fifo(sqs)
    dead_letter(sqs)
    errors(sqs)


def standard(sqs):
    url = sqs.create_queue(QueueName="standard", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    assert url in sqs.list_queues(QueueNamePrefix="stand")["QueueUrls"]
    assert sqs.get_queue_url(QueueName="standard")["QueueUrl"] == url
    sent = sqs.send_message(QueueUrl=url, MessageBody=BODY, MessageAttributes=ATTRIBUTES)
    entries = [{"Id": str(n), "MessageBody": f"batch {n}"} for n in range(9)]
    reply = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert len(reply["Successful"]) == 9
    assert not reply.get("Failed")

    messages = {}
    while len(messages) < 10:
        reply = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=5,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages.update({message["Body"]: message for message in reply["Messages"]})
    first = messages[BODY]
    assert first["MessageId"] == sent["MessageId"]
    assert first["MessageAttributes"] == ATTRIBUTES
    assert first["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert first["Attributes"]["ApproximateReceiveCount"] == "1"

    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=120)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    rest = [message for body, message in messages.items() if body != BODY]
    handles = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(rest)]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=handles)["Successful"]) == 9
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert found["ApproximateNumberOfMessages"] == found["ApproximateNumberOfMessagesNotVisible"] == "0"
    assert found["VisibilityTimeout"] == "60"
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.tag_queue(QueueUrl=url, Tags={"team": "blue"})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "blue"}


def fifo(sqs):
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = sqs.create_queue(QueueName="ordered.fifo", Attributes=attributes)["QueueUrl"]
    sent = [sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g") for body in ("a", "b", "a", "c")]
    assert sent[2]["MessageId"] == sent[0]["MessageId"]
    assert sent[0]["SequenceNumber"] < sent[1]["SequenceNumber"] < sent[3]["SequenceNumber"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    assert [message["Body"] for message in messages] == ["a", "b", "c"]
    assert {message["Attributes"]["MessageGroupId"] for message in messages} == {"g"}
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def dead_letter(sqs):
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    url = sqs.create_queue(QueueName="alive", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert len(sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    (moved,) = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"])["Messages"]
    assert moved["MessageId"] == sent["MessageId"]
    assert moved["Attributes"]["DeadLetterQueueSourceArn"].endswith(":alive")
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]


def errors(sqs):
    found = None
    try:
        sqs.get_queue_url(QueueName="nowhere")
    except sqs.exceptions.QueueDoesNotExist as error:
        found = error.response
    assert found is not None, "a queue that does not exist was found"
    assert found["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 400


if __name__ == "__main__":
    main(sys.argv[1])
