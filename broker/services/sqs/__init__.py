"""SQS: AWS's meaning of the 23 operations, over the queue engine.

One module per operation or small family; `SERVICE` knows them all once this package is imported.
"""

from broker.services.sqs import (
    attributes,
    dead_letters,
    delete,
    move_tasks,
    permissions,
    queues,
    receive,
    send,
    tags,
    visibility,
)
from broker.services.sqs.service import SERVICE

__all__ = [
    "SERVICE",
    "attributes",
    "dead_letters",
    "delete",
    "move_tasks",
    "permissions",
    "queues",
    "receive",
    "send",
    "tags",
    "visibility",
]
