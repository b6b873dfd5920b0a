"""The AWS errors of Lambda. Names, statuses and the spelling of the message's member are those of AWS's service model."""

from typing import ClassVar

from broker.errors import AwsError


class LambdaError(AwsError):
    """`query_code` has no meaning here: Lambda speaks REST-JSON only."""

    namespace: ClassVar[str] = "com.amazonaws.lambda"
    query_code: ClassVar[str] = ""


class ValidationException(LambdaError):
    """A parameter breaks a constraint of the model."""

    shape = "ValidationException"

    def __init__(self, member: str, value: str, rule: str) -> None:
        super().__init__(
            f"1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {rule}"
        )


class InvalidParameterValue(LambdaError):
    shape = "InvalidParameterValueException"


class ResourceNotFound(LambdaError):
    shape = "ResourceNotFoundException"
    status = 404
    message_member = "Message"


class ResourceConflict(LambdaError):
    shape = "ResourceConflictException"
    status = 409


class ResourceInUse(LambdaError):
    shape = "ResourceInUseException"
    message_member = "Message"


class PreconditionFailed(LambdaError):
    """A RevisionId is not the newest."""

    shape = "PreconditionFailedException"
    status = 412

    def __init__(self) -> None:
        super().__init__(
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to retrieve "
            "the latest RevisionId"
        )


class TooManyRequests(LambdaError):
    """Throttled. `reason`: AWS's, such as ReservedFunctionConcurrentInvocationLimitExceeded."""

    shape = "TooManyRequestsException"
    status = 429

    def __init__(self, reason: str = "ReservedFunctionConcurrentInvocationLimitExceeded") -> None:
        super().__init__("Rate Exceeded.")
        self.details["Reason"] = reason


class RequestTooLarge(LambdaError):
    shape = "RequestTooLargeException"
    status = 413

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} byte payload is too large for the invocation (limit {limit} bytes)")


class InvalidRequestContent(LambdaError):
    """The payload of an invoke is not JSON."""

    shape = "InvalidRequestContentException"


class CodeStorageExceeded(LambdaError):
    shape = "CodeStorageExceededException"


class ServiceFailure(LambdaError):
    """ServiceException: what AWS answers where it fails itself; here, where an environment cannot be made."""

    shape = "ServiceException"
    status = 500
    sender = False
    message_member = "Message"
