"""Filter policies once more, as plainly as they can be said: what the compiled ones are compared with.

Slow, and without any check of the policy. Where an array holds objects or arrays, the message is looked at once for every
choice of an element (`views`): a policy accepts if it accepts one view. Numbers are exact decimals, cut to five places.
"""

import json
import re
from collections.abc import Iterator
from decimal import ROUND_FLOOR, Decimal
from ipaddress import ip_address, ip_network
from typing import Any

from broker.core.content import Attribute

View = dict[str, list[Any]]  # the scalars behind each name


def accepts(policy: str, scope: str, attributes: list[Attribute], body: str) -> bool:
    parsed = parse(policy)
    if not parsed:
        return True
    message = attributes_of(attributes) if scope == "MessageAttributes" else body_of(body)
    if message is None:
        return False
    present = {name for view in views(message, "") for name in view}
    return any(fits(parsed, "", view, present) for view in views(message, ""))


def parse(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def attributes_of(attributes: list[Attribute]) -> Any:
    message: dict[str, Any] = {}
    for attribute in attributes:
        text = attribute.value.decode(errors="replace")
        if attribute.data_type == "String":
            message[attribute.name] = text
        elif attribute.data_type == "Number":
            message[attribute.name] = Decimal(text)
        elif attribute.data_type == "String.Array":
            message[attribute.name] = parse(text)
    return message if attributes else None


def body_of(body: str) -> Any:
    try:
        message = parse(body)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def views(value: Any, name: str) -> list[View]:
    if isinstance(value, dict):
        result: list[View] = [{}]
        for key, child in value.items():
            below = views(child, f"{name}.{key}")
            result = [merged(one, other) for one in result for other in below]
        return result
    if isinstance(value, list):
        scalars = [element for element in value if not isinstance(element, dict | list)]
        own: View = {name: scalars} if scalars else {}
        inner = [view for element in value if isinstance(element, dict | list) for view in views(element, name)]
        return [merged(own, view) for view in inner] or [own]
    return [{name: [value]}]


def merged(one: View, other: View) -> View:
    return {name: one.get(name, []) + other.get(name, []) for name in one.keys() | other.keys()}


def fits(policy: dict[str, Any], path: str, view: View, present: set[str]) -> bool:
    for key, value in policy.items():
        if key == "$or":
            if not any(fits(branch, path, view, present) for branch in value):
                return False
        elif isinstance(value, dict):
            if not fits(value, f"{path}.{key}", view, present):
                return False
        elif not any(holds(condition, f"{path}.{key}", view, present) for condition in value):
            return False
    return True


def holds(condition: Any, name: str, view: View, present: set[str]) -> bool:
    if condition == {"exists": False}:
        return name not in present
    return any(holds_for(condition, value) for value in view.get(name, []))


def holds_for(condition: Any, value: Any) -> bool:
    if not isinstance(condition, dict):
        return same(condition, value)
    ((operator, operand),) = condition.items()
    text = value if isinstance(value, str) else None
    if operator == "exists":
        return value is not None and value != ""
    if operator == "anything-but":
        if isinstance(operand, dict):
            return not holds_for(operand, value)
        return not any(same(banned, value) for banned in (operand if isinstance(operand, list) else [operand]))
    if operator == "numeric":
        return in_range(value) and all(compare(sign, value, bound) for sign, bound in pairs(operand))
    if text is None:
        return False
    if operator == "prefix":
        return bool(text[: len(operand)] == operand)
    if operator == "suffix":
        return text.endswith(operand)
    if operator == "equals-ignore-case":
        return bool(text.lower() == operand.lower())
    if operator == "wildcard":
        return re.fullmatch(".*".join(re.escape(piece) for piece in operand.split("*")), text, re.DOTALL) is not None
    assert operator == "cidr"
    try:
        return ip_address(text) in ip_network(operand, strict=False)
    except ValueError:
        return False


def pairs(operand: list[Any]) -> Iterator[tuple[str, Decimal]]:
    return zip(operand[::2], operand[1::2], strict=True)


def in_range(value: Any) -> bool:
    return isinstance(value, Decimal) and -(10**9) <= value <= 10**9


def five_places(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.00001"), ROUND_FLOOR) if in_range(value) else value


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return five_places(one) == five_places(other)
    return type(one) is type(other) and bool(one == other)


def compare(sign: str, value: Decimal, bound: Decimal) -> bool:
    one, other = five_places(value), five_places(bound)
    return {"=": one == other, "<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[sign]
