"""The round trip of SNS through boto3: topics, queues that are subscribed in each form, a filter, a FIFO topic, pages, errors."""

import json
import os

import boto3

ATTRIBUTES = {
    "city": {"DataType": "String", "StringValue": "Zürich"},
    "count": {"DataType": "Number", "StringValue": "12"},
    "blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff\r\n"},
}
MESSAGE = 'grüße, <&> "quoted"\r\n'


def main():
    sns, sqs = (boto3.client(name, endpoint_url=os.environ["POMBO_URL"]) for name in ("sns", "sqs"))
    topics(sns)
    fan_out(sns, sqs)
    batch(sns, sqs)
    fifo(sns, sqs)
    pages(sns)
    errors(sns)


def topics(sns):
    arn = sns.create_topic(
        Name="news",
        Attributes={"DisplayName": "The news", "DeliveryPolicy": ""},
        Tags=[{"Key": "team", "Value": "blue"}],
    )["TopicArn"]
    assert sns.create_topic(Name="news")["TopicArn"] == arn
    sns.set_topic_attributes(TopicArn=arn, AttributeName="SignatureVersion", AttributeValue="2")
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (attributes["DisplayName"], attributes["SignatureVersion"]) == ("The news", "2")
    assert json.loads(attributes["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 3
    assert arn in [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
    sns.delete_topic(TopicArn=arn)
    sns.delete_topic(TopicArn=arn)
    assert sns.list_topics()["Topics"] == []


def fan_out(sns, sqs):
    arn = sns.create_topic(Name="orders")["TopicArn"]
    raw, raw_arn = make_queue(sqs, "raw")
    filtered, filtered_arn = make_queue(sqs, "filtered")
    subscribe(sns, arn, raw_arn, RawMessageDelivery="true")
    subscription = subscribe(sns, arn, filtered_arn, FilterPolicy=json.dumps({"city": ["Zürich"]}))
    sent = sns.publish(TopicArn=arn, Message=MESSAGE, Subject="a subject", MessageAttributes=ATTRIBUTES)
    sns.publish(TopicArn=arn, Message="for the raw one alone")

    first, second = receive(sqs, raw, 2)
    assert (first["Body"], second["Body"]) == (MESSAGE, "for the raw one alone")
    assert first["MessageAttributes"] == ATTRIBUTES

    (message,) = receive(sqs, filtered, 1)
    envelope = json.loads(message["Body"])
    assert (envelope["Type"], envelope["TopicArn"], envelope["Subject"]) == ("Notification", arn, "a subject")
    assert (envelope["Message"], envelope["MessageId"]) == (MESSAGE, sent["MessageId"])
    assert envelope["MessageAttributes"] == {
        "city": {"Type": "String", "Value": "Zürich"},
        "count": {"Type": "Number", "Value": "12"},
        "blob": {"Type": "Binary", "Value": "AP8NCg=="},
    }

    sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue=json.dumps({"count": [1]})
    )
    attributes = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert json.loads(attributes["FilterPolicy"]) == {"count": [1]}
    assert attributes["PendingConfirmation"] == "false"
    listed = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert {one["Endpoint"] for one in listed} == {raw_arn, filtered_arn}
    sns.unsubscribe(SubscriptionArn=subscription)
    assert len(sns.list_subscriptions()["Subscriptions"]) == 1


def batch(sns, sqs):
    arn = sns.create_topic(Name="batches")["TopicArn"]
    url, queue_arn = make_queue(sqs, "batches")
    subscribe(sns, arn, queue_arn, RawMessageDelivery="true")
    entries = [{"Id": str(n), "Message": f"batch {n}"} for n in range(9)]
    entries.append({"Id": "bad", "Message": "refused", "Subject": "of two\nlines"})
    reply = sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
    assert [one["Id"] for one in reply["Successful"]] == [str(n) for n in range(9)]
    (failed,) = reply["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidParameter", True)
    assert sorted(m["Body"] for m in receive(sqs, url, 9)) == [f"batch {n}" for n in range(9)]


def fifo(sns, sqs):
    attributes = {"FifoTopic": "true", "ContentBasedDeduplication": "true"}
    arn = sns.create_topic(Name="ordered.fifo", Attributes=attributes)["TopicArn"]
    url, queue_arn = make_queue(sqs, "ordered.fifo", FifoQueue="true")
    subscribe(sns, arn, queue_arn)
    sent = [sns.publish(TopicArn=arn, Message=m, MessageGroupId="g") for m in ("a", "b", "a", "c")]
    assert sent[2]["MessageId"] == sent[0]["MessageId"]
    assert sent[0]["SequenceNumber"] < sent[1]["SequenceNumber"] < sent[3]["SequenceNumber"]
    messages = receive(sqs, url, 3)
    envelopes = [json.loads(message["Body"]) for message in messages]
    assert [envelope["Message"] for envelope in envelopes] == ["a", "b", "c"]
    assert envelopes[0]["SequenceNumber"] == sent[0]["SequenceNumber"]
    assert {message["Attributes"]["MessageGroupId"] for message in messages} == {"g"}


def pages(sns):
    names = {f"page-{number:03}" for number in range(101)}
    for name in names:
        sns.create_topic(Name=name)
    first = sns.list_topics()
    assert len(first["Topics"]) == 100
    pages = sns.get_paginator("list_topics").paginate()
    listed = [topic["TopicArn"].rpartition(":")[2] for page in pages for topic in page["Topics"]]
    assert len(listed) == len(set(listed))
    assert names <= set(listed)


def errors(sns):
    found = None
    try:
        sns.publish(TopicArn="arn:aws:sns:us-east-1:" + os.environ["AWS_ACCESS_KEY_ID"] + ":nowhere", Message="x")
    except sns.exceptions.NotFoundException as error:
        found = error.response
    assert found is not None, "a topic that does not exist was found"
    assert (found["Error"]["Code"], found["Error"]["Message"]) == ("NotFound", "Topic does not exist")
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 404
    try:
        sns.create_topic(Name="not a name")
    except sns.exceptions.InvalidParameterException as error:
        found = error.response
    assert found["Error"]["Message"] == "Invalid parameter: Topic Name"


def make_queue(sqs, name, **attributes):
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def subscribe(sns, topic, endpoint, **attributes):
    reply = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint, Attributes=attributes)
    return reply["SubscriptionArn"]


def receive(sqs, url, count):
    """Exactly so many messages: all that the queue holds."""
    found = []
    while len(found) < count:
        reply = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=10,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        found += reply["Messages"]
    assert len(found) == count
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    return found


if __name__ == "__main__":
    main()
