"""REST-JSON: a request's method, path, query, headers and body into the operation's struct, a reply into bytes.

Compiled once per operation from the struct's declaration. Which operation a request is for is told by its method and path.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson
from msgspec import inspect

from broker.services.operation import Operation, Service
from broker.wire.aws_json import refusal
from broker.wire.faults import REST_TYPE, SerializationException
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.query_form import parse_pairs
from broker.wire.reply_size import compile_size

_VERSION: Final = re.compile(r"/\d{4}-\d{2}-\d{2}/")
_PARAMETER: Final = re.compile(r"\\\{(\w+)\\\}")
_encoder = msgspec.json.Encoder()

_Read = Callable[[str], Any]


class RestCodec:
    """One operation's decoder and encoder."""

    def __init__(self, operation: Operation, service: Service) -> None:
        assert operation.http is not None
        self.operation = operation
        self.service = service
        self.http = operation.http
        template = _PARAMETER.sub(r"(?P<\1>[^/]+)", re.escape(self.http.path))
        self.path = re.compile(template + "/?")
        self._located = _located_members(operation.request)
        self._as_they_are = (bytes,) if self.http.payload else ()  # elsewhere bytes are base64
        self.size = compile_size(operation.reply)
        self._reply_located = [] if operation.reply is None else _located_members(operation.reply)

    def decode(self, request: HttpRequest, match: "re.Match[str]") -> Any:
        """The request. Raises SerializationException, and the service's errors for members that are missing or do not fit."""
        found: dict[str, Any] = {}
        if self.http.payload:
            found[self.http.payload] = request.body
        elif request.body:
            found = self._read_body(request.body)
        query: dict[str, list[str]] = {}
        for name, value in parse_pairs(request.query_string.encode(errors="surrogateescape")):
            query.setdefault(name, []).append(value)
        for member, place, name, read, is_list in self._located:
            found.pop(member, None)
            values = _values(request, match, query, place, name)
            if values:
                found[member] = values if is_list else self._converted(member, values[-1], read)
        try:
            return msgspec.convert(found, self.operation.request, builtin_types=self._as_they_are)
        except msgspec.ValidationError as error:
            raise refusal(str(error), self.service.missing) from None

    def _read_body(self, body: bytes) -> dict[str, Any]:
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise SerializationException("Could not parse request body into json.") from None
        if not isinstance(content, dict):
            raise SerializationException("Start of list found where not expected.")
        # Clients write what they leave out as null.
        return {name: value for name, value in content.items() if value is not None}

    def _converted(self, member: str, text: str, read: _Read) -> Any:
        try:
            return read(text)
        except ValueError:
            raise self.service.invalid(member, text, "of its type") from None

    def encode_large(self, reply: Any, request_id: str) -> HttpResponse:
        return self.encode(reply, request_id)

    def encode(self, reply: Any, request_id: str) -> HttpResponse:
        headers = {"Content-Type": REST_TYPE, "x-amzn-RequestId": request_id}
        status = self.http.status
        if reply is None:
            return HttpResponse(status, b"", headers)
        if self.http.status_member:
            status = getattr(reply, self.http.status_member)
        for member, _, name, _, _ in self._reply_located:
            value = getattr(reply, _attribute(type(reply), member))
            if value is not msgspec.UNSET and value is not None:
                headers[name] = str(value)
        if self.http.reply_payload:
            return HttpResponse(status, getattr(reply, self.http.reply_payload), headers)
        return HttpResponse(status, b"" if status == 204 else _encoder.encode(reply), headers)


class RestRoutes:
    """The REST-JSON operations of all services, by method and path."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._codecs: dict[str, list[RestCodec]] = {}
        for service in services:
            for operation in service.operations.values():
                if operation.http is not None:
                    codec = RestCodec(operation, service)
                    self._codecs.setdefault(operation.http.method, []).append(codec)

    @staticmethod
    def takes(path: str) -> bool:
        """Whether a path has REST-JSON's form: it begins with a date."""
        return _VERSION.match(path) is not None

    def find(self, method: str, path: str) -> "tuple[RestCodec, re.Match[str]] | None":
        """The operation, and what its path's parameters are."""
        for codec in self._codecs.get(method, ()):
            match = codec.path.fullmatch(path)
            if match is not None:
                return codec, match
        return None


def _located_members(struct: type[msgspec.Struct]) -> list[tuple[str, str, str, _Read, bool]]:
    """(wire name, place, name there, converter, whether a list) of the members that are not in the body."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    located = []
    for field in info.fields:
        kind, at = field.type, None
        while isinstance(kind, inspect.Metadata | inspect.UnionType):
            if isinstance(kind, inspect.Metadata):
                at = (kind.extra or {}).get("at") or at
                kind = kind.type
            else:
                kind = next(t for t in kind.types if not isinstance(t, inspect.NoneType))
        if at is not None:
            located.append((field.encode_name, at[0], at[1], _converter(kind), isinstance(kind, inspect.ListType)))
    return located


def _converter(kind: inspect.Type) -> _Read:
    if isinstance(kind, inspect.IntType):
        return int
    if isinstance(kind, inspect.BoolType):
        return _boolean
    return str


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _values(
    request: HttpRequest, match: "re.Match[str]", query: Mapping[str, list[str]], place: str, name: str
) -> list[str]:
    if place == "uri":
        return [match[name]]
    if place == "query":
        return query.get(name, [])
    value = request.headers.get(name.lower())
    return [] if value is None else [value]


def _attribute(struct: type[msgspec.Struct], wire_name: str) -> str:
    return next(f.name for f in msgspec.structs.fields(struct) if f.encode_name == wire_name)
