"""MD5OfMessageAttributes as the SDKs compute it, so that a specification can say what the broker must answer.

Source: SQS Developer Guide, "Calculating the MD5 message digest for message attributes".
"""

import hashlib
import struct
from typing import Any


def attributes_md5(attributes: dict[str, dict[str, Any]]) -> str:
    """The digest of message attributes in boto3's form."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        _add(digest, name.encode())
        _add(digest, value["DataType"].encode())
        if value["DataType"].startswith("Binary"):
            digest.update(b"\x02")
            _add(digest, value["BinaryValue"])
        else:
            digest.update(b"\x01")
            _add(digest, value["StringValue"].encode())
    return digest.hexdigest()


def body_md5(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def _add(digest: Any, part: bytes) -> None:
    digest.update(struct.pack(">I", len(part)) + part)


def string(value: str, data_type: str = "String") -> dict[str, Any]:
    return {"DataType": data_type, "StringValue": value}


def number(value: str, data_type: str = "Number") -> dict[str, Any]:
    return {"DataType": data_type, "StringValue": value}


def binary(value: bytes, data_type: str = "Binary") -> dict[str, Any]:
    return {"DataType": data_type, "BinaryValue": value}
