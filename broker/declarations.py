"""Creates what pombo.toml declares, through the same operations that a user would call. What exists already stays as it is."""

import orjson

from broker.config import Config, ConfigError, QueueDeclaration
from broker.core.settings import QueueName
from broker.errors import AwsError
from broker.services import sqs
from broker.services.context import Call
from broker.services.runtime import Runtime

_NOWHERE = "http://localhost"  # whoever declares reads no queue URLs


async def declare(runtime: Runtime, config: Config) -> None:
    """Returns when every declared queue exists and is on disk. Raises ConfigError."""
    create = sqs.SERVICE.operations["CreateQueue"]
    for queue in _targets_first(config.queues):
        if runtime.engine.has_queue(QueueName(queue.account, queue.region, queue.name)):
            continue
        attributes = dict(queue.attributes)
        if queue.dead_letter_queue is not None:
            arn = f"arn:aws:sqs:{queue.region}:{queue.account}:{queue.dead_letter_queue}"
            policy = {"deadLetterTargetArn": arn, "maxReceiveCount": queue.max_receive_count}
            attributes["RedrivePolicy"] = orjson.dumps(policy).decode()
        call = Call(runtime, "json", queue.account, queue.region, True, queue.account, _NOWHERE, "/", "", None, lambda: True)
        request = create.request(queue_name=queue.name, attributes=attributes or None, tags=queue.tags or None)
        try:
            await create.handler(call, request)
        except AwsError as error:
            raise ConfigError(f"pombo.toml: queues.{queue.name}: {error.message}") from None
    durable = runtime.durable()
    if durable is not None:
        await durable


def _targets_first(queues: tuple[QueueDeclaration, ...]) -> list[QueueDeclaration]:
    """Dead-letter queues before the queues that name them. Raises ConfigError where they name each other in a circle."""
    left = list(queues)
    ordered: list[QueueDeclaration] = []
    while left:
        declared = {(q.account, q.region, q.name) for q in left}
        ready = [q for q in left if (q.account, q.region, q.dead_letter_queue) not in declared]
        if not ready:
            names = ", ".join(q.name for q in left)
            raise ConfigError(f"pombo.toml: dead_letter_queue: the queues {names} name each other in a circle")
        ordered += ready
        left = [q for q in left if q not in ready]
    return ordered
