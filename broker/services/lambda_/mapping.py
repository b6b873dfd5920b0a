"""An event source mapping: the record that the store keeps, and how it is shown.

Source: Lambda API Reference, EventSourceMappingConfiguration.
"""

from typing import Any, Literal

import msgspec

from broker.core.settings import QueueName
from broker.services.lambda_.names import Target

State = Literal["Creating", "Enabling", "Enabled", "Disabling", "Disabled", "Updating", "Deleting"]


class MappingRecord(msgspec.Struct):
    """One mapping. Times in milliseconds, windows in seconds."""

    uuid: str
    account: str
    region: str
    queue: QueueName
    target: Target
    batch_size: int
    window_s: int
    enabled: bool
    modified_at_ms: int
    report_failures: bool = False
    filters: tuple[str, ...] = ()
    maximum_concurrency: int | None = None
    provisioned: dict[str, int] | None = None  # MinimumPollers, MaximumPollers
    metrics: list[str] | None = None
    kms_key_arn: str | None = None
    tags: dict[str, str] = {}
    last_result: str | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:event-source-mapping:{self.uuid}"


class ScalingConfig(msgspec.Struct, rename="pascal"):
    maximum_concurrency: int | None = None


class Filter(msgspec.Struct, rename="pascal"):
    pattern: str | None = None


class FilterCriteria(msgspec.Struct, rename="pascal"):
    filters: list[Filter] | None = None


class MetricsConfig(msgspec.Struct, rename="pascal"):
    metrics: list[str] | None = None


class EventSourceMapping(msgspec.Struct, rename="pascal", kw_only=True, omit_defaults=True):
    """A mapping as it is shown."""

    uuid: str = msgspec.field(name="UUID")
    batch_size: int
    maximum_batching_window_in_seconds: int
    event_source_arn: str
    function_arn: str
    last_modified: float  # seconds since the epoch
    last_processing_result: str | msgspec.UnsetType = msgspec.UNSET
    state: str
    state_transition_reason: str
    function_response_types: list[str] | msgspec.UnsetType = msgspec.UNSET
    filter_criteria: FilterCriteria | msgspec.UnsetType = msgspec.UNSET
    scaling_config: ScalingConfig | msgspec.UnsetType = msgspec.UNSET
    provisioned_poller_config: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    metrics_config: MetricsConfig | msgspec.UnsetType = msgspec.UNSET
    kms_key_arn: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="KMSKeyArn")
    event_source_mapping_arn: str


def shown(mapping: MappingRecord, state: State) -> EventSourceMapping:
    """What Get, List and the answers to changes show."""
    extra: dict[str, Any] = {}
    if mapping.report_failures:
        extra["function_response_types"] = ["ReportBatchItemFailures"]
    if mapping.filters:
        extra["filter_criteria"] = FilterCriteria([Filter(pattern) for pattern in mapping.filters])
    if mapping.maximum_concurrency is not None:
        extra["scaling_config"] = ScalingConfig(mapping.maximum_concurrency)
    if mapping.provisioned is not None:
        extra["provisioned_poller_config"] = mapping.provisioned
    if mapping.metrics is not None:
        extra["metrics_config"] = MetricsConfig(mapping.metrics)
    if mapping.kms_key_arn is not None:
        extra["kms_key_arn"] = mapping.kms_key_arn
    if mapping.last_result is not None:
        extra["last_processing_result"] = mapping.last_result
    return EventSourceMapping(
        uuid=mapping.uuid,
        batch_size=mapping.batch_size,
        maximum_batching_window_in_seconds=mapping.window_s,
        event_source_arn=mapping.queue.arn,
        function_arn=mapping.target.arn,
        last_modified=mapping.modified_at_ms / 1_000,
        state=state,
        state_transition_reason="USER_INITIATED",
        event_source_mapping_arn=mapping.arn,
        **extra,
    )
