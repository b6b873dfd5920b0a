"""Creates what pombo.toml declares, through the same operations that a user would call. What exists already stays as it is."""

from typing import Any

import orjson

from broker.config import Config
from broker.core.settings import QueueName
from broker.declared import ConfigError, FunctionDeclaration, QueueDeclaration, TopicDeclaration
from broker.errors import AwsError
from broker.services import lambda_, sns, sqs
from broker.services.context import Call
from broker.services.lambda_.configuration import Environment
from broker.services.lambda_.functions import LOCAL_BUCKET, FunctionCode
from broker.services.lambda_.mapping_state import Mappings
from broker.services.lambda_.names import FunctionName
from broker.services.lambda_.state import Functions
from broker.services.operation import Service
from broker.services.runtime import Runtime
from broker.services.sns.names import TopicName
from broker.services.sns.state import Topics
from broker.services.sns.tag_rules import Tag


async def declare(runtime: Runtime, config: Config, base_url: str) -> None:
    """Returns when everything declared exists and is on disk. `base_url`: of links that are sent out. Raises ConfigError."""
    for queue in _targets_first(config.queues):
        if not runtime.engine.has_queue(QueueName(queue.account, queue.region, queue.name)):
            await _create_queue(runtime, queue, base_url)
    for topic in config.topics:
        await _create_topic(runtime, topic, base_url)
    for function in config.functions:
        await _create_function(runtime, function, base_url)
    durable = runtime.durable()
    if durable is not None:
        await durable


async def _create_queue(runtime: Runtime, queue: QueueDeclaration, base_url: str) -> None:
    attributes = dict(queue.attributes)
    if queue.dead_letter_queue is not None:
        arn = f"arn:aws:sqs:{queue.region}:{queue.account}:{queue.dead_letter_queue}"
        policy = {"deadLetterTargetArn": arn, "maxReceiveCount": queue.max_receive_count}
        attributes["RedrivePolicy"] = orjson.dumps(policy).decode()
    given = {"queue_name": queue.name, "attributes": attributes or None, "tags": queue.tags or None}
    call = _call(runtime, queue.account, queue.region, base_url)
    await _make(sqs.SERVICE, "CreateQueue", call, queue.where, **given)


async def _create_topic(runtime: Runtime, topic: TopicDeclaration, base_url: str) -> None:
    """A topic that exists keeps its attributes; subscriptions that it lacks are added."""
    call = _call(runtime, topic.account, topic.region, base_url)
    name = TopicName(topic.account, topic.region, topic.name)
    topics = runtime.part(Topics)
    if name not in topics.by_name:
        tags = [Tag(key, value) for key, value in topic.tags.items()]
        given = {"name": topic.name, "attributes": topic.attributes or None, "tags": tags or None}
        await _make(sns.SERVICE, "CreateTopic", call, topic.where, **given)
    for declared in topic.subscriptions:
        protocol, endpoint = declared.protocol or "sqs", declared.endpoint
        if declared.queue is not None:
            endpoint = QueueName(topic.account, topic.region, declared.queue).arn
        assert endpoint is not None
        if topics.at_place(topics.find(name), protocol, endpoint) is None:
            given = {
                "topic_arn": name.arn,
                "protocol": protocol,
                "endpoint": endpoint,
                "attributes": declared.attributes or None,
            }
            await _make(sns.SERVICE, "Subscribe", call, declared.where, **given)


async def _create_function(runtime: Runtime, function: FunctionDeclaration, base_url: str) -> None:
    """A function that exists keeps its configuration; mappings that it lacks are added."""
    call = _call(runtime, function.account, function.region, base_url)
    name = FunctionName(function.account, function.region, function.name)
    if name not in runtime.part(Functions).by_name:
        await _make(
            lambda_.SERVICE,
            "CreateFunction",
            call,
            function.where,
            function_name=function.name,
            runtime=function.runtime,
            role=f"arn:aws:iam::{function.account}:role/declared",
            handler=function.handler,
            code=FunctionCode(s3_bucket=LOCAL_BUCKET, s3_key=function.directory),
            timeout=function.timeout_s,
            memory_size=function.memory_mb,
            environment=Environment(function.environment) if function.environment else None,
        )
    mapped = {(m.queue, m.target.function) for m in runtime.part(Mappings).of_place(function.account, function.region)}
    for declared in function.mappings:
        queue = QueueName(function.account, function.region, declared.queue)
        if (queue, name) not in mapped:
            await _make(
                lambda_.SERVICE,
                "CreateEventSourceMapping",
                call,
                declared.where,
                function_name=function.name,
                event_source_arn=queue.arn,
                batch_size=declared.batch_size,
                maximum_batching_window_in_seconds=declared.window_s,
                function_response_types=["ReportBatchItemFailures"] if declared.report_failures else None,
            )


async def _make(service: Service, operation: str, call: Call, where: str, **given: Any) -> None:
    declared = service.operations[operation]
    try:
        await declared.handler(call, declared.request(**given))
    except AwsError as error:
        raise ConfigError(f"{where}: {error.message}") from None


def _call(runtime: Runtime, account: str, region: str, base_url: str) -> Call:
    return Call(runtime, "json", account, region, True, account, base_url, "/", "", None, lambda: True)


def _targets_first(queues: tuple[QueueDeclaration, ...]) -> list[QueueDeclaration]:
    """Dead-letter queues before the queues that name them. Raises ConfigError where they name each other in a circle."""
    left = list(queues)
    ordered: list[QueueDeclaration] = []
    while left:
        declared = {(q.account, q.region, q.name) for q in left}
        ready = [q for q in left if (q.account, q.region, q.dead_letter_queue) not in declared]
        if not ready:
            names = ", ".join(q.name for q in left)
            raise ConfigError(f"{left[0].where}.dead_letter_queue: the queues {names} name each other in a circle")
        ordered += ready
        left = [q for q in left if q not in ready]
    return ordered
