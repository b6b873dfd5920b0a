"""The two wire forms: AWS JSON 1.0 for SQS, the Query protocol with XML answers for SNS. Bytes in, bytes out; no I/O.

Generic on purpose: parameters are AWS's, nested as in its reference. Of SNS's shapes only the names of maps and lists must be
known, because a form writes a map unlike a structure, and an empty list is written as an empty element.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote_plus
from xml.etree import ElementTree

import msgspec

from client.errors import AwsError, aws_error

_QUERY_VERSION: Final = "2010-03-31"
_MAPS: Final = {"Attributes": ("key", "value"), "MessageAttributes": ("Name", "Value"), "attributes": ("key", "value")}
_LISTS: Final = frozenset(
    {
        "Endpoints",
        "Failed",
        "NumberCapabilities",
        "PhoneNumbers",
        "PlatformApplications",
        "Subscriptions",
        "Successful",
        "Tags",
        "Topics",
        "phoneNumbers",
    }
)


class WireForm(Protocol):
    """How a service's requests and answers are written."""

    def request(self, operation: str, parameters: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
        """The headers and the body of a request."""
        ...

    def decode(self, body: bytes, kind: Any) -> Any:
        """An answer as `kind` (a struct, or dict). Raises ValueError."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> AwsError:
        """The error that an answer with another status than 200 carries."""
        ...


class AwsJson:
    """AWS JSON 1.0. An error's code is its shape's name, also where the service has an older one for the Query protocol."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}

    def request(self, operation: str, parameters: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"{self._target}.{operation}"}
        return headers, msgspec.json.encode(parameters)

    def decode(self, body: bytes, kind: Any) -> Any:
        decoder = self._decoders.get(kind)
        if decoder is None:
            decoder = self._decoders[kind] = msgspec.json.Decoder(kind)
        return decoder.decode(body or b"{}")

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> AwsError:
        try:
            said = msgspec.json.decode(body, type=dict[str, Any])
        except ValueError:
            said = {}  # a proxy's page: the status says enough
        code = str(said.get("__type") or headers.get("x-amzn-errortype", "").partition(":")[0])
        message = str(said.get("message") or said.get("Message") or ("" if code else _excerpt(body)))
        return aws_error(
            code or f"Http{status}", message, status, headers.get("x-amzn-requestid", ""), sender=status < 500
        )


class AwsQuery:
    """A form as request, XML as answer."""

    def request(self, operation: str, parameters: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
        pairs = [("Action", operation), ("Version", _QUERY_VERSION), *_flattened("", parameters)]
        form = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
        return {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, form.encode()

    def decode(self, body: bytes, kind: Any) -> Any:
        root = _parsed(body)
        if not _name(root).endswith("Response"):
            raise ValueError(f"it is a <{_name(root)}>")
        result = next((child for child in root if _name(child).endswith("Result")), None)
        value = {} if result is None else {_name(child): _plain(child) for child in result}
        return msgspec.convert(value, kind, strict=False)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> AwsError:
        try:
            said = {_name(element): element.text or "" for element in _parsed(body).iter()}
        except ValueError:
            said = {}
        return aws_error(
            said.get("Code") or f"Http{status}",
            said.get("Message") or said.get("message") or ("" if "Code" in said else _excerpt(body)),
            status,
            said.get("RequestId") or headers.get("x-amzn-requestid", ""),
            sender=said.get("Type", "Sender") == "Sender" and status < 500,
        )


def _parsed(body: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(body)
    except (ElementTree.ParseError, LookupError) as error:  # the latter of an unknown encoding
        raise ValueError(f"it is no XML: {error}") from None


def _excerpt(body: bytes) -> str:
    return body[:200].decode(errors="replace").strip()


def _flattened(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        last = prefix.rpartition(".")[2]
        if last in _MAPS:
            key_name, value_name = _MAPS[last]
            for number, (key, item) in enumerate(value.items(), 1):
                yield f"{prefix}.entry.{number}.{key_name}", key
                yield from _flattened(f"{prefix}.entry.{number}.{value_name}", item)
        else:
            for key, item in value.items():
                yield from _flattened(f"{prefix}.{key}" if prefix else key, item)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value, 1):
            yield from _flattened(f"{prefix}.member.{number}", item)
    elif isinstance(value, bool):
        yield prefix, "true" if value else "false"
    elif isinstance(value, bytes):
        yield prefix, base64.b64encode(value).decode()
    elif value is not None:
        yield prefix, str(value)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _plain(element: ElementTree.Element) -> Any:
    children = list(element)
    if not children:
        name = _name(element)
        return [] if name in _LISTS else {} if name in _MAPS else element.text or ""
    first = _name(children[0])
    if first == "member":
        return [_plain(child) for child in children]
    if first == "entry":
        return {str(_plain(entry[0])): _plain(entry[1]) for entry in children}
    return {_name(child): _plain(child) for child in children}


PROTOCOLS: Final[dict[str, WireForm]] = {"sqs": AwsJson("AmazonSQS"), "sns": AwsQuery()}
