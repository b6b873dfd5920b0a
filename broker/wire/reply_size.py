"""How large a reply will be on the wire, roughly and quickly, so that a large one is written beside the event loop.

Only what can be large counts: the fields that are declared so (services/operation.py) in the structs of a reply's lists (message
bodies), and in those of maps below them (message attributes).
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

Size = Callable[[Any], int]


def compile_size(reply: type[msgspec.Struct] | None) -> Size:
    """What tells a reply's size in characters, escapes not counted."""
    info = None if reply is None else inspect.type_info(reply)
    if not isinstance(info, inspect.StructType):
        return _nothing
    lists = [(field.name, item) for field in info.fields if (item := _item(field.type, inspect.ListType))]
    if not lists:
        return _nothing

    def size(reply: Any) -> int:
        total = 0
        for name, item in lists:
            for member in getattr(reply, name) or ():
                total += item(member)
        return total

    return size


def _nothing(_reply: Any) -> int:
    return 0


def _struct_size(info: inspect.StructType) -> Size | None:
    large = [field.name for field in info.fields if _is_large(field.type)]
    maps = [(field.name, item) for field in info.fields if (item := _item(field.type, inspect.DictType))]
    if not large and not maps:
        return None

    def size(struct: Any) -> int:
        total = 0
        for name in large:
            total += len(getattr(struct, name) or "")
        for name, item in maps:
            found = getattr(struct, name)
            if found:
                total += sum(map(item, found.values()))
        return total

    return size


def _item(kind: inspect.Type, collection: type[inspect.Type]) -> Size | None:
    """The size of one element of a collection of structs; None where nothing in it can be large."""
    kind = _plain(kind)
    if not isinstance(kind, collection):
        return None
    element = _plain(kind.item_type if isinstance(kind, inspect.ListType) else getattr(kind, "value_type", kind))
    return _struct_size(element) if isinstance(element, inspect.StructType) else None


def _is_large(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(map(_is_large, kind.types))
    return isinstance(kind, inspect.Metadata) and bool((kind.extra or {}).get("large"))


def _plain(kind: inspect.Type) -> inspect.Type:
    while True:
        if isinstance(kind, inspect.Metadata):
            kind = kind.type
        elif isinstance(kind, inspect.UnionType):
            kind = next(t for t in kind.types if not isinstance(t, inspect.NoneType))
        else:
            return kind
