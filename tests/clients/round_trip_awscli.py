"""The round trip through the AWS command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

AWS = str(Path(sys.executable).parent / "aws")


def aws(operation, *, service="sqs", **parameters):
    """One command: what it prints, as JSON."""
    command = [AWS, "--endpoint-url", os.environ["POMBO_URL"], "--output", "json", service, operation]
    for name, value in parameters.items():
        command.append("--" + name.replace("_", "-"))
        command.append(value if isinstance(value, str) else json.dumps(value))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else {}


class CommandFailed(Exception):
    pass


def main():
    url = aws("create-queue", queue_name="standard", attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    attributes = {"city": {"DataType": "String", "StringValue": "Zürich"}}
    sent = aws("send-message", queue_url=url, message_body="grüße <&>", message_attributes=attributes)
    batch = [{"Id": "a", "MessageBody": "batch a"}, {"Id": "b", "MessageBody": "batch b"}]
    assert len(aws("send-message-batch", queue_url=url, entries=batch)["Successful"]) == 2
    reply = aws("receive-message", queue_url=url, max_number_of_messages="10", message_attribute_names='["All"]')
    first, second, third = reply["Messages"]
    assert (first["MessageId"], first["Body"]) == (sent["MessageId"], "grüße <&>")
    assert first["MessageAttributes"] == attributes
    aws("delete-message", queue_url=url, receipt_handle=first["ReceiptHandle"])
    handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate((second, third))]
    assert len(aws("delete-message-batch", queue_url=url, entries=handles)["Successful"]) == 2
    assert aws("receive-message", queue_url=url) == {}

    url = aws(
        "create-queue",
        queue_name="ordered.fifo",
        attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    )["QueueUrl"]
    for body in ("a", "b", "a"):
        assert len(aws("send-message", queue_url=url, message_body=body, message_group_id="g")["SequenceNumber"]) == 20
    messages = aws("receive-message", queue_url=url, max_number_of_messages="10")["Messages"]
    assert [message["Body"] for message in messages] == ["a", "b"]

    dead = aws("create-queue", queue_name="dead")["QueueUrl"]
    arn = aws("get-queue-attributes", queue_url=dead, attribute_names='["QueueArn"]')["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "1"})
    url = aws("create-queue", queue_name="alive", attributes={"RedrivePolicy": policy})["QueueUrl"]
    aws("send-message", queue_url=url, message_body="poison")
    assert aws("receive-message", queue_url=url, visibility_timeout="0")["Messages"]
    assert aws("receive-message", queue_url=url) == {}
    (moved,) = aws("receive-message", queue_url=dead, attribute_names='["All"]')["Messages"]
    assert moved["Body"] == "poison"
    assert moved["Attributes"]["DeadLetterQueueSourceArn"].endswith(":alive")

    assert len(aws("list-queues")["QueueUrls"]) == 4
    said = ""
    try:
        aws("get-queue-url", queue_name="nowhere")
    except CommandFailed as error:
        said = str(error)
    assert "AWS.SimpleQueueService.NonExistentQueue" in said


if __name__ == "__main__":
    main()
