"""How large a reply will be on the wire, roughly and quickly, so that a large one is written beside the event loop.

Only what can be large counts: the texts in a reply's lists (message bodies) and in maps below them (message attributes).
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import inspect

Size = Callable[[Any], int]


def compile_size(reply: type[msgspec.Struct] | None) -> Size:
    """What tells a reply's size in characters, escapes not counted."""
    info = None if reply is None else inspect.type_info(reply)
    if not isinstance(info, inspect.StructType):
        return lambda _: 0
    lists = [(field.name, item) for field in info.fields if (item := _item(field.type, inspect.ListType))]
    if not lists:
        return lambda _: 0

    def size(reply: Any) -> int:
        total = 0
        for name, item in lists:
            for member in getattr(reply, name) or ():
                total += item(member)
        return total

    return size


def _struct_size(info: inspect.StructType) -> Size:
    texts = [field.name for field in info.fields if isinstance(_plain(field.type), inspect.StrType | inspect.BytesType)]
    always = [field.name for field in info.fields if field.name in texts and field.required]
    lengths = attrgetter(*always) if len(always) > 1 else None
    if lengths is not None:
        texts = [name for name in texts if name not in always]
    maps = [(field.name, item) for field in info.fields if (item := _item(field.type, inspect.DictType))]

    def size(struct: Any) -> int:
        total = 0 if lengths is None else sum(map(len, lengths(struct)))
        for name in texts:
            total += len(getattr(struct, name) or "")
        for name, item in maps:
            found = getattr(struct, name)
            if found:
                total += sum(map(item, found.values()))
        return total

    return size


def _item(kind: inspect.Type, collection: type[inspect.Type]) -> Size | None:
    """The size of one element of a collection of structs; None for all other types."""
    kind = _plain(kind)
    if not isinstance(kind, collection):
        return None
    element = _plain(kind.item_type if isinstance(kind, inspect.ListType) else getattr(kind, "value_type", kind))
    return _struct_size(element) if isinstance(element, inspect.StructType) else None


def _plain(kind: inspect.Type) -> inspect.Type:
    while True:
        if isinstance(kind, inspect.Metadata):
            kind = kind.type
        elif isinstance(kind, inspect.UnionType):
            kind = next(t for t in kind.types if not isinstance(t, inspect.NoneType))
        else:
            return kind
