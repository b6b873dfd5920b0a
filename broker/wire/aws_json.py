"""AWS JSON 1.0: a request's body into the operation's struct, a reply into bytes."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from broker.errors import AwsError
from broker.services.operation import Operation, Service
from broker.wire.faults import JSON_TYPE, SerializationException
from broker.wire.http import HttpResponse
from broker.wire.reply_size import compile_size

_MISSING: Final = re.compile(r"missing required field `([^`]+)`")
_MISMATCH: Final = re.compile(r"^Expected `([^`]+)`, got `([^`]+)`(?: - at `([^`]+)`)?")
_MEMBER: Final = re.compile(r"\.([A-Za-z0-9]+)$")  # where a path ends at a structure's member
_WIRE_TYPES: Final = {"str": "STRING_VALUE", "int": "NUMBER_VALUE", "float": "DECIMAL_VALUE", "bool": "TRUE_VALUE"}
_STARTS: Final = {"object": "Start of structure or map found where not expected.", "array": "Unexpected list element"}
_NAMES: Final = {"str": "String", "int": "Integer", "bool": "Boolean", "bytes": "Blob", "object": "structure"}
_UNCHECKED_BYTES: Final = 65_536
_STRINGS_MAX: Final = 20_000  # of a larger body: no operation's input has a tenth of that

_encoder = msgspec.json.Encoder()


class JsonCodec:
    """One operation's decoder and encoder."""

    def __init__(self, operation: Operation, service: Service) -> None:
        self.operation = operation
        self.service = service
        self._decoder = msgspec.json.Decoder(operation.request)
        self.size = compile_size(operation.reply)

    def decode(self, body: bytes) -> Any:
        """The request. Raises SerializationException, and the service's error for a missing member."""
        if len(body) > _UNCHECKED_BYTES and _strings(body) > _STRINGS_MAX:
            raise SerializationException(f"The request has more than {_STRINGS_MAX} strings.")
        try:
            return self._decoder.decode(body or b"{}")
        except msgspec.ValidationError as error:
            raise refusal(str(error), self.service.missing) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SerializationException("The request body is not valid JSON.") from None

    def encode(self, reply: Any, request_id: str) -> HttpResponse:
        body = b"{}" if reply is None else _encoder.encode(reply)
        return HttpResponse(200, body, {"Content-Type": JSON_TYPE, "x-amzn-RequestId": request_id})

    def encode_large(self, reply: Any, request_id: str) -> HttpResponse:
        """The same bytes, written element by element: a thread beside the event loop lets go of the GIL in between."""
        members = []
        for field in msgspec.structs.fields(reply):
            value = getattr(reply, field.name)
            if value is not msgspec.UNSET:
                members.append(b'"%s":%s' % (field.encode_name.encode(), _by_element(value)))
        body = b"{%s}" % b",".join(members)
        return HttpResponse(200, body, {"Content-Type": JSON_TYPE, "x-amzn-RequestId": request_id})


def _by_element(value: Any) -> bytes:
    return b"[%s]" % b",".join(map(_encoder.encode, value)) if type(value) is list else _encoder.encode(value)


def refusal(reason: str, absent: Callable[[str], AwsError]) -> AwsError:
    """The AWS error for what msgspec says. `absent`: the service's, for a required member that is not there."""
    missing = _MISSING.search(reason)
    if missing:
        return absent(missing.group(1))
    mismatch = _MISMATCH.match(reason)
    if mismatch is None:
        return SerializationException(_plain_reason(reason))
    expected = mismatch.group(1).split(" | ")[0]
    got = mismatch.group(2)
    if got == "null":
        member = _MEMBER.search(mismatch.group(3) or "")
        if member:
            return absent(member.group(1))  # null is absent
    if got in _STARTS:
        return SerializationException(_STARTS[got])
    if expected in ("object", "array"):
        return SerializationException(f"Unrecognized collection type: {_WIRE_TYPES.get(got, got.upper())}")
    return SerializationException(
        f"{_WIRE_TYPES.get(got, got.upper())} can not be converted to {_article(_NAMES.get(expected, expected))}"
    )


def _strings(body: bytes) -> int:
    """About how many strings a JSON text has, and never fewer: each opens with a quote that no backslash precedes.

    What a decoder's time grows with, beside the bytes: 8 MB of `"a",` are two million objects and take 0.1 s.
    """
    return (body.count(b'"') - body.count(b'\\"')) // 2


def _plain_reason(reason: str) -> str:
    if "base64" in reason:
        return "STRING_VALUE can not be converted to a Blob"
    if "out of range" in reason:
        return "NUMBER_VALUE can not be converted to an Integer"
    return reason.partition(" - at ")[0]


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
