"""What a published message shows to filter policies: its attributes, or the JSON of its body, name by name.

One `FilterInput` serves all subscriptions of a topic. Whatever a policy asks for is read at the first question and kept; the
body is parsed at most once. Knows no policy. Source: SNS Developer Guide, "Message filtering" and "Message attributes".
"""

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Final

import orjson

from broker.core.content import Attribute
from broker.services.filtering.values import Leaf, Values, read_leaf, read_number

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_MANY: Final = 8  # from so many values on, a set is quicker to compare with a set


class Fields(dict[str, Values]):
    """Values by name; none for a name that the message lacks."""

    def __missing__(self, name: str) -> Values:
        return ()


class BodyFields(Fields):
    """The leaves of a JSON object by their path. The names on a path are joined with dots, so that the name a.b is both
    the key "a.b" and the key "b" in "a"; arrays on the way are passed over. `divided` are the paths that lead through an
    array of objects or arrays: two of their leaves may come from different elements."""

    def __init__(self, body: dict[str, object]) -> None:
        super().__init__()
        self.body = body
        self.divided: set[str] = set()

    def __missing__(self, name: str) -> Values:
        leaves: list[Leaf] = []
        divided = False
        open_nodes: list[tuple[object, int]] = [(self.body, 0)]
        while open_nodes:  # no recursion: arrays may be nested a thousand deep
            node, place = open_nodes.pop()
            if isinstance(node, dict):
                open_nodes.extend((node[key], after) for key, after in steps(node, name, place))
            elif isinstance(node, list):
                inner = [(element, place) for element in node if isinstance(element, dict | list)]
                divided = divided or bool(inner)
                open_nodes.extend(inner)
                if place > len(name):
                    leaves.extend(read_leaf(element) for element in node if not isinstance(element, dict | list))
            elif place > len(name):
                leaves.append(read_leaf(node))
        if divided and leaves:
            self.divided.add(name)
        self[name] = values = tuple(leaves) if len(leaves) < _MANY else frozenset(leaves)
        return values


def steps(node: dict[str, object], name: str, place: int) -> Iterator[tuple[str, int]]:
    """The keys of `node` with which the rest of `name` from `place` on may begin, and where what follows them begins.

    Behind the last key that is one more than the length of the name.
    """
    if place > len(name):
        return
    if name.find(".", place) < 0:
        if name[place:] in node:
            yield name[place:], len(name) + 1
        return
    for key in node:
        if name.startswith(key, place):
            end = place + len(key)
            if end == len(name) or name[end] == ".":
                yield key, end + 1


class FilterInput:
    """A message before the filters. Raises nothing: what cannot be read matches no policy."""

    def __init__(self, attributes: Sequence[Attribute], body: str) -> None:
        self._attributes = attributes
        self._body = body

    @cached_property
    def attribute_fields(self) -> Fields | None:
        """None if no policy accepts the message: it has no attributes, or one of them that cannot be read.

        Binary attributes are ignored, but a message that has one does have attributes. Source: SNS Developer Guide, "Key
        matching" (of a message without attributes); CloudWatch metrics NumberOfNotificationsFilteredOut-NoMessageAttributes
        and -InvalidAttributes.
        """
        if not self._attributes:
            return None
        fields = Fields()
        for attribute in self._attributes:
            kind, _, label = attribute.data_type.partition(".")
            if kind == "Binary":
                continue
            text = attribute.value.decode()
            values = (
                _read_array(text) if label == "Array" else _read_number(text) if kind == "Number" else _read_text(text)
            )
            if values is None:
                return None
            fields[attribute.name] = values
        return fields

    @cached_property
    def body_fields(self) -> BodyFields | None:
        """None if the body is no JSON object."""
        try:
            body = orjson.loads(self._body)
        except orjson.JSONDecodeError:
            return None
        return BodyFields(body) if isinstance(body, dict) else None


def _read_text(text: str) -> Values | None:
    """A String attribute, as filters see it.

    Observed: AWS sets it between quotes and reads that as JSON, so that quotes and backslashes must be escaped; where one is
    not, the whole message is filtered out. Source: SNS Developer Guide, "Filter policy constraints" ("double-escape").
    """
    if '"' not in text and "\\" not in text:
        return (text,)
    try:
        return (json.loads(f'"{text}"', strict=False),)
    except json.JSONDecodeError:
        return None


def _read_number(text: str) -> Values | None:
    return (read_number(Decimal(text)),) if _NUMBER.fullmatch(text) else None


def _read_array(text: str) -> Values | None:
    """A String.Array attribute: strings, numbers, true, false and null. It is looked through like an array in a body."""
    try:
        array = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return BodyFields({"": array})[""] if isinstance(array, list) else None
