"""What an event source mapping may be set to. Source: Lambda API Reference, CreateEventSourceMapping; recorded answers."""

from collections.abc import Sequence
from typing import Final

from broker.services.filtering.patterns import BadPattern, check_pattern
from broker.services.lambda_.errors import InvalidParameterValue, ValidationException
from broker.services.lambda_.mapping import FilterCriteria, ScalingConfig

BATCH_MAX: Final = 10_000
FIFO_BATCH_MAX: Final = 10
WINDOW_S_MAX: Final = 300
_FILTERS_MAX: Final = 10
_PATTERN_MAX: Final = 4_096
_CONCURRENCY: Final = range(2, 1_001)
_POLLERS_MIN: Final = range(2, 201)
_POLLERS_MAX: Final = range(2, 2_001)


def check_batches(size: int, window_s: int, *, fifo: bool) -> None:
    """Raises InvalidParameterValue, ValidationException."""
    if not 1 <= size <= BATCH_MAX:
        rule = "greater than or equal to 1" if size < 1 else f"less than or equal to {BATCH_MAX}"
        raise ValidationException("batchSize", f"'{size}'", f"Member must have value {rule}")
    if not 0 <= window_s <= WINDOW_S_MAX:
        rule = "greater than or equal to 0" if window_s < 0 else f"less than or equal to {WINDOW_S_MAX}"
        raise ValidationException("maximumBatchingWindowInSeconds", f"'{window_s}'", f"Member must have value {rule}")
    if fifo and size > FIFO_BATCH_MAX:
        raise InvalidParameterValue("The maximum batch size for an Amazon SQS FIFO queue is 10.")
    if fifo and window_s:
        raise InvalidParameterValue("Batching window is not supported for FIFO queues")
    if size > 10 and window_s < 1:
        raise InvalidParameterValue(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )


def check_filters(criteria: FilterCriteria | None) -> tuple[str, ...]:
    """The patterns. Raises InvalidParameterValue."""
    if criteria is None or not criteria.filters:
        return ()
    if len(criteria.filters) > _FILTERS_MAX:
        raise InvalidParameterValue(f"The number of filters must be less than or equal to {_FILTERS_MAX}.")
    patterns = []
    for one in criteria.filters:
        pattern = one.pattern or ""
        if len(pattern) > _PATTERN_MAX:
            raise InvalidParameterValue(f"Filter pattern must have length less than or equal to {_PATTERN_MAX}.")
        try:
            check_pattern(pattern)
        except BadPattern:
            raise InvalidParameterValue("Invalid filter pattern definition.") from None
        patterns.append(pattern)
    return tuple(patterns)


def check_scaling(
    config: ScalingConfig | None, provisioned: dict[str, int] | None
) -> tuple[int | None, dict[str, int] | None]:
    """Maximum concurrency, and the provisioned pollers. Raises InvalidParameterValue, ValidationException."""
    concurrency = None if config is None else config.maximum_concurrency
    if concurrency is not None and concurrency not in _CONCURRENCY:
        rule = "greater than or equal to 2" if concurrency < 2 else "less than or equal to 1000"
        raise ValidationException(
            "scalingConfig.maximumConcurrency", f"'{concurrency}'", f"Member must have value {rule}"
        )
    if provisioned is None:
        return concurrency, None
    if concurrency is not None:
        raise InvalidParameterValue("MaximumConcurrency and ProvisionedPollerConfig cannot be used together.")
    least, most = provisioned.get("MinimumPollers", 2), provisioned.get("MaximumPollers", 200)
    if least not in _POLLERS_MIN or most not in _POLLERS_MAX or least > most:
        raise InvalidParameterValue("ProvisionedPollerConfig: MinimumPollers and MaximumPollers are not valid.")
    return concurrency, {"MinimumPollers": least, "MaximumPollers": most}


def check_response_types(given: Sequence[str] | None) -> bool:
    """Whether failures are reported. Raises ValidationException."""
    for one in given or ():
        if one != "ReportBatchItemFailures":
            raise ValidationException(
                "functionResponseTypes",
                f"'{one[:50]}'",
                "Member must satisfy enum value set: [ReportBatchItemFailures]",
            )
    return bool(given)
