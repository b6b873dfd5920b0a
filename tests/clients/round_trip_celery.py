"""The round trip through Celery: a real worker takes tasks from SQS, retries one, rejects one, and reports into another queue.

The rejected task's queue has a redrive policy, so Celery leaves the message there and SQS makes it a dead letter.
"""

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import boto3
from celery import Celery
from celery.exceptions import Reject

URL = os.environ["POMBO_URL"]
QUEUE = "celery-tasks"
FIFO = "celery-ordered.fifo"
POISON = "celery-poison"
TASKS = 20

app = Celery("round_trip_celery")
app.conf.update(
    broker_url=f"sqs://{os.environ['AWS_ACCESS_KEY_ID']}:secret@{URL.removeprefix('http://')}//",
    broker_transport_options={
        "region": "us-east-1",
        "is_secure": False,
        "wait_time_seconds": 1,
        "polling_interval": 0.1,
        "visibility_timeout": 60,
    },
    task_default_queue=QUEUE,
    task_queues=None,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
)


@app.task(name="add", bind=True, max_retries=1)
def add(self, left, right, fail_first):
    """Report left + right; a task that is to fail first does so once and is retried."""
    if fail_first and self.request.retries == 0:
        raise self.retry(countdown=0)
    report({"sum": left + right, "retries": self.request.retries})


@app.task(name="note")
def note(text):
    report({"note": text})


@app.task(name="poison")
def poison():
    raise Reject("poison", requeue=False)


def client():
    return boto3.client("sqs", endpoint_url=URL)


def report(content):
    sqs = client()
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="reports")["QueueUrl"], MessageBody=json.dumps(content))


def main():
    sqs = client()
    reports = sqs.create_queue(QueueName="reports")["QueueUrl"]
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = count(sqs, dead)["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    sqs.create_queue(QueueName=POISON, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "1"})
    tasks = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    ordered = sqs.create_queue(QueueName=FIFO, Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})[
        "QueueUrl"
    ]
    for number in range(TASKS):
        add.delay(number, 100, number == 7)
    for text in ("a", "b", "c"):
        note.apply_async(args=[text], queue=FIFO, MessageGroupId="g")
    poison.apply_async(queue=POISON)
    assert int(count(sqs, tasks)["ApproximateNumberOfMessages"]) == TASKS
    assert int(count(sqs, ordered)["ApproximateNumberOfMessages"]) == 3

    options = [
        "--concurrency",
        "2",
        "--loglevel",
        "INFO",
        "--without-mingle",
        "--without-gossip",
        "--without-heartbeat",
    ]
    queues = ",".join((QUEUE, FIFO, POISON))
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "round_trip_celery", "worker", "--queues", queues, *options],
        cwd=Path(__file__).parent,
    )
    try:
        found = collect(sqs, reports, TASKS + 3)
        empty(sqs, tasks)
        empty(sqs, ordered)
        (letter,) = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=20, AttributeNames=["All"])["Messages"]
    finally:
        worker.terminate()
        worker.wait(30)
    sums = [content for content in found if "sum" in content]
    assert sorted(content["sum"] for content in sums) == list(range(100, 100 + TASKS))
    assert [content["retries"] for content in sums if content["sum"] == 107] == [1]
    assert sorted(content["note"] for content in found if "note" in content) == ["a", "b", "c"]
    assert json.loads(base64.b64decode(letter["Body"]))["headers"]["task"] == "poison"
    assert letter["Attributes"]["DeadLetterQueueSourceArn"].endswith(":" + POISON)


def count(sqs, url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def collect(sqs, url, expected):
    """Receive until `expected` reports have come."""
    found = []
    deadline = time.monotonic() + 60
    while len(found) < expected:
        assert time.monotonic() < deadline, f"{len(found)} of {expected} reports after a minute: {found}"
        reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        for message in reply.get("Messages", []):
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def empty(sqs, url):
    """The worker acknowledges after the task, so the queue is empty soon."""
    deadline = time.monotonic() + 30
    while True:
        found = count(sqs, url)
        if found["ApproximateNumberOfMessages"] == found["ApproximateNumberOfMessagesNotVisible"] == "0":
            return
        assert time.monotonic() < deadline, f"tasks are left: {found}"
        time.sleep(0.1)


if __name__ == "__main__":
    main()
