"""Replies of the Query protocol: XML, compiled once per reply struct from its declaration."""

import base64
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

from broker.wire.faults import escape_text

Writer = Callable[[Any], str]


def compile_reply(reply: type[msgspec.Struct]) -> Writer:
    """What writes the content of a reply's result element."""
    info = inspect.type_info(reply)
    assert isinstance(info, inspect.StructType)
    return _struct_writer(info)


def _struct_writer(info: inspect.StructType) -> Writer:
    members = [(f.name, _member(f.type, f.encode_name)) for f in info.fields]

    def write(struct: Any) -> str:
        parts = []
        for name, writer in members:
            value = getattr(struct, name)
            if value is not msgspec.UNSET and value is not None:
                parts.append(writer(value))
        return "".join(parts)

    return write


def _member(kind: inspect.Type, name: str) -> Writer:
    """What writes a member with its element or elements."""
    flattened: tuple[str, str, str] | None = None
    while True:
        if isinstance(kind, inspect.Metadata):
            flattened = (kind.extra or {}).get("query") or flattened
            kind = kind.type
        elif isinstance(kind, inspect.UnionType):
            (kind,) = [t for t in kind.types if not isinstance(t, inspect.NoneType)]
        else:
            break
    if isinstance(kind, inspect.ListType):
        return _list_writer(kind, name, flattened)
    if isinstance(kind, inspect.DictType):
        return _map_writer(kind, name, flattened)
    content = _content(kind)
    return lambda value: f"<{name}>{content(value)}</{name}>"


def _content(kind: inspect.Type) -> Writer:
    if isinstance(kind, inspect.StructType):
        return _struct_writer(kind)
    if isinstance(kind, inspect.BoolType):
        return lambda value: "true" if value else "false"
    if isinstance(kind, inspect.BytesType):
        return lambda value: base64.b64encode(value).decode("ascii")
    if isinstance(kind, inspect.StrType | inspect.LiteralType):
        return escape_text
    return str


def _list_writer(kind: inspect.ListType, name: str, flattened: tuple[str, str, str] | None) -> Writer:
    content = _content(kind.item_type)
    if flattened is None:
        return lambda value: f"<{name}>{''.join(f'<member>{content(v)}</member>' for v in value)}</{name}>"
    element = flattened[0]
    return lambda value: "".join(f"<{element}>{content(v)}</{element}>" for v in value)


def _map_writer(kind: inspect.DictType, name: str, flattened: tuple[str, str, str] | None) -> Writer:
    element, key_name, value_name = flattened or ("entry", "key", "value")
    content = _content(kind.value_type)

    def write(value: Any) -> str:
        entries = "".join(
            f"<{element}><{key_name}>{escape_text(k)}</{key_name}><{value_name}>{content(v)}</{value_name}></{element}>"
            for k, v in value.items()
        )
        return entries if flattened else f"<{name}>{entries}</{name}>"

    return write
