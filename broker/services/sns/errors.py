"""The AWS errors of SNS. Names and statuses are those of AWS's service model; SNS speaks the Query protocol only."""

from typing import ClassVar

from broker.errors import AwsError


class SnsError(AwsError):
    """`shape` is what SDKs name the exception after its code, so it equals the code here."""

    namespace: ClassVar[str] = "com.amazonaws.sns"


class InvalidParameter(SnsError):
    """The most common of all. The text begins with "Invalid parameter: "."""

    shape = "InvalidParameter"
    query_code = "InvalidParameter"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Invalid parameter: {reason}")


class ParameterValueInvalid(SnsError):
    """InvalidParameterValueException: a message attribute whose value does not fit."""

    shape = "ParameterValueInvalid"
    query_code = "ParameterValueInvalid"


class ValidationError(SnsError):
    """A parameter breaks a constraint of the model: it is missing, or not of its type."""

    shape = "ValidationError"
    query_code = "ValidationError"

    def __init__(self, member: str, value: str, rule: str) -> None:
        super().__init__(
            f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must {rule}"
        )


class NotFound(SnsError):
    shape = "NotFound"
    query_code = "NotFound"
    status = 404


class ResourceNotFound(SnsError):
    """NotFound of the tag and sandbox operations."""

    shape = "ResourceNotFound"
    query_code = "ResourceNotFound"
    status = 404


class AuthorizationError(SnsError):
    shape = "AuthorizationError"
    query_code = "AuthorizationError"
    status = 403


class InvalidState(SnsError):
    shape = "InvalidState"
    query_code = "InvalidState"


class FilterPolicyLimitExceeded(SnsError):
    shape = "FilterPolicyLimitExceeded"
    query_code = "FilterPolicyLimitExceeded"
    status = 403


class SubscriptionLimitExceeded(SnsError):
    shape = "SubscriptionLimitExceeded"
    query_code = "SubscriptionLimitExceeded"
    status = 403


class TopicLimitExceeded(SnsError):
    shape = "TopicLimitExceeded"
    query_code = "TopicLimitExceeded"
    status = 403


class ReplayLimitExceeded(SnsError):
    shape = "ReplayLimitExceeded"
    query_code = "ReplayLimitExceeded"
    status = 403


class TagLimitExceeded(SnsError):
    shape = "TagLimitExceeded"
    query_code = "TagLimitExceeded"


class OptedOut(SnsError):
    shape = "OptedOut"
    query_code = "OptedOut"


class UserError(SnsError):
    shape = "UserError"
    query_code = "UserError"


class VerificationFailed(SnsError):
    """VerificationException: the model gives it no code, so its name is its code."""

    shape = "VerificationException"
    query_code = "VerificationException"


class EndpointDisabled(SnsError):
    shape = "EndpointDisabled"
    query_code = "EndpointDisabled"


class PlatformApplicationDisabled(SnsError):
    shape = "PlatformApplicationDisabled"
    query_code = "PlatformApplicationDisabled"


class Throttled(SnsError):
    shape = "Throttled"
    query_code = "Throttled"
    status = 429


class EmptyBatchRequest(SnsError):
    shape = "EmptyBatchRequest"
    query_code = "EmptyBatchRequest"


class TooManyEntriesInBatchRequest(SnsError):
    shape = "TooManyEntriesInBatchRequest"
    query_code = "TooManyEntriesInBatchRequest"


class BatchEntryIdsNotDistinct(SnsError):
    shape = "BatchEntryIdsNotDistinct"
    query_code = "BatchEntryIdsNotDistinct"


class BatchRequestTooLong(SnsError):
    shape = "BatchRequestTooLong"
    query_code = "BatchRequestTooLong"


class InvalidBatchEntryId(SnsError):
    shape = "InvalidBatchEntryId"
    query_code = "InvalidBatchEntryId"
