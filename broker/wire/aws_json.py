"""AWS JSON 1.0: a request's body into the operation's struct, a reply into bytes."""

import re
from typing import Any, Final

import msgspec

from broker.core.errors import MissingParameter
from broker.errors import AwsError
from broker.services.operation import Operation
from broker.wire.faults import JSON_TYPE, SerializationException
from broker.wire.http import HttpResponse

_MISSING: Final = re.compile(r"missing required field `([^`]+)`")
_MISMATCH: Final = re.compile(r"^Expected `([^`]+)`, got `([^`]+)`")
_WIRE_TYPES: Final = {"str": "STRING_VALUE", "int": "NUMBER_VALUE", "float": "DECIMAL_VALUE", "bool": "TRUE_VALUE"}
_STARTS: Final = {"object": "Start of structure or map found where not expected.", "array": "Unexpected list element"}
_NAMES: Final = {"str": "String", "int": "Integer", "bool": "Boolean", "bytes": "Blob", "object": "structure"}

_encoder = msgspec.json.Encoder()


class JsonCodec:
    """One operation's decoder and encoder."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self._decoder = msgspec.json.Decoder(operation.request)

    def decode(self, body: bytes) -> Any:
        """The request. Raises SerializationException, MissingParameter."""
        try:
            return self._decoder.decode(body or b"{}")
        except msgspec.ValidationError as error:
            raise refusal(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SerializationException("The request body is not valid JSON.") from None

    def encode(self, reply: Any, request_id: str) -> HttpResponse:
        body = b"{}" if reply is None else _encoder.encode(reply)
        return HttpResponse(200, body, {"Content-Type": JSON_TYPE, "x-amzn-RequestId": request_id})


def refusal(reason: str) -> AwsError:
    missing = _MISSING.search(reason)
    if missing:
        return MissingParameter(missing.group(1))
    mismatch = _MISMATCH.match(reason)
    if mismatch is None:
        return SerializationException(reason)
    expected = mismatch.group(1).split(" | ")[0]
    got = mismatch.group(2)
    if got in _STARTS:
        return SerializationException(_STARTS[got])
    if expected in ("object", "array"):
        return SerializationException(f"Unrecognized collection type: {_WIRE_TYPES.get(got, got.upper())}")
    return SerializationException(
        f"{_WIRE_TYPES.get(got, got.upper())} can not be converted to {_article(_NAMES.get(expected, expected))}"
    )


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
