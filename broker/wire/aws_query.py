"""The Query protocol: a form into the operation's struct, compiled once per operation from the struct's declaration.

Lists and maps are numbered from 1, with or without `member` and `entry` between. A single element may go without its number
(`AttributeName=All`, `Attribute.Name=…&Attribute.Value=…`): so AWS's own older examples have it, and boto 2 sends it.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import inspect

from broker.services.operation import Operation, Service
from broker.wire.aws_json import refusal
from broker.wire.faults import XML_DECLARATION, XML_TYPE, MalformedInput, SerializationException
from broker.wire.http import HttpResponse
from broker.wire.reply_size import compile_size
from broker.wire.xml_reply import compile_reply

_ABSENT: Final = object()
_NAME_MAX: Final = 256  # characters; longer names, and those with more dots, mean nothing
_DOTS_MAX: Final = 12
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")


class _Unfit(Exception):
    """A text is not of its member's type, or a map's key is there already."""

    def __init__(self, at: str, text: str, expected: str) -> None:
        super().__init__(at)
        self.name = at.rpartition(".")[2]
        self.text = text
        self.expected = expected


class _Form:
    """A form and the prefixes of its names, so that "is there anything below X.3" is one look-up."""

    __slots__ = ("values", "prefixes")

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self.prefixes: set[str] = set()
        for name in values:
            if len(name) > _NAME_MAX or name.count(".") > _DOTS_MAX:
                continue
            end = name.rfind(".")
            while end > 0:
                prefix = name[:end]
                if prefix in self.prefixes:
                    break  # so are all that are shorter
                self.prefixes.add(prefix)
                end = name.rfind(".", 0, end)

    def holds(self, name: str) -> bool:
        return name in self.values or name in self.prefixes


_Reader = Callable[[_Form, str], Any]  # the value at a name, or _ABSENT


class QueryCodec:
    """One operation's decoder and encoder."""

    def __init__(self, operation: Operation, service: Service) -> None:
        self.operation = operation
        self.service = service
        info = inspect.type_info(operation.request)
        assert isinstance(info, inspect.StructType)
        self._read = _struct_reader(info)
        self.takes_queue_url = any(f.encode_name == "QueueUrl" for f in info.fields)
        self._body = None if operation.reply is None else compile_reply(operation.reply)
        self.size = compile_size(operation.reply)
        self._open = f'{XML_DECLARATION}<{operation.name}Response xmlns="{service.xml_namespace}">'
        self._close = f"</ResponseMetadata></{operation.name}Response>"

    def decode(self, values: dict[str, str]) -> Any:
        """The request. Raises MalformedInput, and the service's errors for members that are missing or not of their type."""
        try:
            return msgspec.convert(self._read(_Form(values), ""), self.operation.request)
        except msgspec.ValidationError as error:
            refused = refusal(str(error), self.service.missing)
            malformed = isinstance(refused, SerializationException)
            raise (MalformedInput(refused.message) if malformed else refused) from None
        except _Unfit as unfit:
            raise self.service.invalid(unfit.name, unfit.text, unfit.expected) from None

    def encode_large(self, reply: Any, request_id: str) -> HttpResponse:
        return self.encode(reply, request_id)  # text by text already

    def encode(self, reply: Any, request_id: str) -> HttpResponse:
        parts = [self._open]
        if self._body is not None:
            name = self.operation.name
            content = self._body(reply) if reply is not None else ""
            parts.append(f"<{name}Result>{content}</{name}Result>" if content else f"<{name}Result/>")
        parts.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId>{self._close}")
        return HttpResponse(200, "".join(parts).encode(), {"Content-Type": XML_TYPE, "x-amzn-RequestId": request_id})


def _struct_reader(info: inspect.StructType) -> _Reader:
    members = [(f.encode_name, *_member(f.type, f.encode_name)) for f in info.fields]

    def read(form: _Form, prefix: str) -> Any:
        found = {}
        for name, wire_name, reader in members:
            value = reader(form, prefix + wire_name)
            if value is not _ABSENT:
                found[name] = value
        return found

    return read


def _member(kind: inspect.Type, name: str) -> tuple[str, _Reader]:
    """The wire name of a member, and what reads it."""
    flattened: tuple[str, str, str] | None = None
    while isinstance(kind, inspect.Metadata):
        flattened = (kind.extra or {}).get("query") or flattened
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        inner = [t for t in kind.types if not isinstance(t, inspect.NoneType)]
        assert len(inner) == 1, f"{name}: a request's member has one type"
        wire_name, reader = _member(inner[0], name)
        return (flattened[0], _collection(inner[0], flattened)) if flattened else (wire_name, reader)
    if isinstance(kind, inspect.ListType | inspect.DictType):
        return (flattened[0] if flattened else name), _collection(kind, flattened)
    return name, _scalar(kind, name)


def _collection(kind: inspect.Type, flattened: tuple[str, str, str] | None) -> _Reader:
    while isinstance(kind, inspect.Metadata):
        flattened = (kind.extra or {}).get("query") or flattened
        kind = kind.type
    if isinstance(kind, inspect.ListType):
        return _list_reader(kind)
    assert isinstance(kind, inspect.DictType)
    _, key, value = flattened or ("", "key", "value")
    return _map_reader(kind, key, value)


def _list_reader(kind: inspect.ListType) -> _Reader:
    _, item = _member(kind.item_type, "")
    is_struct = isinstance(kind.item_type, inspect.StructType)

    def read(form: _Form, name: str) -> Any:
        base = f"{name}.member" if f"{name}.member" in form.prefixes else name
        items: list[Any] = []
        number = 1
        while form.holds(f"{base}.{number}"):
            at = f"{base}.{number}"
            one = item(form, f"{at}." if is_struct else at)
            if one is not _ABSENT:
                items.append(one)
            number += 1
        if number > 1:
            return items
        if is_struct:
            only = item(form, f"{name}.") if name in form.prefixes else None
            return [only] if only else _ABSENT
        return [item(form, name)] if name in form.values else _ABSENT

    return read


def _map_reader(kind: inspect.DictType, key: str, value: str) -> _Reader:
    _, item = _member(kind.value_type, "")
    is_struct = isinstance(kind.value_type, inspect.StructType)

    def read_entry(form: _Form, at: str, found: dict[str, Any]) -> None:
        content = item(form, f"{at}.{value}." if is_struct else f"{at}.{value}")
        named = form.values.get(f"{at}.{key}")
        if named is None and (content is _ABSENT or content == {}):
            return  # names that mean nothing
        named = named or ""  # the operation says what it thinks of an empty name
        if named in found:
            raise _Unfit(f"{at}.{key}", named, "given only once")
        found[named] = "" if content is _ABSENT else content

    def read(form: _Form, name: str) -> Any:
        base = f"{name}.entry" if f"{name}.entry" in form.prefixes else name
        if base not in form.prefixes:
            return _ABSENT
        found: dict[str, Any] = {}
        number = 1
        while form.holds(f"{base}.{number}"):
            read_entry(form, f"{base}.{number}", found)
            number += 1
        if number == 1:
            read_entry(form, name, found)
        return found

    return read


def _scalar(kind: inspect.Type, name: str) -> _Reader:
    if isinstance(kind, inspect.StructType):
        inner = _struct_reader(kind)
        if name:
            return lambda form, at: inner(form, f"{at}.") if at in form.prefixes else _ABSENT
        return inner
    if isinstance(kind, inspect.IntType):
        return _read_int
    if isinstance(kind, inspect.BoolType):
        return _read_bool
    return lambda form, at: form.values.get(at, _ABSENT)


def _read_int(form: _Form, at: str) -> Any:
    text = form.values.get(at)
    if text is None or text == "":
        return _ABSENT
    if _INTEGER.fullmatch(text) is None:
        raise _Unfit(at, text, "an integer")
    return int(text)


def _read_bool(form: _Form, at: str) -> Any:
    text = form.values.get(at)
    if text is None or text == "":
        return _ABSENT
    if text.lower() not in ("true", "false"):
        raise _Unfit(at, text, "true or false")
    return text.lower() == "true"
