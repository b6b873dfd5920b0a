"""The AWS errors that the engine's own rules raise. Texts are AWS's (AWS API references; recorded replies)."""

from typing import ClassVar

from broker.errors import AwsError


class QueueDoesNotExist(AwsError):
    shape = "QueueDoesNotExist"
    query_code = "AWS.SimpleQueueService.NonExistentQueue"

    def __init__(self) -> None:
        super().__init__(
            "The specified queue does not exist.",
            query_message="The specified queue does not exist for this wsdl version.",
        )


class QueueNameExists(AwsError):
    shape = "QueueNameExists"
    query_code = "QueueAlreadyExists"

    def __init__(self, attribute: str) -> None:
        super().__init__(f"A queue already exists with the same name and a different value for attribute {attribute}")


class QueueDeletedRecently(AwsError):
    shape = "QueueDeletedRecently"
    query_code = "AWS.SimpleQueueService.QueueDeletedRecently"

    def __init__(self) -> None:
        super().__init__(
            "You must wait 60 seconds after deleting a queue before you can create another with the same name."
        )


class PurgeQueueInProgress(AwsError):
    shape = "PurgeQueueInProgress"
    query_code = "AWS.SimpleQueueService.PurgeQueueInProgress"
    status = 403

    def __init__(self, queue_name: str) -> None:
        super().__init__(f"Only one PurgeQueue operation on {queue_name} is allowed every 60 seconds.")


class OverLimit(AwsError):
    shape = "OverLimit"
    query_code = "OverLimit"


class InvalidMessageContents(AwsError):
    shape = "InvalidMessageContents"
    query_code = "InvalidMessageContents"


class InvalidAttributeValue(AwsError):
    shape = "InvalidAttributeValue"
    query_code = "InvalidAttributeValue"


class ReceiptHandleIsInvalid(AwsError):
    shape = "ReceiptHandleIsInvalid"
    query_code = "ReceiptHandleIsInvalid"

    def __init__(self, handle: str) -> None:
        super().__init__(f'The input receipt handle "{handle}" is not a valid receipt handle.')


class InvalidParameterValue(AwsError):
    """Not in the service's model, and the most common of all."""

    shape = "InvalidParameterValueException"
    query_code = "InvalidParameterValue"
    namespace: ClassVar[str] = "com.amazon.coral.service"


class MissingParameter(AwsError):
    shape = "MissingRequiredParameterException"
    query_code = "MissingParameter"
    namespace: ClassVar[str] = "com.amazon.coral.service"

    def __init__(self, parameter: str) -> None:
        super().__init__(f"The request must contain the parameter {parameter}.")


class ResourceNotFound(AwsError):
    shape = "ResourceNotFoundException"
    query_code = "ResourceNotFoundException"
    status = 404


class UnsupportedOperation(AwsError):
    shape = "UnsupportedOperation"
    query_code = "AWS.SimpleQueueService.UnsupportedOperation"
