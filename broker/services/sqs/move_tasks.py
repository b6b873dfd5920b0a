"""StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask.

A task handle is opaque: base64 of the JSON that AWS's handles hold, the task's id and the ARN of its source queue.
"""

import base64
import binascii
from typing import Annotated, Final

import msgspec

from broker.core.engine import Engine
from broker.core.errors import InvalidParameterValue, ResourceNotFound, UnsupportedOperation
from broker.core.move_tasks import MoveTask
from broker.core.queue import Queue
from broker.core.settings import QueueName, queue_name_of_arn
from broker.services.context import Call
from broker.services.operation import QueryName
from broker.services.sqs.paging import check_max_results
from broker.services.sqs.service import SERVICE

RATE_MAX: Final = 500
RESULTS_MAX: Final = 10


class StartMessageMoveTaskRequest(msgspec.Struct, rename="pascal", kw_only=True):
    source_arn: str
    destination_arn: str | None = None
    max_number_of_messages_per_second: int | None = None


class StartMessageMoveTaskResult(msgspec.Struct, rename="pascal"):
    task_handle: str


@SERVICE.operation("StartMessageMoveTask", StartMessageMoveTaskRequest, StartMessageMoveTaskResult)
async def start_message_move_task(call: Call, request: StartMessageMoveTaskRequest) -> StartMessageMoveTaskResult:
    """Begin to move a dead-letter queue's messages to the destination, or each to the queue that it came from."""
    rate = request.max_number_of_messages_per_second
    if rate is not None and not 1 <= rate <= RATE_MAX:
        raise InvalidParameterValue(
            f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: You must enter a value "
            f"between 1 and {RATE_MAX}."
        )
    source = _queue_name(call, "SourceArn", request.source_arn)
    destination = request.destination_arn and _queue_name(call, "DestinationArn", request.destination_arn)
    task = await call.runtime.call(_start, call.runtime.engine, source, destination or None, rate)
    return StartMessageMoveTaskResult(_handle(task))


class ListMessageMoveTasksRequest(msgspec.Struct, rename="pascal", kw_only=True):
    source_arn: str
    max_results: int | None = None


class ListMessageMoveTasksResultEntry(msgspec.Struct, rename="pascal", kw_only=True):
    task_handle: str | msgspec.UnsetType = msgspec.UNSET
    status: str
    source_arn: str
    destination_arn: str | msgspec.UnsetType = msgspec.UNSET
    max_number_of_messages_per_second: int | msgspec.UnsetType = msgspec.UNSET
    approximate_number_of_messages_moved: int
    approximate_number_of_messages_to_move: int
    failure_reason: str | msgspec.UnsetType = msgspec.UNSET
    started_timestamp: int


class ListMessageMoveTasksResult(msgspec.Struct, rename="pascal"):
    results: Annotated[list[ListMessageMoveTasksResultEntry], QueryName("ListMessageMoveTasksResultEntry")]


@SERVICE.operation("ListMessageMoveTasks", ListMessageMoveTasksRequest, ListMessageMoveTasksResult)
async def list_message_move_tasks(call: Call, request: ListMessageMoveTasksRequest) -> ListMessageMoveTasksResult:
    """The tasks of a source queue, newest first: one, or as many as MaxResults (up to ten)."""
    check_max_results(request.max_results, RESULTS_MAX)
    source = _queue_name(call, "SourceArn", request.source_arn)
    tasks = await call.runtime.call(_tasks, call.runtime.engine, source)
    return ListMessageMoveTasksResult([_entry(task) for task in tasks[: request.max_results or 1]])


class CancelMessageMoveTaskRequest(msgspec.Struct, rename="pascal", kw_only=True):
    task_handle: str


class CancelMessageMoveTaskResult(msgspec.Struct, rename="pascal"):
    approximate_number_of_messages_moved: int


@SERVICE.operation("CancelMessageMoveTask", CancelMessageMoveTaskRequest, CancelMessageMoveTaskResult)
async def cancel_message_move_task(call: Call, request: CancelMessageMoveTaskRequest) -> CancelMessageMoveTaskResult:
    """Stop a running task. What it has moved stays moved."""
    contents = _read_handle(request.task_handle)
    source = _queue_name(call, "SourceArn", contents.source_arn)
    moved = await call.runtime.call(_cancel, call.runtime.engine, source, contents.task_id)
    return CancelMessageMoveTaskResult(moved)


def _start(engine: Engine, source_name: QueueName, destination_name: QueueName | None, rate: int | None) -> MoveTask:
    source = _find(engine, source_name, "SourceArn")
    if not engine.dead_letter_sources(source):
        raise InvalidParameterValue("Source queue must be configured as a Dead Letter Queue.")
    destination = None
    if destination_name is not None:
        destination = _find(engine, destination_name, "DestinationArn")
        if destination is source:
            raise InvalidParameterValue("Source queue and destination queue must be different.")
        if destination.settings.fifo != source.settings.fifo:
            raise InvalidParameterValue("Source queue and destination queue must be of the same type.")
    return engine.moves.start(source, destination, rate)


def _tasks(engine: Engine, source: QueueName) -> list[MoveTask]:
    return engine.moves.of_source(_find(engine, source, "SourceArn"))


def _cancel(engine: Engine, source_name: QueueName, task_id: str) -> int:
    source = _find(engine, source_name, "SourceArn")
    task = engine.moves.find(task_id)
    if task is None or task.source != source.name:
        raise ResourceNotFound("Task does not exist.")
    if task.status != "RUNNING":
        raise UnsupportedOperation("Only active tasks can be cancelled.")
    engine.moves.cancel(task)
    return task.moved


def _find(engine: Engine, name: QueueName, parameter: str) -> Queue:
    if not engine.has_queue(name):
        raise _not_found(parameter)
    return engine.find_queue(name)


def _queue_name(call: Call, parameter: str, arn: str) -> QueueName:
    """The queue of an ARN. Queues of other accounts and regions do not exist here."""
    name = queue_name_of_arn(arn)
    if name is None:
        raise InvalidParameterValue(
            f"You must use this format to specify the {parameter}: "
            "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
        )
    if (name.account, name.region) != (call.account, call.region):
        raise _not_found(parameter)
    return name


def _not_found(parameter: str) -> ResourceNotFound:
    return ResourceNotFound(f"The resource that you specified for the {parameter} parameter doesn't exist.")


def _entry(task: MoveTask) -> ListMessageMoveTasksResultEntry:
    running = task.status == "RUNNING"
    return ListMessageMoveTasksResultEntry(
        task_handle=_handle(task) if running else msgspec.UNSET,
        status=task.status,
        source_arn=task.source.arn,
        destination_arn=msgspec.UNSET if task.destination is None else task.destination.arn,
        max_number_of_messages_per_second=msgspec.UNSET if task.per_second is None else task.per_second,
        approximate_number_of_messages_moved=task.moved,
        approximate_number_of_messages_to_move=task.to_move,
        failure_reason=msgspec.UNSET if task.failure is None else task.failure,
        started_timestamp=task.started_at_ms,
    )


# Handles


class _TaskHandle(msgspec.Struct, rename="camel"):
    task_id: str
    source_arn: str


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_TaskHandle)


def _handle(task: MoveTask) -> str:
    return base64.b64encode(_encoder.encode(_TaskHandle(task.id, task.source.arn))).decode("ascii")


def _read_handle(handle: str) -> _TaskHandle:
    try:
        return _decoder.decode(base64.b64decode(handle, validate=True))
    except (binascii.Error, ValueError):
        raise InvalidParameterValue(f"Value {handle} for parameter TaskHandle is invalid.") from None
