"""Compiled filter policies against the plain reading of `reference_filter`, on policies and messages that chance makes.

Names and values come from small pools, so that they meet often.
"""

import json
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from broker.core.content import Attribute
from broker.services.filtering.policy import FilterInput, Scope, compile_filter
from broker.services.filtering.refused import PolicyRefused
from tests.sns_rules import reference_filter

NAMES = st.sampled_from(["a", "b", "a.b", "b.a", "c"])
TEXTS = st.sampled_from(["x", "y", "xy", "yx", "X", "1", "true", "10.0.0.1", "10.0.9.9", "::1", "a*"]) | st.text(
    "xyX", min_size=1, max_size=3
)
NUMBERS = (
    st.sampled_from([0, 1, -1, 2, 1.0, 0.29, 1e2, 100.00001, 100.000001, -0.000001, 0.1, 1e9, 10**12, -1e15])
    | st.integers(-3, 3)
    | st.floats(-5, 5, allow_nan=False)
    | st.integers(-300_000, 300_000).map(lambda units: units / 100_000)
)
SCALARS = TEXTS | NUMBERS | st.sampled_from([True, False, None, ""])
BOUNDS = st.integers(-3, 3) | st.sampled_from([0.29, 1.5, 100, 100.00001, 1e9])


def expression(operator: str, operands: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return operands.map(lambda operand: {operator: operand})


def ordered(parts: tuple[str, str, list[float]]) -> list[object]:
    bottom, top = sorted(parts[2])
    return [parts[0], bottom, parts[1], top]


RANGES = st.tuples(
    st.sampled_from([">", ">="]), st.sampled_from(["<", "<="]), st.lists(BOUNDS, min_size=2, max_size=2, unique=True)
).map(ordered)
COMPARISONS = st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), BOUNDS).map(list)
BANNED = TEXTS | BOUNDS | st.lists(TEXTS, min_size=1, max_size=3) | st.lists(BOUNDS, min_size=1, max_size=3)
PATTERNS = st.tuples(
    st.text("xy", max_size=2), st.lists(st.text("xy", min_size=1, max_size=2), max_size=2), st.text("xy", max_size=2)
).map(lambda parts: "*".join([parts[0], *parts[1], parts[2]]))
CONDITIONS = st.one_of(
    SCALARS,
    SCALARS,
    expression("prefix", TEXTS),
    expression("suffix", TEXTS),
    expression("equals-ignore-case", TEXTS),
    expression("anything-but", BANNED | expression("prefix", TEXTS) | expression("wildcard", PATTERNS)),
    expression("numeric", RANGES | COMPARISONS),
    expression("exists", st.booleans()),
    expression("cidr", st.sampled_from(["10.0.0.0/24", "10.0.0.0/8", "::/64", "0.0.0.0/0"])),
    expression("wildcard", PATTERNS),
)
LEAVES = st.lists(CONDITIONS, min_size=1, max_size=2)
ONE_LEAF = st.lists(CONDITIONS, min_size=1, max_size=1)


def objects(values: st.SearchStrategy[Any], names: int) -> st.SearchStrategy[dict[str, Any]]:
    """Of so many names at most, now and then with alternatives."""
    plain = st.dictionaries(NAMES, values, min_size=1, max_size=names)
    alternatives = st.lists(st.dictionaries(NAMES, values, min_size=1, max_size=1), min_size=2, max_size=2)
    return plain | plain | st.tuples(plain, alternatives).map(lambda parts: {**parts[0], "$or": parts[1]})


FLAT_POLICIES = objects(LEAVES, 3)
NESTED_POLICIES = objects(LEAVES | objects(ONE_LEAF | objects(ONE_LEAF, 1), 2), 2)


# Messages: some of what a policy asks for, and some of what it does not.


def near(condition: Any) -> st.SearchStrategy[Any]:
    """A value that has something to do with a condition."""
    while isinstance(condition, dict):
        (condition,) = condition.values()
    if isinstance(condition, list):
        condition = condition[-1]
    if isinstance(condition, str):
        return st.sampled_from([condition, condition.replace("*", "x"), condition + "x", condition.upper()])
    if isinstance(condition, bool) or condition is None:
        return st.sampled_from([condition, "x", 0])
    return st.sampled_from([condition, condition - 1, condition + 0.000001, condition - 0.00001])


@st.composite
def messages(draw: st.DrawFn, policy: dict[str, Any], *, nested: bool) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for key, value in policy.items():
        if draw(st.integers(0, 9)) == 0:
            continue
        if key == "$or":
            message |= draw(messages(draw(st.sampled_from(value)), nested=nested))
            continue
        nested_policy = isinstance(value, dict)
        inner = messages(value, nested=nested) if nested_policy else st.sampled_from(value).flatmap(near)
        among = st.lists(inner | SCALARS, max_size=3) if nested else st.lists(inner, max_size=3)
        message[key] = draw(inner | inner | among)
    return message


def attribute(name: str, value: object) -> Attribute:
    if isinstance(value, bytes):
        return Attribute(name, "Binary", value)
    if isinstance(value, list):
        return Attribute(name, "String.Array", json.dumps(value).encode())
    if isinstance(value, str):
        return Attribute(name, "String", value.encode())
    return Attribute(name, "Number", repr(value).encode())


def sendable(value: object) -> bool:
    """As an attribute: not a word alone, which only an array can hold."""
    return not isinstance(value, bool) and value is not None


as_chance_has_it = settings(max_examples=120, deadline=None, database=None)


def compare(policy: object, scope: Scope, attributes: list[Attribute], body: str) -> None:
    text = json.dumps(policy)
    try:
        filters = compile_filter(text, scope)
    except PolicyRefused:
        assume(False)
    expected = reference_filter.accepts(text, scope, attributes, body)
    event(f"accepts: {expected}")
    assert filters is not None
    assert filters.matches(FilterInput(attributes, body)) == expected


@as_chance_has_it
@given(FLAT_POLICIES, st.data(), st.sampled_from([{}, {"a": b"\xff"}, {"d": "x"}]))
def test_attributes(policy: dict[str, Any], data: st.DataObject, more: dict[str, Any]) -> None:
    given_values = more | data.draw(messages(policy, nested=False))
    attributes = [attribute(name, value) for name, value in given_values.items() if sendable(value)]
    compare(policy, "MessageAttributes", attributes, "{}")


@as_chance_has_it
@given(NESTED_POLICIES, st.data())
def test_bodies(policy: dict[str, Any], data: st.DataObject) -> None:
    compare(policy, "MessageBody", [], json.dumps(data.draw(messages(policy, nested=True))))


TWINS = st.sampled_from([["x"], ["y"], [{"exists": False}], [{"anything-but": "x"}], ["x", {"exists": False}]])
TWIN_POLICIES = st.dictionaries(st.sampled_from(["a", "a.b", "a.c", "a.b.c", "a.b.d"]), TWINS, min_size=2, max_size=4)
XY = st.sampled_from(["x", "y"])
TWIN_BODIES = st.recursive(
    XY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("bcd"), inner, max_size=3),
    max_leaves=12,
).map(lambda value: {"a": value})


@as_chance_has_it
@given(TWIN_POLICIES, TWIN_BODIES)
def test_names_that_share_arrays(policy: object, body: object) -> None:
    compare(policy, "MessageBody", [], json.dumps(body))
