"""How a service declares its operations: each once, as a request struct, a reply struct and a handler, whatever the protocol.

Fields are declared in snake case; `rename="pascal"` gives AWS's name. Where the Query protocol names a list or map otherwise
than by its field, the annotation says so:

    attributes: Annotated[dict[str, str], QueryName("Attribute", "Name", "Value")]   Attribute.1.Name=…&Attribute.1.Value=…
    attribute_names: Annotated[list[str], QueryName("AttributeName")]                AttributeName.1=…
    tag_keys: Annotated[list[str], QueryName("TagKey")]                              TagKey.1=…

A REST-JSON operation has a method and a path template (`Http`); its members are in the body unless the annotation says otherwise:

    function_name: Annotated[str, At("uri", "FunctionName")]                         /functions/{FunctionName}
    qualifier: Annotated[str | None, At("query", "Qualifier")]                       ?Qualifier=…
    log_type: Annotated[str | None, At("header", "X-Amz-Log-Type")]

A blob is `bytes` (base64 on both wires). A field that may be left out is `X | msgspec.UnsetType = msgspec.UNSET` in replies
(and is then absent on the wire), and `X | None = None` in requests.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import msgspec

from broker.errors import AwsError
from broker.services.context import Call

Handler = Callable[[Call, Any], Awaitable[Any]]
H = TypeVar("H", bound=Callable[..., Awaitable[Any]])


def QueryName(member: str, key: str = "", value: str = "") -> msgspec.Meta:  # noqa: N802 (reads as a type in annotations)
    """The Query protocol's name of a flattened list (`member`) or map (`member` with the names of its key and value)."""
    return msgspec.Meta(extra={"query": (member, key, value)})


def At(place: Literal["uri", "query", "header"], name: str) -> msgspec.Meta:  # noqa: N802 (reads as a type in annotations)
    """Where a REST-JSON member is, if not in the body."""
    return msgspec.Meta(extra={"at": (place, name)})


# A text or blob of a reply that may be large: a reply with many such bytes is written beside the event loop.
LARGE: Final = msgspec.Meta(extra={"large": True})


@dataclass(frozen=True, slots=True)
class Http:
    """How a REST-JSON operation is asked for. `payload`, `reply_payload`: the member that is the whole body, as bytes."""

    method: str
    path: str  # /2015-03-31/functions/{FunctionName}
    status: int = 200
    payload: str = ""
    reply_payload: str = ""
    status_member: str = ""  # the reply's member that is the HTTP status


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of one service."""

    name: str
    request: type[msgspec.Struct]
    reply: type[msgspec.Struct] | None  # None: an empty reply
    handler: Handler
    at_queue: bool = True  # whether a Query request for it may be sent to a queue's path
    http: Http | None = None  # REST-JSON services


@dataclass(slots=True)
class Service:
    """A service's wire identity and its operations."""

    name: str  # the credential scope's service, such as "sqs"
    json_target: str  # X-Amz-Target before the dot; "": the service has no JSON protocol
    query_version: str  # the Query protocol's Version; "": the service has no Query protocol
    xml_namespace: str
    missing: Callable[[str], AwsError]  # a required member, by name, is not there
    invalid: Callable[
        [str, str, str], AwsError
    ]  # a member does not fit its type: its name, its text, what was expected
    fault_detail: bool = False  # whether XML errors have an (empty) Detail
    operations: dict[str, Operation] = field(default_factory=dict)

    def operation(
        self,
        name: str,
        request: type[msgspec.Struct],
        reply: type[msgspec.Struct] | None = None,
        *,
        at_queue: bool = True,
        http: Http | None = None,
    ) -> Callable[[H], H]:
        """Register a handler: `async def handler(call: Call, request: Request) -> Reply`."""

        def register(handler: H) -> H:
            assert name not in self.operations, f"{name} is declared twice"
            self.operations[name] = Operation(name, request, reply, handler, at_queue, http)
            return handler

        return register
