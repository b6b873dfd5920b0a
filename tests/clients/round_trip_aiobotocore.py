"""The round trip through aiobotocore, with a consumer that waits while the producer sends."""

import asyncio
import json
import os

from aiobotocore.session import get_session


async def main():
    async with get_session().create_client("sqs", endpoint_url=os.environ["POMBO_URL"]) as sqs:
        await standard(sqs)
        await fifo(sqs)
        await dead_letter(sqs)
        await errors(sqs)


async def standard(sqs):
    url = (await sqs.create_queue(QueueName="standard"))["QueueUrl"]
    poll = asyncio.create_task(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MessageAttributeNames=["All"]))
    attributes = {
        "city": {"DataType": "String", "StringValue": "Zürich"},
        "blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = await sqs.send_message(QueueUrl=url, MessageBody="grüße", MessageAttributes=attributes)
    (message,) = (await poll)["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "grüße")
    assert message["MessageAttributes"] == attributes
    await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(10)]
    assert len((await sqs.send_message_batch(QueueUrl=url, Entries=entries))["Successful"]) == 10
    polls = [sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=20) for _ in range(10)]
    messages = [message for reply in await asyncio.gather(*polls) for message in reply["Messages"]]
    assert sorted(message["Body"] for message in messages) == [str(n) for n in range(10)]
    handles = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
    assert len((await sqs.delete_message_batch(QueueUrl=url, Entries=handles))["Successful"]) == 10
    assert "Messages" not in await sqs.receive_message(QueueUrl=url)


async def fifo(sqs):
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = (await sqs.create_queue(QueueName="ordered.fifo", Attributes=attributes))["QueueUrl"]
    for body in ("a", "b", "a", "c"):
        await sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    messages = (await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10))["Messages"]
    assert [message["Body"] for message in messages] == ["a", "b", "c"]


async def dead_letter(sqs):
    dead = (await sqs.create_queue(QueueName="dead"))["QueueUrl"]
    found = await sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    policy = json.dumps({"deadLetterTargetArn": found["Attributes"]["QueueArn"], "maxReceiveCount": 1})
    url = (await sqs.create_queue(QueueName="alive", Attributes={"RedrivePolicy": policy}))["QueueUrl"]
    await sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert len((await sqs.receive_message(QueueUrl=url, VisibilityTimeout=0))["Messages"]) == 1
    assert "Messages" not in await sqs.receive_message(QueueUrl=url)
    (moved,) = (await sqs.receive_message(QueueUrl=dead, MessageSystemAttributeNames=["All"]))["Messages"]
    assert moved["Body"] == "poison"
    assert moved["Attributes"]["DeadLetterQueueSourceArn"].endswith(":alive")


async def errors(sqs):
    found = None
    try:
        await sqs.get_queue_url(QueueName="nowhere")
    except sqs.exceptions.QueueDoesNotExist as error:
        found = error.response["Error"]["Code"]
    assert found == "AWS.SimpleQueueService.NonExistentQueue", "a queue that does not exist was found"


if __name__ == "__main__":
    asyncio.run(main())
