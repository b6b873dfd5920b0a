"""The AWS errors that belong to SQS's requests. What the queues' own rules raise is in `core.errors`."""

from broker.errors import AwsError


class InvalidAddress(AwsError):
    """A QueueUrl that cannot be any queue's."""

    shape = "InvalidAddress"
    query_code = "InvalidAddress"

    def __init__(self, address: str) -> None:
        super().__init__(f"The address {address} is not valid for this endpoint.")


class InvalidAttributeName(AwsError):
    shape = "InvalidAttributeName"
    query_code = "InvalidAttributeName"


class EmptyBatchRequest(AwsError):
    shape = "EmptyBatchRequest"
    query_code = "AWS.SimpleQueueService.EmptyBatchRequest"

    def __init__(self, entry: str) -> None:
        super().__init__(f"There should be at least one {entry} in the request.")


class TooManyEntriesInBatchRequest(AwsError):
    shape = "TooManyEntriesInBatchRequest"
    query_code = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"

    def __init__(self, limit: int, sent: int) -> None:
        super().__init__(f"Maximum number of entries per request are {limit}. You have sent {sent}.")


class BatchEntryIdsNotDistinct(AwsError):
    shape = "BatchEntryIdsNotDistinct"
    query_code = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"

    def __init__(self, repeated: str) -> None:
        super().__init__(f"Id {repeated} repeated.")


class BatchRequestTooLong(AwsError):
    shape = "BatchRequestTooLong"
    query_code = "AWS.SimpleQueueService.BatchRequestTooLong"

    def __init__(self, limit: int, sent: int) -> None:
        super().__init__(f"Batch requests cannot be longer than {limit} bytes. You have sent {sent} bytes.")


class InvalidBatchEntryId(AwsError):
    shape = "InvalidBatchEntryId"
    query_code = "AWS.SimpleQueueService.InvalidBatchEntryId"

    def __init__(self) -> None:
        super().__init__(
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
            "It can be at most 80 letters long."
        )
