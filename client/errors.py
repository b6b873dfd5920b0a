"""What can go wrong with a call, one class per AWS error code.

AWS names one error differently by protocol, and in the entries of a batch: `error_class` knows both names. A code without a class
here is an AwsError, whose `code` says which.
"""

from typing import ClassVar, Final


class CallFailed(Exception):
    """A call did not bring what it was made for."""


class ConnectionFailed(CallFailed):
    """No answer came, also after retries. Whether the endpoint did what was asked is unknown."""


class DigestMismatch(CallFailed):
    """A body's MD5 is not the one that the endpoint names: what was sent is not what arrived."""


class NoCredentials(CallFailed):
    """No credentials for AWS: neither as arguments, nor in the environment, nor where botocore looks."""


class AwsError(CallFailed):
    """The endpoint refused. `code` is AWS's, without prefixes; `status` is the HTTP status, 0 for an entry of a batch."""

    codes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, code: str, message: str = "", status: int = 400, request_id: str = "", sender: bool = True
    ) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.sender = sender

    @property
    def throttled(self) -> bool:
        """Whether AWS asks to call less often."""
        return self.status == 429 or self.code in THROTTLES

    @property
    def transient(self) -> bool:
        """Whether the same call may work later."""
        return self.throttled or self.status >= 500 or not self.sender


THROTTLES: Final = frozenset(
    {
        "KMSThrottling",
        "KmsThrottled",
        "KMSThrottlingException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


class QueueDoesNotExist(AwsError):
    """There is no such queue, or it has just been deleted."""

    codes = ("QueueDoesNotExist", "NonExistentQueue")


class QueueNameExists(AwsError):
    """The queue exists with other attributes."""

    codes = ("QueueNameExists", "QueueAlreadyExists")


class QueueDeletedRecently(AwsError):
    """A queue of this name was deleted less than 60 seconds ago."""


class PurgeQueueInProgress(AwsError):
    """The queue was purged less than 60 seconds ago."""


class EmptyBatchRequest(AwsError):
    """The batch has no entries."""

    codes = ("EmptyBatchRequest", "EmptyBatchRequestException")


class TooManyEntriesInBatchRequest(AwsError):
    """The batch has more than ten entries."""

    codes = ("TooManyEntriesInBatchRequest", "TooManyEntriesInBatchRequestException")


class BatchEntryIdsNotDistinct(AwsError):
    """Two entries of the batch have the same id."""

    codes = ("BatchEntryIdsNotDistinct", "BatchEntryIdsNotDistinctException")


class BatchRequestTooLong(AwsError):
    """The entries of the batch are too large together."""

    codes = ("BatchRequestTooLong", "BatchRequestTooLongException")


class InvalidBatchEntryId(AwsError):
    """An entry's id has characters that it may not have."""

    codes = ("InvalidBatchEntryId", "InvalidBatchEntryIdException")


class InvalidMessageContents(AwsError):
    """The body has characters that XML cannot carry."""


class InvalidParameterValue(AwsError):
    """A parameter is out of its range."""

    codes = ("InvalidParameterValue", "InvalidParameterValueException", "ParameterValueInvalid")


class InvalidParameter(AwsError):
    """SNS: a parameter is out of its range."""

    codes = ("InvalidParameter", "InvalidParameterException")


class MissingParameter(AwsError):
    """A parameter is missing."""

    codes = ("MissingParameter", "MissingRequiredParameterException")


class InvalidAttributeName(AwsError):
    """There is no such attribute."""


class InvalidAttributeValue(AwsError):
    """The attribute may not have this value."""


class ReceiptHandleIsInvalid(AwsError):
    """The receipt handle belongs to no message of this queue."""


class MessageNotInflight(AwsError):
    """The message is not in flight."""


class OverLimit(AwsError):
    """Too many messages are in flight, or too many statements in a policy."""


class UnsupportedOperation(AwsError):
    """The operation does not exist, or not for this kind of queue."""


class ResourceNotFound(AwsError):
    """There is no such resource."""

    codes = ("ResourceNotFoundException", "ResourceNotFound")


class NotFound(AwsError):
    """SNS: there is no such topic or subscription."""

    codes = ("NotFound", "NotFoundException")


class AccessDenied(AwsError):
    """The caller may not do this."""

    codes = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException")


class SubscriptionLimitExceeded(AwsError):
    """SNS: the account has too many subscriptions."""

    codes = ("SubscriptionLimitExceeded", "SubscriptionLimitExceededException")


class TopicLimitExceeded(AwsError):
    """SNS: the account has too many topics."""

    codes = ("TopicLimitExceeded", "TopicLimitExceededException")


class RequestThrottled(AwsError):
    """The endpoint asks to call less often; retries did not help."""

    codes = tuple(sorted(THROTTLES))


_CLASSES: Final[dict[str, type[AwsError]]] = {
    code: kind for kind in AwsError.__subclasses__() for code in kind.codes or (kind.__name__,)
}


def aws_error(code: str, message: str = "", status: int = 400, request_id: str = "", sender: bool = True) -> AwsError:
    """The error of an AWS code, which may carry a namespace ('com.amazonaws.sqs#…') or the Query protocol's prefix."""
    code = code.rpartition("#")[2].removeprefix("AWS.SimpleQueueService.")
    return _CLASSES.get(code, AwsError)(code, message, status, request_id, sender)
