"""The round trip of SNS through the AWS command line."""

import json

from round_trip_awscli import CommandFailed, aws

MESSAGE = "grüße <&>"


def sns(operation, **parameters):
    return aws(operation, service="sns", **parameters)


def main():
    topic = sns(
        "create-topic", name="orders", attributes={"DisplayName": "Orders"}, tags=[{"Key": "team", "Value": "blue"}]
    )["TopicArn"]
    raw, raw_arn = make_queue("raw")
    filtered, filtered_arn = make_queue("filtered")
    subscribe(topic, raw_arn, RawMessageDelivery="true")
    subscription = subscribe(topic, filtered_arn, FilterPolicy=json.dumps({"city": ["Zürich"]}))
    attributes = {"city": {"DataType": "String", "StringValue": "Zürich"}}
    sent = sns("publish", topic_arn=topic, message=MESSAGE, subject="s", message_attributes=attributes)
    entries = [{"Id": "a", "Message": "batch a"}, {"Id": "b", "Message": "batch b"}]
    reply = sns("publish-batch", topic_arn=topic, publish_batch_request_entries=entries)
    assert [one["Id"] for one in reply["Successful"]] == ["a", "b"]

    first, *rest = receive(raw)
    assert (first["Body"], first["MessageAttributes"]) == (MESSAGE, attributes)
    assert [message["Body"] for message in rest] == ["batch a", "batch b"]
    (message,) = receive(filtered)
    envelope = json.loads(message["Body"])
    assert (envelope["MessageId"], envelope["Message"], envelope["Subject"]) == (sent["MessageId"], MESSAGE, "s")

    sns("set-topic-attributes", topic_arn=topic, attribute_name="SignatureVersion", attribute_value="2")
    assert sns("get-topic-attributes", topic_arn=topic)["Attributes"]["SignatureVersion"] == "2"
    found = sns("get-subscription-attributes", subscription_arn=subscription)["Attributes"]
    assert json.loads(found["FilterPolicy"]) == {"city": ["Zürich"]}
    sns("unsubscribe", subscription_arn=subscription)
    assert len(sns("list-subscriptions-by-topic", topic_arn=topic)["Subscriptions"]) == 1

    ordered = sns(
        "create-topic", name="ordered.fifo", attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"}
    )["TopicArn"]
    url, queue_arn = make_queue("ordered.fifo", FifoQueue="true")
    subscribe(ordered, queue_arn, RawMessageDelivery="true")
    for text in ("a", "b", "a"):
        assert len(sns("publish", topic_arn=ordered, message=text, message_group_id="g")["SequenceNumber"]) == 20
    assert [message["Body"] for message in receive(url)] == ["a", "b"]

    page = sns("list-topics", max_items="1")
    assert len(page["Topics"]) == 1
    rest = sns("list-topics", starting_token=page["NextToken"])
    assert {t["TopicArn"] for t in (*page["Topics"], *rest["Topics"])} == {topic, ordered}
    sns("delete-topic", topic_arn=topic)
    assert len(sns("list-subscriptions")["Subscriptions"]) == 1

    said = ""
    try:
        sns("get-topic-attributes", topic_arn=topic)
    except CommandFailed as error:
        said = str(error)
    assert "An error occurred (NotFound) when calling the GetTopicAttributes operation: Topic does not exist" in said


def make_queue(name, **attributes):
    url = aws("create-queue", queue_name=name, attributes=attributes)["QueueUrl"]
    found = aws("get-queue-attributes", queue_url=url, attribute_names='["QueueArn"]')
    return url, found["Attributes"]["QueueArn"]


def subscribe(topic, endpoint, **attributes):
    reply = sns("subscribe", topic_arn=topic, protocol="sqs", notification_endpoint=endpoint, attributes=attributes)
    return reply["SubscriptionArn"]


def receive(url):
    """What the queue holds, up to ten messages."""
    reply = aws("receive-message", queue_url=url, max_number_of_messages="10", message_attribute_names='["All"]')
    return reply["Messages"]


if __name__ == "__main__":
    main()
