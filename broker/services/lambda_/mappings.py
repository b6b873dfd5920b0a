"""CreateEventSourceMapping, GetEventSourceMapping, ListEventSourceMappings, UpdateEventSourceMapping, DeleteEventSourceMapping."""

from typing import Annotated

import msgspec

from broker.core.settings import queue_name_of_arn
from broker.services.context import Call
from broker.services.lambda_.errors import InvalidParameterValue, ResourceConflict, ResourceNotFound
from broker.services.lambda_.mapping import (
    EventSourceMapping,
    FilterCriteria,
    MappingRecord,
    MetricsConfig,
    ScalingConfig,
    shown,
)
from broker.services.lambda_.mapping_rules import check_batches, check_filters, check_response_types, check_scaling
from broker.services.lambda_.mapping_state import Mappings
from broker.services.lambda_.names import Target, read_target
from broker.services.lambda_.paging import check_max_items, cut_page, read_marker
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.state import Functions
from broker.services.operation import At, Http

_PATH = "/2015-03-31/event-source-mappings"
_DEFAULT_BATCH = 10
_FIFO = ".fifo"

Uuid = Annotated[str, At("uri", "UUID")]


class Asked(msgspec.Struct, rename="pascal", kw_only=True):
    """What creating and updating have in common. None: as it is, or the default."""

    enabled: bool | None = None
    batch_size: int | None = None
    maximum_batching_window_in_seconds: int | None = None
    filter_criteria: FilterCriteria | None = None
    scaling_config: ScalingConfig | None = None
    provisioned_poller_config: dict[str, int] | None = None
    function_response_types: list[str] | None = None
    metrics_config: MetricsConfig | None = None
    kms_key_arn: str | None = msgspec.field(default=None, name="KMSKeyArn")


class CreateEventSourceMappingRequest(Asked, rename="pascal", kw_only=True):
    function_name: str
    event_source_arn: str | None = None
    tags: dict[str, str] | None = None


@SERVICE.operation(
    "CreateEventSourceMapping", CreateEventSourceMappingRequest, EventSourceMapping, http=Http("POST", _PATH, 202)
)
async def create_event_source_mapping(call: Call, request: CreateEventSourceMappingRequest) -> EventSourceMapping:
    """Have a function process a queue's messages."""
    target = read_target(call, request.function_name)
    queue = queue_name_of_arn(request.event_source_arn or "")
    if queue is None:
        raise InvalidParameterValue(
            "Unrecognized event source, must be kinesis, dynamodb stream or sqs. Unsupported source arn "
            f"{(request.event_source_arn or '')[:200]}"
        )
    now_ms = call.runtime.clock.now_ms()
    mapping = MappingRecord(
        uuid=call.runtime.chance.uuid(),
        account=call.account,
        region=call.region,
        queue=queue,
        target=target,
        batch_size=_DEFAULT_BATCH,
        window_s=0,
        enabled=True,
        modified_at_ms=now_ms,
        tags=request.tags or {},
    )
    _apply(mapping, request)
    return await call.runtime.call(_create, call, mapping)


class MappingRequest(msgspec.Struct, rename="pascal"):
    uuid: Uuid = msgspec.field(name="UUID")


@SERVICE.operation("GetEventSourceMapping", MappingRequest, EventSourceMapping, http=Http("GET", f"{_PATH}/{{UUID}}"))
async def get_event_source_mapping(call: Call, request: MappingRequest) -> EventSourceMapping:
    """A mapping as it is."""
    mappings = call.runtime.part(Mappings)
    mapping = await call.runtime.call(mappings.find, request.uuid)
    return shown(mapping, mappings.state(mapping))


class ListEventSourceMappingsRequest(msgspec.Struct, rename="pascal", kw_only=True):
    event_source_arn: Annotated[str | None, At("query", "EventSourceArn")] = None
    function_name: Annotated[str | None, At("query", "FunctionName")] = None
    marker: Annotated[str | None, At("query", "Marker")] = None
    max_items: Annotated[int | None, At("query", "MaxItems")] = None


class ListEventSourceMappingsResult(msgspec.Struct, rename="pascal", kw_only=True):
    event_source_mappings: list[EventSourceMapping]
    next_marker: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation(
    "ListEventSourceMappings",
    ListEventSourceMappingsRequest,
    ListEventSourceMappingsResult,
    http=Http("GET", _PATH),
)
async def list_event_source_mappings(
    call: Call, request: ListEventSourceMappingsRequest
) -> ListEventSourceMappingsResult:
    """The account's mappings in the region, of one queue or one function if asked for."""
    size = check_max_items(request.max_items)
    after = read_marker(request.marker)
    target = None if request.function_name is None else read_target(call, request.function_name)
    mappings = call.runtime.part(Mappings)
    found = [
        mapping
        for mapping in await call.runtime.call(mappings.of_place, call.account, call.region)
        if mapping.uuid > after
        and (request.event_source_arn is None or mapping.queue.arn == request.event_source_arn)
        and (target is None or mapping.target.function == target.function)
    ]
    page, marker = cut_page(found[: size + 1], lambda mapping: mapping.uuid, size)
    return ListEventSourceMappingsResult(
        event_source_mappings=[shown(mapping, mappings.state(mapping)) for mapping in page], next_marker=marker
    )


class UpdateEventSourceMappingRequest(Asked, rename="pascal", kw_only=True):
    uuid: Uuid = msgspec.field(name="UUID")
    function_name: str | None = None


@SERVICE.operation(
    "UpdateEventSourceMapping",
    UpdateEventSourceMappingRequest,
    EventSourceMapping,
    http=Http("PUT", f"{_PATH}/{{UUID}}", 202),
)
async def update_event_source_mapping(call: Call, request: UpdateEventSourceMappingRequest) -> EventSourceMapping:
    """Change a mapping; what is not given stays as it is. Batches under way are finished as they were begun."""
    target = None if request.function_name is None else read_target(call, request.function_name)
    return await call.runtime.call(_update, call, request, target)


@SERVICE.operation(
    "DeleteEventSourceMapping", MappingRequest, EventSourceMapping, http=Http("DELETE", f"{_PATH}/{{UUID}}", 202)
)
async def delete_event_source_mapping(call: Call, request: MappingRequest) -> EventSourceMapping:
    """End a mapping. Batches under way are finished."""
    return await call.runtime.call(_delete, call, request.uuid)


def _apply(mapping: MappingRecord, asked: Asked) -> None:
    """Set what is asked for. Raises what the rules raise; the mapping is the caller's to throw away then."""
    if asked.batch_size is not None:
        mapping.batch_size = asked.batch_size
    if asked.maximum_batching_window_in_seconds is not None:
        mapping.window_s = asked.maximum_batching_window_in_seconds
    check_batches(mapping.batch_size, mapping.window_s, fifo=mapping.queue.name.endswith(_FIFO))
    if asked.filter_criteria is not None:
        mapping.filters = check_filters(asked.filter_criteria)
    if asked.scaling_config is not None or asked.provisioned_poller_config is not None:
        mapping.maximum_concurrency, mapping.provisioned = check_scaling(
            asked.scaling_config, asked.provisioned_poller_config
        )
    if asked.function_response_types is not None:
        mapping.report_failures = check_response_types(asked.function_response_types)
    if asked.metrics_config is not None:
        mapping.metrics = asked.metrics_config.metrics or []
    if asked.kms_key_arn is not None:
        mapping.kms_key_arn = asked.kms_key_arn or None
    if asked.enabled is not None:
        mapping.enabled = asked.enabled


def _create(call: Call, mapping: MappingRecord) -> EventSourceMapping:
    mappings = call.runtime.part(Mappings)
    _check_target(call, mapping)
    for other in mappings.of_place(mapping.account, mapping.region):
        if (other.queue, other.target) == (mapping.queue, mapping.target):
            raise ResourceConflict(
                f'An event source mapping with SQS arn (" {mapping.queue.arn} ") and function (" '
                f'{mapping.target.function.name} ") already exists. Please update or delete the existing mapping with UUID '
                f"{other.uuid}"
            )
    mappings.put(mapping)
    return shown(mapping, "Creating")


def _update(call: Call, request: UpdateEventSourceMappingRequest, target: Target | None) -> EventSourceMapping:
    mappings = call.runtime.part(Mappings)
    mapping = msgspec.structs.replace(mappings.find(request.uuid))
    was_enabled = mapping.enabled
    if target is not None:
        mapping.target = target
    _apply(mapping, request)
    _check_target(call, mapping)
    mapping.modified_at_ms = call.runtime.clock.now_ms()
    mappings.put(mapping)
    if mapping.enabled == was_enabled:
        return shown(mapping, "Updating")
    return shown(mapping, "Enabling" if mapping.enabled else "Disabling")


def _delete(call: Call, uuid: str) -> EventSourceMapping:
    mappings = call.runtime.part(Mappings)
    mapping = mappings.find(uuid)
    mappings.delete(mapping)
    return shown(mapping, "Deleting")


def _check_target(call: Call, mapping: MappingRecord) -> None:
    """The queue and the function are there, and the queue hides messages for long enough."""
    queue = call.runtime.engine.queues_by_name.get(mapping.queue)
    if queue is None:
        raise InvalidParameterValue(
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error "
            "Message: The specified queue does not exist."
        )
    try:
        _, version = call.runtime.part(Functions).find_version(mapping.target)
    except ResourceNotFound:
        raise InvalidParameterValue("Function does not exist") from None
    visibility_s = queue.settings.visibility_ms // 1_000
    if visibility_s < version.settings.timeout_s:
        raise InvalidParameterValue(
            f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: "
            f"{version.settings.timeout_s} seconds"
        )
