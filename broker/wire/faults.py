"""Errors on the wire: the one place where an error becomes a status, headers and a body, for each protocol."""

from html import escape

import msgspec

from broker.errors import AwsError, told
from broker.wire.http import HttpResponse

JSON_TYPE = "application/x-amz-json-1.0"
XML_TYPE = "text/xml"
REST_TYPE = "application/json"
XML_DECLARATION = '<?xml version="1.0"?>'


class SerializationException(AwsError):
    """The body cannot be read as the operation's input."""

    shape = "SerializationException"
    query_code = "SerializationException"
    namespace = "com.amazon.coral.service"


class UnknownOperation(AwsError):
    """X-Amz-Target names no operation."""

    shape = "UnknownOperationException"
    query_code = "UnknownOperationException"
    namespace = "com.amazon.coral.service"


class UnknownPath(UnknownOperation):
    """A method and a path that are no REST-JSON operation's."""

    status = 404


class InvalidAction(AwsError):
    """Action names no operation (of this endpoint)."""

    shape = "InvalidAction"
    query_code = "InvalidAction"
    namespace = "com.amazon.coral.service"

    def __init__(self, action: str) -> None:
        super().__init__(f"The action {action} is not valid for this endpoint.")


class MissingAction(AwsError):
    """A Query request without Action."""

    shape = "MissingAction"
    query_code = "MissingAction"
    namespace = "com.amazon.coral.service"

    def __init__(self) -> None:
        super().__init__("The request must contain the parameter Action.")


class MalformedInput(AwsError):
    """A Query request whose form cannot be read."""

    shape = "MalformedInput"
    query_code = "MalformedInput"
    namespace = "com.amazon.coral.service"


class MethodNotAllowed(AwsError):
    """Neither protocol has this HTTP method."""

    shape = "MethodNotAllowedException"
    query_code = "MethodNotAllowed"
    namespace = "com.amazon.coral.service"
    status = 405

    def __init__(self, method: str) -> None:
        super().__init__(f"The HTTP method {method} is not allowed.")


class RequestEntityTooLarge(AwsError):
    """The body is larger than any request may be."""

    shape = "RequestEntityTooLargeException"
    query_code = "RequestEntityTooLarge"
    namespace = "com.amazon.coral.service"
    status = 413


class RequestTimeout(AwsError):
    """The body stopped coming."""

    shape = "RequestTimeoutException"
    query_code = "RequestTimeout"
    namespace = "com.amazon.coral.service"
    status = 408


def json_fault(error: AwsError, request_id: str) -> HttpResponse:
    """An error in AWS JSON."""
    body = msgspec.json.encode({"__type": f"{error.namespace}#{error.shape}", "message": told(error.message)})
    return HttpResponse(
        error.status,
        body,
        {
            "Content-Type": JSON_TYPE,
            "x-amzn-RequestId": request_id,
            "x-amzn-query-error": f"{error.query_code};{'Sender' if error.sender else 'Receiver'}",
        },
    )


def xml_fault(error: AwsError, request_id: str, namespace: str, *, detail: bool) -> HttpResponse:
    """An error in the Query protocol. `detail`: with an empty Detail, as SQS has it."""
    body = (
        f'{XML_DECLARATION}<ErrorResponse xmlns="{namespace}"><Error>'
        f"<Type>{'Sender' if error.sender else 'Receiver'}</Type><Code>{escape_text(error.query_code)}</Code>"
        f"<Message>{escape_text(told(error.query_message))}</Message>{'<Detail/>' if detail else ''}</Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return HttpResponse(error.status, body.encode(), {"Content-Type": XML_TYPE, "x-amzn-RequestId": request_id})


def rest_fault(error: AwsError, request_id: str) -> HttpResponse:
    """An error in REST-JSON."""
    body = msgspec.json.encode(
        {"Type": "User" if error.sender else "Service", error.message_member: told(error.message), **error.details}
    )
    headers = {"Content-Type": REST_TYPE, "x-amzn-RequestId": request_id, "x-amzn-ErrorType": error.shape}
    return HttpResponse(error.status, body, headers)


def escape_text(text: str) -> str:
    """Text between tags. A carriage return must be a reference, or parsers make a line feed of it."""
    return escape(text, quote=False).replace('"', "&quot;").replace("\r", "&#xD;")
