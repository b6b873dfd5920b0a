"""The round trip of SNS through aiobotocore, with consumers that wait while the producer publishes."""

import asyncio
import json
import os

from aiobotocore.session import get_session


async def main():
    session, url = get_session(), os.environ["POMBO_URL"]
    clients = [session.create_client(name, endpoint_url=url) for name in ("sns", "sqs")]
    async with clients[0] as sns, clients[1] as sqs:
        await fan_out(sns, sqs)
        await fifo(sns, sqs)
        await pages(sns)
        await errors(sns)


async def fan_out(sns, sqs):
    topic = await sns.create_topic(
        Name="orders", Attributes={"DisplayName": "Orders"}, Tags=[{"Key": "team", "Value": "blue"}]
    )
    arn = topic["TopicArn"]
    raw, raw_arn = await make_queue(sqs, "raw")
    filtered, filtered_arn = await make_queue(sqs, "filtered")
    await subscribe(sns, arn, raw_arn, RawMessageDelivery="true")
    subscription = await subscribe(sns, arn, filtered_arn, FilterPolicy=json.dumps({"city": [{"prefix": "Zü"}]}))
    polls = [asyncio.create_task(receive(sqs, url)) for url in (raw, filtered)]
    attributes = {
        "city": {"DataType": "String", "StringValue": "Zürich"},
        "blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = await sns.publish(TopicArn=arn, Message="grüße", Subject="s", MessageAttributes=attributes)
    as_raw, in_envelope = await asyncio.gather(*polls)
    assert (as_raw["Body"], as_raw["MessageAttributes"]) == ("grüße", attributes)
    envelope = json.loads(in_envelope["Body"])
    assert (envelope["MessageId"], envelope["Message"], envelope["Subject"]) == (sent["MessageId"], "grüße", "s")
    assert envelope["MessageAttributes"]["city"] == {"Type": "String", "Value": "Zürich"}

    entries = [{"Id": str(n), "Message": str(n)} for n in range(10)]
    reply = await sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
    assert len(reply["Successful"]) == 10
    received = await asyncio.gather(*(receive(sqs, raw) for _ in range(10)))
    assert sorted(message["Body"] for message in received) == [str(n) for n in range(10)]
    assert "Messages" not in await sqs.receive_message(QueueUrl=filtered)

    await sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="More orders")
    found = await sns.get_topic_attributes(TopicArn=arn)
    assert found["Attributes"]["DisplayName"] == "More orders"
    assert found["Attributes"]["SubscriptionsConfirmed"] == "2"
    found = await sns.get_subscription_attributes(SubscriptionArn=subscription)
    assert found["Attributes"]["FilterPolicyScope"] == "MessageAttributes"
    await sns.unsubscribe(SubscriptionArn=subscription)
    assert len((await sns.list_subscriptions_by_topic(TopicArn=arn))["Subscriptions"]) == 1
    await sns.delete_topic(TopicArn=arn)
    assert (await sns.list_subscriptions())["Subscriptions"] == []


async def fifo(sns, sqs):
    attributes = {"FifoTopic": "true", "ContentBasedDeduplication": "true"}
    arn = (await sns.create_topic(Name="ordered.fifo", Attributes=attributes))["TopicArn"]
    url, queue_arn = await make_queue(sqs, "ordered.fifo", FifoQueue="true")
    await subscribe(sns, arn, queue_arn, RawMessageDelivery="true")
    for message in ("a", "b", "a", "c"):
        await sns.publish(TopicArn=arn, Message=message, MessageGroupId="g")
    messages = (await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10))["Messages"]
    assert [message["Body"] for message in messages] == ["a", "b", "c"]


async def pages(sns):
    names = {f"page-{number:03}" for number in range(101)}
    await asyncio.gather(*(sns.create_topic(Name=name) for name in names))
    pages = [page["Topics"] async for page in sns.get_paginator("list_topics").paginate()]
    assert [len(page) for page in pages] == [100, 2]
    assert names <= {topic["TopicArn"].rpartition(":")[2] for page in pages for topic in page}


async def errors(sns):
    found = None
    try:
        await sns.get_topic_attributes(TopicArn=f"arn:aws:sns:us-east-1:{os.environ['AWS_ACCESS_KEY_ID']}:nowhere")
    except sns.exceptions.NotFoundException as error:
        found = error.response
    assert found is not None, "a topic that does not exist was found"
    assert found["Error"]["Code"] == "NotFound"
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 404


async def make_queue(sqs, name, **attributes):
    url = (await sqs.create_queue(QueueName=name, Attributes=attributes))["QueueUrl"]
    found = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


async def subscribe(sns, topic, endpoint, **attributes):
    reply = await sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint, Attributes=attributes)
    return reply["SubscriptionArn"]


async def receive(sqs, url):
    """One message, waited for, and deleted."""
    reply = await sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=20, MessageAttributeNames=["All"]
    )
    (message,) = reply["Messages"]
    await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return message


if __name__ == "__main__":
    asyncio.run(main())
