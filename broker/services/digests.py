"""The MD5s that SDKs check. Source: SQS Developer Guide, "Calculating the MD5 message digest for message attributes".

The body's is made at admission and kept with the message.
"""

import struct
from collections.abc import Iterable
from hashlib import md5
from operator import attrgetter
from typing import Final

from broker.core.content import Attribute

_length: Final = struct.Struct(">I").pack
_by_name: Final = attrgetter("name")
_TEXT: Final = b"\x01"
_BINARY: Final = b"\x02"


def attributes_md5(attributes: Iterable[Attribute]) -> str:
    """MD5OfMessageAttributes: over name, type and value of each, by name, every part behind its length."""
    parts: list[bytes] = []
    for attribute in sorted(attributes, key=_by_name):
        name, data_type = attribute.name.encode(), attribute.data_type.encode()
        parts += (
            _length(len(name)),
            name,
            _length(len(data_type)),
            data_type,
            _BINARY if data_type.startswith(b"Binary") else _TEXT,
            _length(len(attribute.value)),
            attribute.value,
        )
    return md5(b"".join(parts), usedforsecurity=False).hexdigest()
