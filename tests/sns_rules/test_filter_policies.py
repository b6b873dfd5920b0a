"""Filter policies, case by case: what they accept, and what is refused with which text.

Expectations come from the SNS Developer Guide ("Subscription filter policies" and the pages below it) and, for the texts and
for arrays of objects, from what AWS publishes of Event Ruler, the engine behind the filters.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from broker.core.content import Attribute
from broker.services.filtering.policy import FilterInput, FilterPolicy, Scope, compile_filter
from broker.services.filtering.refused import PolicyRefused
from broker.services.sns.errors import FilterPolicyLimitExceeded
from broker.services.sns.policy_limits import check_policy_counts

Policy = dict[str, Any]
ATTRIBUTES: Scope = "MessageAttributes"
BODY: Scope = "MessageBody"


def attribute(name: str, value: object) -> Attribute:
    """A string, a number, a String.Array (a list), Binary (bytes), or (type, text)."""
    if isinstance(value, tuple):
        return Attribute(name, value[0], value[1].encode())
    if isinstance(value, bytes):
        return Attribute(name, "Binary", value)
    if isinstance(value, list):
        return Attribute(name, "String.Array", json.dumps(value).encode())
    if isinstance(value, str):
        return Attribute(name, "String", value.encode())
    return Attribute(name, "Number", str(value).encode())


def compiled(policy: object, scope: Scope) -> FilterPolicy:
    text = policy if isinstance(policy, str) else json.dumps(policy)
    filters = compile_filter(text, scope)
    assert filters is not None
    assert filters.scope == scope
    return filters


def accepts(policy: Policy, attributes: Mapping[str, object]) -> bool:
    message = FilterInput([attribute(name, value) for name, value in attributes.items()], "not JSON")
    return compiled(policy, ATTRIBUTES).matches(message)


def accepts_body(policy: Policy, body: object) -> bool:
    return compiled(policy, BODY).matches(FilterInput([], body if isinstance(body, str) else json.dumps(body)))


def shown(value: object) -> str:
    return (value if isinstance(value, str) else json.dumps(value, default=repr))[:60]


# One value meets the conditions of one name, once as an attribute and once in a body.
# (conditions, accepted values, values that are not accepted)
CONDITIONS: list[tuple[list[Any], list[Any], list[Any]]] = [
    # Exact strings. Guide, "String value matching".
    (
        ["rugby", "tennis"],
        ["rugby", "tennis", ["rugby"], ["golf", "tennis"]],
        ["baseball", "Rugby", "rugb", ["golf"], []],
    ),
    (["100"], ["100"], [100, "100.0", [100]]),
    (["é"], ["é"], ["e\u0301", "É"]),
    (["true", "null"], ["true", "null"], [[True], [None]]),
    ([" a "], [" a "], ["a"]),
    # Exact numbers, by value to five decimals. Guide, "Numeric value matching" and "Filter policy constraints".
    ([301.5], [301.5, [301.5], 301.50000], ["301.5", 301.4, 3015]),
    ([100], [100, 100.0, 100.000001, 1e2, [1, 100]], ["100", 100.00001, 99.99999, -100, [True]]),
    ([0], [0, -0.0, 0.000009], [0.00001, -0.000001, [False], [None]]),
    ([0.29], [0.29], [0.28, 0.28999, 0.29001]),
    ([1], [1], [[True], "1"]),
    ([123456789012], [123456789012], [123456789013]),
    ([1, "a"], [1, "a"], ["1", 2]),
    # The three words.
    ([True], [[True], [False, True]], ["true", 1, [False], [None]]),
    ([False], [[False]], ["false", 0, [True], [None]]),
    ([None], [[None], ["a", None]], ["null", "x", [0], [False], []]),
    # Prefix and suffix.
    ([{"prefix": "bas"}], ["baseball", "bas", ["rugby", "basketball"]], ["rugby", "Baseball", "ba", 5, [], [None]]),
    ([{"prefix": ""}], ["anything"], [1, [None]]),
    ([{"prefix": "1"}], ["100"], [100, [100]]),
    ([{"prefix": "bas"}, "rugby"], ["baseball", "rugby"], ["rugby7"]),
    ([{"suffix": "ball"}], ["baseball", "ball", ["rugby", "football"]], ["rugby", "ballet", "BALL", 5, []]),
    ([{"suffix": ".png"}, {"suffix": ".jpg"}], ["a.png", "a.jpg"], ["a.gif", "apng"]),
    # Without regard to case.
    ([{"equals-ignore-case": "tennis"}], ["tennis", "TENNIS", "Tennis", ["golf", "tENNIS"]], ["tennis ", "rugby", 1]),
    ([{"equals-ignore-case": "TENNIS"}], ["tennis", "TENNIS"], ["golf"]),
    ([{"equals-ignore-case": "Straße"}], ["straße", "STRAßE"], ["STRASSE"]),
    ([{"equals-ignore-case": "ÉTÉ"}], ["été"], ["ete"]),
    # Anything but. Of an array, one other value is enough.
    (
        [{"anything-but": ["rugby", "tennis"]}],
        ["baseball", "football", "Rugby", ["rugby", "baseball"], 5, [None]],
        ["rugby", "tennis", ["rugby"], ["rugby", "tennis"], []],
    ),
    ([{"anything-but": "rugby"}], ["tennis", "rugby "], ["rugby"]),
    ([{"anything-but": [100, 500]}], [101, 100.1, [100, 50], "100", "a"], [100, 500, 100.0, [100], [500, 100]]),
    ([{"anything-but": 100}], [99, "100"], [100, 1e2]),
    ([{"anything-but": "100"}], [100, "10"], ["100"]),
    (
        [{"anything-but": {"prefix": "order-"}}],
        ["data-entry", "order_number", "Order-1", 5, ["order-1", "x"]],
        ["order-cancelled", "order-", ["order-1", "order-2"]],
    ),
    ([{"anything-but": {"wildcard": "a*z"}}], ["ab", "za", 7, ["az", "b"]], ["az", "abcz", ["az"]]),
    ([{"anything-but": ["a"]}, "a"], ["a", "b"], []),
    # Numeric comparisons.
    ([{"numeric": ["=", 301.5]}], [301.5, [1, 301.5]], ["301.5", 301, 302]),
    ([{"numeric": ["<", 0]}], [-1, -0.00001, -1e9, [5, -5]], [0, 1, "-1", -1e10]),
    ([{"numeric": ["<=", 0]}], [0, -7, 0.000001], [0.00001, 1]),
    ([{"numeric": [">", 100]}], [100.00001, 101, 1e9, [1, 101]], [100, 99, "101", 100.000001, 1000000001]),
    ([{"numeric": [">=", 100]}], [100, 101], [99.99999, "100"]),
    ([{"numeric": [">", 0, "<=", 150]}], [0.00001, 1, 150], [0, 150.00001, -1, 151, "1"]),
    ([{"numeric": [">=", 0, "<", 150]}], [0, 149.99999], [150, -0.00001]),
    ([{"numeric": [">", -5, "<", -4]}], [-4.5], [-5, -4, 4.5]),
    ([{"numeric": [">=", -1000000000, "<=", 1000000000]}], [0, 1e9, -1e9], [1e9 + 1, "0"]),
    ([{"numeric": ["<", 10]}, {"numeric": [">", 20]}], [9, 21, [15, 25]], [10, 15, 20]),
    # Exists.
    ([{"exists": True}], ["a", 0, ["a"], [False], [1, None]], [[], [None], [""]]),
    ([{"exists": False}], [[]], ["a", 0, ["a"], [None]]),
    ([{"exists": False}, "a"], ["a", []], ["b"]),
    # IP addresses.
    (
        [{"cidr": "10.0.0.0/24"}],
        ["10.0.0.0", "10.0.0.255", ["192.168.0.1", "10.0.0.7"]],
        ["10.1.1.0", "10.0.1.0", "10.0.0", "host", "", "10.0.0.1/32", 10, "::1", "1" * 100],
    ),
    ([{"cidr": "10.0.0.77/24"}], ["10.0.0.1"], ["10.0.1.77"]),
    ([{"cidr": "0.0.0.0/0"}], ["255.255.255.255"], ["::1", "256.0.0.1"]),
    ([{"cidr": "10.0.0.1/32"}], ["10.0.0.1"], ["10.0.0.2"]),
    (
        [{"cidr": "2001:db8::/32"}],
        ["2001:db8::1", "2001:DB8:ffff::", "2001:0db8:0:0:0:0:0:1"],
        ["2001:db9::", "10.0.0.1"],
    ),
    ([{"cidr": "::1/128"}], ["::1", "0:0:0:0:0:0:0:1"], ["::2"]),
    # Wildcards.
    (
        [{"wildcard": "order.*.created"}],
        ["order.eu.created", "order..created"],
        ["order.created", "order.eu.createdx", 1],
    ),
    ([{"wildcard": "*.png"}], [".png", "a.b.png"], ["png", "a.png.zip"]),
    ([{"wildcard": "a*"}], ["a", "abc", ["b", "ab"]], ["ba", "A"]),
    ([{"wildcard": "*"}], ["a\nb", "*"], [5]),
    ([{"wildcard": "plain"}], ["plain"], ["plainer", "pl"]),
    ([{"wildcard": "a*b*c*d"}], ["abcd", "axbcbxcxd"], ["abdc", "abc", "acbd"]),
    ([{"wildcard": "ab*ba"}], ["abba", "abxba"], ["aba"]),
    ([{"wildcard": "*aa*aa*"}], ["aaaa", "xaaxaax"], ["aaa"]),
    ([{"wildcard": "2\\*3*"}], ["2*3=6"], ["2x3=6", "23"]),
    # Several kinds behind one name: one of them is enough.
    (["a", 5, True, {"prefix": "z"}, {"numeric": [">", 90]}], ["a", 5, [True], "zz", 91], ["b", 6, [False], "yz", 90]),
]
ACCEPTED = [(conditions, value) for conditions, values, _ in CONDITIONS for value in values]
NOT_ACCEPTED = [(conditions, value) for conditions, _, values in CONDITIONS for value in values]
for_both = pytest.mark.parametrize("scope", [ATTRIBUTES, BODY])


def accepts_value(conditions: list[Any], value: object, scope: Scope) -> bool:
    if scope == BODY:
        return accepts_body({"name": conditions}, {"other": 1, "name": value})
    if value == "":  # as a String attribute it cannot be sent
        value = [value]
    return accepts({"name": conditions}, {"other": 1, "name": value})


@for_both
@pytest.mark.parametrize(("conditions", "value"), ACCEPTED, ids=shown)
def test_values_that_are_accepted(conditions: list[Any], value: object, scope: Scope) -> None:
    assert accepts_value(conditions, value, scope)


@for_both
@pytest.mark.parametrize(("conditions", "value"), NOT_ACCEPTED, ids=shown)
def test_values_that_are_not_accepted(conditions: list[Any], value: object, scope: Scope) -> None:
    assert not accepts_value(conditions, value, scope)


@for_both
@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["a"], False),
        ([None], False),
        ([{"prefix": ""}], False),
        ([{"anything-but": "a"}], False),
        ([{"anything-but": {"prefix": "a"}}], False),
        ([{"numeric": ["<", 0]}], False),
        ([{"wildcard": "*"}], False),
        ([{"exists": True}], False),
        ([{"exists": False}], True),
        (["a", {"exists": False}], True),
        ([{"anything-but": "a"}, {"exists": False}], True),
    ],
    ids=shown,
)
def test_a_name_that_the_message_lacks(conditions: list[Any], expected: bool, scope: Scope) -> None:
    given = {"another": "a"}
    policy = {"name": conditions}
    assert (accepts(policy, given) if scope == ATTRIBUTES else accepts_body(policy, given)) == expected


# Guide, "Example filter policies".
TRANSACTION = {
    "customer_interests": ["soccer", "rugby", "hockey"],
    "store": "example_corp",
    "event": "order_placed",
    "price_usd": 210.75,
}


@for_both
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"store": ["example_corp"]}, True),
        ({"store": ["example_corp"], "event": ["order_placed"], "price_usd": [{"numeric": [">=", 100]}]}, True),
        (
            {
                "store": ["example_corp"],
                "event": [{"anything-but": "order_cancelled"}],
                "customer_interests": ["rugby", "football", "baseball"],
                "price_usd": [{"numeric": [">=", 100]}],
            },
            True,
        ),
        ({"store": ["example_corp"], "event": ["order_cancelled"]}, False),
        ({"store": ["example_corp"], "encrypted": [False]}, False),
        ({"store": ["example_corp"], "encrypted": [{"exists": False}]}, True),
        ({"customer_interests": ["rugby"], "price_usd": [{"numeric": [">", 100]}]}, True),
        ({"customer_interests": ["golf"], "price_usd": [{"numeric": [">", 100]}]}, False),
        ({"store": ["a", "b"], "event": ["order_placed"], "price_usd": [210.75]}, False),
        # Guide, "AND/OR logic".
        ({"store": ["example_corp"], "$or": [{"event": ["order_placed"]}, {"price_usd": [1]}]}, True),
        ({"store": ["example_corp"], "$or": [{"event": ["x"]}, {"price_usd": [210.75]}]}, True),
        ({"store": ["example_corp"], "$or": [{"event": ["x"]}, {"price_usd": [1]}]}, False),
        ({"store": ["x"], "$or": [{"event": ["order_placed"]}, {"price_usd": [210.75]}]}, False),
        ({"$or": [{"store": ["x"]}, {"event": ["order_placed"], "price_usd": [1]}]}, False),
        ({"$or": [{"store": ["x"]}, {"event": ["order_placed"], "price_usd": [210.75]}]}, True),
        ({"$or": [{"store": ["x"]}, {"event": ["x"]}, {"customer_interests": ["hockey"]}]}, True),
        ({"$or": [{"store": ["x"]}, {"$or": [{"event": ["order_placed"]}, {"event": ["y"]}]}]}, True),
        ({"$or": [{"store": ["x"]}, {"$or": [{"event": ["x"]}, {"event": ["y"]}]}]}, False),
        ({"$or": [{"none": [{"exists": False}]}, {"store": ["x"]}]}, True),
        ({"$or": [{"store": ["example_corp"]}, {"store": ["x"]}], "store": [{"prefix": "ex"}]}, True),
        ({"$or": [{"store": ["example_corp"]}, {"store": ["x"]}], "store": [{"prefix": "x"}]}, False),
    ],
    ids=shown,
)
def test_policies_of_several_names(policy: Policy, expected: bool, scope: Scope) -> None:
    given = accepts(policy, TRANSACTION) if scope == ATTRIBUTES else accepts_body(policy, TRANSACTION)
    assert given == expected


# (policy, attributes, expected)
OF_ATTRIBUTES: list[tuple[Policy, dict[str, object], bool]] = [
    # No attributes: no policy accepts. Guide, "Key matching": an empty set of attributes does not match.
    ({"a": ["x"]}, {}, False),
    ({"a": [{"exists": False}]}, {}, False),
    ({"$or": [{"a": [{"exists": False}]}, {"b": [{"exists": False}]}]}, {}, False),
    # Binary is ignored, but it is an attribute.
    ({"a": [{"exists": True}]}, {"a": b"x"}, False),
    ({"a": [{"exists": False}]}, {"a": b"x"}, True),
    ({"a": ["x"]}, {"a": b"x"}, False),
    ({"a": [{"anything-but": "y"}]}, {"a": b"x"}, False),
    ({"a": ["x"]}, {"a": "x", "b": b"\xff\x00"}, True),
    ({"b": [{"exists": False}]}, {"a": b"x"}, True),
    # Types and their labels.
    ({"a": [100]}, {"a": ("Number", "100")}, True),
    ({"a": [100]}, {"a": ("Number.int", "1e2")}, True),
    ({"a": [100]}, {"a": ("Number", "+100.00")}, True),
    ({"a": [301.5]}, {"a": ("Number", "3.015e2")}, True),
    ({"a": [0.5]}, {"a": ("Number", ".5")}, True),
    ({"a": [100]}, {"a": ("String", "100")}, False),
    ({"a": ["100"]}, {"a": ("String", "100")}, True),
    ({"a": ["100"]}, {"a": ("String.label", "100")}, True),
    ({"a": ["100"]}, {"a": ("Number", "100")}, False),
    ({"a": [{"numeric": [">", 99]}]}, {"a": ("Number", "1E2")}, True),
    ({"a": [{"numeric": [">", 99]}]}, {"a": ("Number", "1e126")}, False),
    ({"a": [{"anything-but": 1}]}, {"a": ("Number", "1e126")}, True),
    ({"a": [1e20]}, {"a": ("Number", "100000000000000000000")}, True),
    ({"a": [1e14]}, {"a": ("Number", "1000000000")}, False),
    ({"a": [99.99999]}, {"a": ("Number", "99.999999999999999999999999999999999")}, True),
    ({"a": [-0.00001]}, {"a": ("Number", "-0.000000000000000000000000000000001")}, True),
    ({"a": [1]}, {"a": ("Number", "NaN")}, False),
    # Arrays. Guide, "Message attribute data types".
    ({"a": ["x", "y"]}, {"a": ("String.Array", '["x"]')}, True),
    ({"a": [5]}, {"a": ("String.Array", '["x", 5, true]')}, True),
    ({"a": [True]}, {"a": ("String.Array", '["x", 5, true]')}, True),
    ({"a": [None]}, {"a": ("String.Array", "[null]")}, True),
    ({"a": ["5"]}, {"a": ("String.Array", "[5]")}, False),
    ({"a": ['["x"]']}, {"a": ("String.Array", '["x"]')}, False),
    ({"a": ["y"]}, {"a": ("String.Array", '[["x"], ["y"]]')}, True),
    ({"a": ["y"]}, {"a": ("String.Array", '[{"a": "y"}]')}, False),
    ({"a": [{"exists": False}]}, {"a": ("String.Array", "[]")}, True),
    ({"a": [{"anything-but": [100, 500]}]}, {"a": ("Number.Array", "[100, 50]")}, True),
    ({"a": [{"anything-but": [100, 50]}]}, {"a": ("Number.Array", "[100, 50]")}, False),
    # Invalid attributes: the message is filtered out, whatever the policy asks for.
    ({"a": ["x"]}, {"a": "x", "b": ("String.Array", "x")}, False),
    ({"a": ["x"]}, {"a": "x", "b": ("String.Array", '{"a": 1}')}, False),
    ({"a": [{"exists": False}]}, {"b": ("String.Array", '["x"')}, False),
    # Quotes and backslashes must be escaped. Guide, "Filter policy constraints" ("double-escape").
    ({"a": ["x"]}, {"a": "x", "b": '{"trace": 1}'}, False),
    ({"a": ["x"]}, {"a": "x", "b": '{\\"trace\\": 1}'}, True),
    ({"b": ['{"trace": 1}']}, {"b": '{\\"trace\\": 1}'}, True),
    ({"a": ['say "hi"']}, {"a": 'say "hi"'}, False),
    ({"a": ['say "hi"']}, {"a": 'say \\"hi\\"'}, True),
    ({"a": ["c:\\dir"]}, {"a": "c:\\\\dir"}, True),
    ({"a": ["c:\\dir"]}, {"a": "c:\\dir"}, False),
    ({"a": [{"prefix": "two\nlines\\"}]}, {"a": "two\nlines\\\\"}, True),
    ({"a": ["x"]}, {"a": '"'}, False),
    # Names are taken literally.
    ({"a.b": ["x"]}, {"a.b": "x"}, True),
    ({"a.b": ["x"], "a.c": ["y"]}, {"a.b": ["x"], "a.c": ["y"]}, True),
    ({"a.b": ["x"]}, {"a": "x"}, False),
    ({"A": ["x"]}, {"a": "x"}, False),
    ({"a": ["1"], "b": ["2"], "c": ["3"], "d": ["4"], "e": ["5"]}, dict(zip("abcde", "12345", strict=True)), True),
    ({"a": ["1"], "b": ["2"], "c": ["3"], "d": ["4"], "e": ["5"]}, dict(zip("abcde", "12344", strict=True)), False),
    # $or that is none is a name. Guide, "AND/OR logic".
    ({"$or": ["x"]}, {"$or": "x"}, True),
    ({"$or": ["x"]}, {"a": "x"}, False),
    ({"$or": [{"prefix": "x"}]}, {"$or": "xy"}, True),
    ({"$or": [{"prefix": "x"}, {"suffix": "z"}]}, {"$or": "yz"}, True),
    ({"$or": [{"prefix": "x"}, {"suffix": "z"}]}, {"prefix": "x"}, False),
]


@pytest.mark.parametrize(("policy", "attributes", "expected"), OF_ATTRIBUTES, ids=shown)
def test_message_attributes(policy: Policy, attributes: dict[str, object], expected: bool) -> None:
    assert accepts(policy, attributes) == expected


EMPLOYEES = {
    "employees": [
        {"first": "John", "last": "Doe", "pets": [{"kind": "cat", "age": 3}, {"kind": "dog", "age": 9}]},
        {"first": "Anna", "last": "Smith", "pets": [{"kind": "dog", "age": 3}]},
        {"first": "Peter", "last": "Jones"},
    ]
}
# (policy, body, expected)
OF_BODIES: list[tuple[Policy, object, bool]] = [
    # What is no JSON object matches nothing.
    ({"a": [{"exists": False}]}, "not JSON", False),
    ({"a": [{"exists": False}]}, "", False),
    ({"a": [{"exists": False}]}, "[]", False),
    ({"a": ["x"]}, '[{"a": "x"}]', False),
    ({"a": [{"exists": False}]}, '"a"', False),
    ({"a": [{"exists": False}]}, "null", False),
    ({"a": ["x"]}, '{"a": "x"} ', True),
    ({"a": ["x"]}, '{"a": "x"', False),
    ({"a": ["x"]}, "{'a': 'x'}", False),
    ({"a": ["\ud83d\ude00"]}, '{"a": "\\ud83d\\ude00"}', True),
    ({"a": [{"exists": False}]}, "{}", True),
    # JSON's types.
    ({"a": [True]}, {"a": True}, True),
    ({"a": [True]}, {"a": 1}, False),
    ({"a": [1]}, {"a": True}, False),
    ({"a": ["true"]}, {"a": True}, False),
    ({"a": [False]}, {"a": False}, True),
    ({"a": [0]}, {"a": False}, False),
    ({"a": [None]}, {"a": None}, True),
    ({"a": [None]}, {"b": None}, False),
    ({"a": [301.5]}, '{"a": 3.015e2}', True),
    ({"a": [{"numeric": ["=", 301.5]}]}, '{"a": 3.015E2}', True),
    ({"a": [{"numeric": ["<", 1]}]}, {"a": 1e-300}, True),
    ({"a": [{"anything-but": "x"}]}, {"a": None}, True),
    ({"a": [{"anything-but": "x"}]}, {"a": True}, True),
    ({"a": ['say "hi"']}, {"a": 'say "hi"'}, True),
    # Exists: the value must be neither null nor empty, and a leaf. Guide, "Key matching".
    ({"a": [{"exists": True}]}, {"a": "x"}, True),
    ({"a": [{"exists": True}]}, {"a": 0}, True),
    ({"a": [{"exists": True}]}, {"a": False}, True),
    ({"a": [{"exists": True}]}, {"a": None}, False),
    ({"a": [{"exists": True}]}, {"a": ""}, False),
    ({"a": [{"exists": True}]}, {"a": []}, False),
    ({"a": [{"exists": True}]}, {"a": {"b": 1}}, False),
    ({"a": [{"exists": True}]}, {"a": [{"b": 1}]}, False),
    ({"a": [{"exists": False}]}, {"a": None}, False),
    ({"a": [{"exists": False}]}, {"a": ""}, False),
    ({"a": [{"exists": False}]}, {"a": []}, True),
    ({"a": [{"exists": False}]}, {"a": {"b": 1}}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a": 1}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a": {"c": 1}}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a": {"b": 1}}, False),
    # Nested names.
    ({"a": {"b": ["x"]}}, {"a": {"b": "x"}}, True),
    ({"a": {"b": ["x"]}}, {"a": {"b": "y"}}, False),
    ({"a": {"b": ["x"]}}, {"a": {"b": ["y", "x"]}}, True),
    ({"a": {"b": ["x"]}}, {"b": "x"}, False),
    ({"a": {"b": ["x"]}}, {"a": "x"}, False),
    ({"a": ["x"]}, {"a": {"a": "x"}}, False),
    ({"a": {"b": {"c": {"d": [1]}}}}, {"a": {"b": {"c": {"d": 1}}}}, True),
    ({"a": {"b": {"c": {"d": [1]}}}}, {"a": {"b": {"d": 1}}}, False),
    ({"a": {"b": ["x"], "c": ["y"]}}, {"a": {"b": "x", "c": "y"}}, True),
    ({"a": {"b": ["x"], "c": ["y"]}}, {"a": {"b": "x", "c": "z"}}, False),
    ({"a": {"b": ["x"]}, "d": [1]}, {"a": {"b": "x"}, "d": 1}, True),
    ({"a": {"b": ["x"]}, "d": [1]}, {"a": {"b": "x"}, "d": 2}, False),
    # Dots: a literal key and a nested one are the same name.
    ({"a.b": ["x"]}, {"a": {"b": "x"}}, True),
    ({"a.b": ["x"]}, {"a.b": "x"}, True),
    ({"a": {"b": ["x"]}}, {"a.b": "x"}, True),
    ({"a": {"b.c": ["x"]}}, {"a.b": {"c": "x"}}, True),
    ({"a.b.c": ["x"]}, {"a": {"b.c": "x"}}, True),
    ({"a.b": ["x"]}, {"a": {"b": "y"}, "a.b": "x"}, True),
    ({"a.b": ["x"]}, {"a": "x", "b": "x"}, False),
    ({"a.b": ["x"]}, {"ab": "x"}, False),
    ({"ab.c": ["x"]}, {"a": {"": {"c": "x"}}}, False),
    ({"ab.c": ["x"]}, {"ab": {"c": "x"}, "a": 1, "": 2}, True),
    ({"a.b": [{"exists": False}]}, {"a": {"b": "x"}}, False),
    ({"a.": ["x"]}, {"a": {"": "x"}}, True),
    ({"": ["x"]}, {"": "x"}, True),
    # Arrays are passed over; any element will do.
    ({"a": ["x"]}, {"a": ["y", "x"]}, True),
    ({"a": ["x"]}, {"a": [["y"], [["x"]]]}, True),
    ({"a": ["x"]}, {"a": []}, False),
    ({"a": ["x"]}, {"a": ["y", {"a": "x"}]}, False),
    ({"a": {"b": ["x"]}}, {"a": [{"b": "y"}, {"b": "x"}]}, True),
    ({"a": {"b": ["x"]}}, {"a": [[{"b": "y"}], [{"b": "x"}]]}, True),
    ({"a": {"b": ["x"]}}, {"a": [1, {"b": "x"}]}, True),
    ({"a": {"b": ["x"]}}, {"a": [{"b": "y"}, {"c": "x"}]}, False),
    ({"a": {"b": [{"exists": False}]}}, {"a": [{"c": 1}, {"b": 1}]}, False),
    ({"a": {"b": [{"exists": False}]}}, {"a": [{"c": 1}, {"d": 1}]}, True),
    ({"a": {"b": [{"anything-but": "x"}]}}, {"a": [{"b": "x"}, {"b": "y"}]}, True),
    ({"a": {"b": [{"anything-but": "x"}]}}, {"a": [{"b": "x"}, {"c": "y"}]}, False),
    # Two names in one array of objects must hold for one element. Event Ruler, "JSON Array Matching".
    ({"employees": {"first": ["Anna"]}}, EMPLOYEES, True),
    ({"employees": {"first": ["Anna"], "last": ["Smith"]}}, EMPLOYEES, True),
    ({"employees": {"first": ["Anna"], "last": ["Jones"]}}, EMPLOYEES, False),
    ({"employees": {"first": ["Anna", "Peter"], "last": ["Jones"]}}, EMPLOYEES, True),
    ({"employees.first": ["Anna"], "employees.last": ["Jones"]}, EMPLOYEES, False),
    ({"employees": {"first": ["John"], "pets": {"kind": ["dog"]}}}, EMPLOYEES, True),
    ({"employees": {"first": ["Peter"], "pets": {"kind": ["dog"]}}}, EMPLOYEES, False),
    ({"employees": {"pets": {"kind": ["dog"], "age": [3]}}}, EMPLOYEES, True),
    ({"employees": {"first": ["John"], "pets": {"kind": ["dog"], "age": [3]}}}, EMPLOYEES, False),
    ({"employees": {"first": ["John"], "pets": {"kind": ["dog"], "age": [9]}}}, EMPLOYEES, True),
    ({"employees": {"first": ["Peter"], "boss": [{"exists": False}]}}, EMPLOYEES, True),
    ({"employees": {"first": ["Peter"], "pets": {"kind": [{"exists": False}]}}}, EMPLOYEES, False),
    ({"a": {"b": ["x"], "c": ["y"]}}, {"a": [[{"b": "x"}], [{"c": "y"}]]}, False),
    ({"a": {"b": ["x"], "c": ["y"]}}, {"a": [[{"b": "x", "c": "y"}], [{"c": "z"}]]}, True),
    ({"a": {"b": ["x"], "c": ["y"]}}, {"a": {"b": [{"b": 1}, "x"], "c": [{"c": 1}, "y"]}}, True),
    ({"a": {"b": ["x"], "c": ["y"]}}, {"a": [{"b": "x"}], "a.c": "y"}, True),
    ({"a": [1], "a.b": [2]}, {"a": [1, {"b": 2}]}, True),
    ({"a": [1], "a.b": [2]}, {"a": [[1], [{"b": 2}]]}, False),
    ({"a": {"b": [1]}, "c": {"d": [2]}}, {"a": [{"b": 1}, {"b": 0}], "c": [{"d": 0}, {"d": 2}]}, True),
    ({"a": {"$or": [{"b": ["x"]}, {"c": ["z"]}], "c": ["y", "z"]}}, {"a": [{"b": "x"}, {"c": "y"}]}, False),
    ({"a": {"$or": [{"b": ["x"]}, {"c": ["z"]}], "c": ["y", "z"]}}, {"a": [{"b": "x"}, {"c": "z"}]}, True),
    # $or inside.
    ({"a": {"$or": [{"b": [1]}, {"c": [2]}]}}, {"a": {"c": 2}}, True),
    ({"a": {"$or": [{"b": [1]}, {"c": [2]}]}}, {"c": 2}, False),
    ({"d": [0], "a": {"$or": [{"b": [1]}, {"c": [2]}]}}, {"d": 0, "a": {"b": 1}}, True),
    ({"d": [0], "a": {"$or": [{"b": [1]}, {"c": [2]}]}}, {"d": 1, "a": {"b": 1}}, False),
    ({"$or": [{"a": {"b": [1]}}, {"c": [2]}]}, {"a": {"b": 1}}, True),
    ({"$or": {"a": [1]}}, {"$or": {"a": 1}}, True),
    ({"$or": {"a": [1]}}, {"a": 1}, False),
]


@pytest.mark.parametrize(("policy", "body", "expected"), OF_BODIES, ids=shown)
def test_message_bodies(policy: Policy, body: object, expected: bool) -> None:
    assert accepts_body(policy, body) == expected


@pytest.mark.parametrize("text", ["", "{}", " { } "])
@for_both
def test_an_empty_policy_accepts_everything(text: str, scope: Scope) -> None:
    assert compile_filter(text, scope) is None


def test_a_scope_looks_at_its_own_part_only() -> None:
    message = FilterInput([attribute("a", "attribute")], '{"a": "body"}')
    for scope, value in ((ATTRIBUTES, "attribute"), (BODY, "body")):
        assert compiled({"a": [value]}, scope).matches(message)
        assert not compiled({"a": ["other"]}, scope).matches(message)


def test_a_message_is_read_once_and_only_when_asked() -> None:
    message = FilterInput([attribute("a", "x")], '{"a": "y"}')
    assert not vars(message).keys() & {"attribute_fields", "body_fields"}
    compiled({"a": ["x"]}, ATTRIBUTES).matches(message)
    assert "body_fields" not in vars(message)
    compiled({"a": ["y"]}, BODY).matches(message)
    assert message.body_fields is message.body_fields
    assert message.attribute_fields is message.attribute_fields


def test_a_policy_cannot_be_changed() -> None:
    filters = compiled({"a": ["x"]}, BODY)
    with pytest.raises(AttributeError):
        filters.scope = ATTRIBUTES  # type: ignore[misc]


# What is refused: the text behind "Invalid parameter: " up to where AWS quotes the source.
def expression(operand: object) -> Policy:
    return {"key": [operand]}


ONE_KEY = "Only one key allowed in match expression"
MIXED = "Inside anything but list, either all values are number or string, mixed type is not supported"
UNSUPPORTED = "Inside anything but list, start|null|boolean is not supported."
RANGE = "Value must be between -1.0E9 and 1.0E9, inclusive"
REFUSED: list[tuple[object, str]] = [
    ("{", "failed to parse JSON."),
    ("{invalidjson}", "failed to parse JSON."),
    ("{'a': ['x']}", "failed to parse JSON."),
    ('{"a": ["x"]} more', "failed to parse JSON."),
    ('{"a": [NaN]}', "failed to parse JSON."),
    ("\ud800", "failed to parse JSON."),
    ([], "Filter is not an object"),
    ('"text"', "Filter is not an object"),
    ("null", "Filter is not an object"),
    ({"key": "value"}, '"key" must be an object or an array'),
    ({"key": 5}, '"key" must be an object or an array'),
    ({"key": None}, '"key" must be an object or an array'),
    ({"key": True}, '"key" must be an object or an array'),
    ({"key": []}, "Empty arrays are not allowed"),
    ({"key": [[]]}, "Match value must be String, number, true, false, or null"),
    ({"key": [["value"]]}, "Match value must be String, number, true, false, or null"),
    (expression({}), "Match expression name not found"),
    (expression({"unknown": 1}), "Unrecognized match type unknown"),
    (expression({"Prefix": "a"}), "Unrecognized match type Prefix"),
    (expression({"prefix": 1}), "prefix match pattern must be a string"),
    (expression({"prefix": ["a"]}), "prefix match pattern must be a string"),
    (expression({"prefix": None}), "prefix match pattern must be a string"),
    (expression({"prefix": "a", "suffix": "b"}), ONE_KEY),
    (expression({"suffix": 1}), "suffix match pattern must be a string"),
    (expression({"suffix": "a", "prefix": "b"}), ONE_KEY),
    (expression({"equals-ignore-case": 1}), "equals-ignore-case match pattern must be a string"),
    (expression({"equals-ignore-case": ["a"]}), "equals-ignore-case match pattern must be a string"),
    (expression({"equals-ignore-case": "a", "prefix": "b"}), ONE_KEY),
    (expression({"exists": "true"}), "exists match pattern must be either true or false."),
    (expression({"exists": None}), "exists match pattern must be either true or false."),
    (expression({"exists": 1}), "exists match pattern must be either true or false."),
    (expression({"exists": True, "prefix": "a"}), ONE_KEY),
    # cidr: what is no string gets the text of prefix.
    (expression({"cidr": ["10.0.0.0/24"]}), "prefix match pattern must be a string"),
    (expression({"cidr": 10}), "prefix match pattern must be a string"),
    (expression({"cidr": "10.0.0.0"}), "Malformed CIDR, one '/' required"),
    (expression({"cidr": "10.0.0.0/8/8"}), "Malformed CIDR, one '/' required"),
    (expression({"cidr": "10.0.0.0/x"}), "Malformed CIDR, mask bits must be an integer"),
    (expression({"cidr": "10.0.0.0/"}), "Malformed CIDR, mask bits must be an integer"),
    (expression({"cidr": "10.0.0.0/-1"}), "Malformed CIDR, mask bits must not be negative"),
    (expression({"cidr": "10.0.0.0/33"}), "IPv4 mask bits must be < 33"),
    (expression({"cidr": "2001:db8::/129"}), "IPv6 mask bits must be < 129"),
    (expression({"cidr": "host/8"}), "Nonstandard IP address: host"),
    (expression({"cidr": "10.0.0/8"}), "Nonstandard IP address: 10.0.0"),
    (expression({"cidr": "10.0.0.0/8", "prefix": "a"}), ONE_KEY),
    # anything-but
    (expression({"anything-but": {"suffix": "a"}}), "Unsupported anything-but pattern: suffix"),
    (expression({"anything-but": {"exists": True}}), "Unsupported anything-but pattern: exists"),
    (expression({"anything-but": {}}), "Anything-But expression name not found"),
    (expression({"anything-but": {"prefix": 1}}), "prefix match pattern must be a string"),
    (expression({"anything-but": {"prefix": ["a"]}}), "prefix match pattern must be a string"),
    (expression({"anything-but": {"prefix": ""}}), "Null prefix not allowed"),
    (expression({"anything-but": {"prefix": "a", "suffix": "b"}}), ONE_KEY),
    (expression({"anything-but": {"prefix": "a"}, "prefix": "b"}), ONE_KEY),
    (expression({"anything-but": {"wildcard": 1}}), "wildcard match pattern must be a string"),
    (expression({"anything-but": None}), "Value of anything-but must be an array or single string/number value."),
    (expression({"anything-but": True}), "Value of anything-but must be an array or single string/number value."),
    (expression({"anything-but": []}), MIXED),
    (expression({"anything-but": ["a", 1]}), MIXED),
    (expression({"anything-but": [1, "a"]}), MIXED),
    (expression({"anything-but": ["a", None]}), UNSUPPORTED),
    (expression({"anything-but": [True]}), UNSUPPORTED),
    (expression({"anything-but": [["a"]]}), UNSUPPORTED),
    (expression({"anything-but": [{"prefix": "a"}]}), UNSUPPORTED),
    (expression({"anything-but": ["a"], "prefix": "b"}), "Too many elements in numeric expression"),
    (expression({"anything-but": 1000000001}), RANGE),
    (expression({"anything-but": [1, -1000000001]}), RANGE),
    # numeric
    (expression({"numeric": 1}), "Value of numeric must be an array."),
    (expression({"numeric": "="}), "Value of numeric must be an array."),
    (expression({"numeric": {"=": 1}}), "Value of numeric must be an array."),
    (expression({"numeric": []}), "Invalid member in numeric match: ]"),
    (expression({"numeric": [5, ">"]}), "Invalid member in numeric match: 5"),
    (expression({"numeric": [None, 1]}), "Invalid member in numeric match: null"),
    (expression({"numeric": [True, 1]}), "Invalid member in numeric match: true"),
    (expression({"numeric": ["<>", 1]}), "Unrecognized numeric range operator: <>"),
    (expression({"numeric": ["==", 1]}), "Unrecognized numeric range operator: =="),
    (expression({"numeric": ["]", 1]}), "Unrecognized numeric range operator: ]"),
    (expression({"numeric": ["="]}), "Value of equals must be numeric"),
    (expression({"numeric": ["=", "1"]}), "Value of equals must be numeric"),
    (expression({"numeric": ["=", True]}), "Value of equals must be numeric"),
    (expression({"numeric": ["<"]}), "Value of < must be numeric"),
    (expression({"numeric": ["<", "1"]}), "Value of < must be numeric"),
    (expression({"numeric": ["<=", None]}), "Value of <= must be numeric"),
    (expression({"numeric": [">", "1"]}), "Value of > must be numeric"),
    (expression({"numeric": [">=", [1]]}), "Value of >= must be numeric"),
    (expression({"numeric": ["=", 1, 2]}), "Too many elements in numeric expression"),
    (expression({"numeric": ["<", 1, ">", 0]}), "Too many elements in numeric expression"),
    (expression({"numeric": ["<=", 1, ">", 0]}), "Too many elements in numeric expression"),
    (expression({"numeric": ["=", 1], "prefix": "a"}), "Too many elements in numeric expression"),
    (expression({"numeric": [">", 1, 2]}), "Bad value in numeric range: 2"),
    (expression({"numeric": [">", 1, None]}), "Bad value in numeric range: null"),
    (expression({"numeric": [">", 1, ">", 2]}), "Bad numeric range operator: >"),
    (expression({"numeric": [">=", 1, "=", 2]}), "Bad numeric range operator: ="),
    (expression({"numeric": [">", 1, "<"]}), "Value of < must be numeric"),
    (expression({"numeric": [">", 1, "<=", "2"]}), "Value of <= must be numeric"),
    (expression({"numeric": [">", 1, "<", 2, 3]}), "Too many terms in numeric range expression"),
    (expression({"numeric": [">", 1, "<", 30, False]}), "Too many terms in numeric range expression"),
    (expression({"numeric": [">", 30, "<", 1]}), "Bottom must be less than top"),
    (expression({"numeric": [">", 1, "<", 1]}), "Bottom must be less than top"),
    (expression({"numeric": [">=", 1, "<=", 1]}), "Bottom must be less than top"),
    (expression({"numeric": [">=", 1, "<=", 1.000001]}), "Bottom must be less than top"),
    (expression({"numeric": ["=", 1000000001]}), RANGE),
    (expression({"numeric": ["<", -1000000001]}), RANGE),
    (expression({"numeric": [">", 0, "<", 1e10]}), RANGE),
    # wildcard
    (expression({"wildcard": 1}), "wildcard match pattern must be a string"),
    (expression({"wildcard": ["a*"]}), "wildcard match pattern must be a string"),
    (expression({"wildcard": "a**b"}), "Consecutive wildcard characters at pos 2"),
    (expression({"wildcard": "é**"}), "Consecutive wildcard characters at pos 3"),
    (expression({"wildcard": "a\\b"}), "Invalid escape character at pos 2"),
    (expression({"wildcard": "a\\"}), "Invalid escape character at pos 2"),
    (expression({"wildcard": "a*", "prefix": "b"}), ONE_KEY),
    # $or
    ({"$or": [{}, {}]}, "Empty objects are not allowed"),
    ({"$or": [{"a": ["x"]}, {}]}, "Empty objects are not allowed"),
    ({"$or": [{"a": ["x"]}]}, "Unrecognized match type a"),
    ({"$or": []}, "Empty arrays are not allowed"),
    ({"$or": [{"a": ["x"]}, "y"]}, "Unrecognized match type a"),
    ({"$or": [{"numeric": 123}, {"prefix": "abc"}]}, "Value of numeric must be an array."),
    ({"$or": [{"a": []}, {"b": ["x"]}]}, "Empty arrays are not allowed"),
    ({"$or": "x"}, '"$or" must be an object or an array'),
    # Limits. Guide, "Filter policy constraints".
    ({name: ["x"] for name in "abcdef"}, "Filter policy can not have more than 5 keys"),
    ({"a": ["x"], "$or": [{n: ["x"] for n in "bcdef"}, {"b": ["x"]}]}, "Filter policy can not have more than 5 keys"),
    ({str(n): ["x"] for n in range(5000)}, "Filter policy can not have more than 5 keys"),
    ({"a": list(range(151))}, "Filter policy is too complex"),
    ({"a": list(range(31)), "b": list(range(5))}, "Filter policy is too complex"),
    ({name: [1, 2, 3] for name in "abcde"}, "Filter policy is too complex"),
    ({"$or": [{"a": list(range(100))}, {"b": list(range(51))}]}, "Filter policy is too complex"),
    ({"$or": [{"a": [n]} for n in range(151)]}, "Filter policy is too complex"),
    ({"a": ["x" * 262_144]}, "Filter policy can not be longer than 262144 bytes"),
    ({"a": ["é" * 50_000]}, "Filter policy can not be longer than 262144 bytes"),
]


def refusal(policy: object, scope: Scope) -> str:
    text = policy if isinstance(policy, str) else json.dumps(policy)
    with pytest.raises(PolicyRefused) as caught:
        compile_filter(text, scope)
    return caught.value.reason


@pytest.mark.parametrize(("policy", "text"), REFUSED, ids=shown)
@for_both
def test_policies_that_are_refused(policy: object, text: str, scope: Scope) -> None:
    assert refusal(policy, scope) == f"FilterPolicy: {text}"


@pytest.mark.parametrize(
    "policy", [{"a": {"b": ["x"]}}, {"$or": {"a": ["x"]}}, {"$or": [{"a": {"b": ["x"]}}, {"c": [1]}]}]
)
def test_attributes_are_not_nested(policy: Policy) -> None:
    reason = "Filter policy scope MessageAttributes does not support nested filter policy"
    assert refusal(policy, ATTRIBUTES) == reason
    assert compiled(policy, BODY)


def nested(levels: int, conditions: list[Any]) -> Policy:
    policy: Policy = {"leaf": conditions}
    for level in range(levels - 1):
        policy = {f"level{level}": policy}
    return policy


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ({"a": {}}, "Empty objects are not allowed"),
        ({"a": {"b": "x"}}, '"b" must be an object or an array'),
        ({"a": {"b": []}}, "Empty arrays are not allowed"),
        # 4 values on the third level, 7 on the second: 3 x 4 x 2 x 7 = 168.
        ({"a": {"b": {"c": [1, 2, 3, 4]}}, "d": {"e": [1, 2, 3, 4, 5, 6, 7]}}, "Filter policy is too complex"),
        ({"a": {str(n): [n] for n in range(8)}}, "Filter policy is too complex"),
        ({"a": {str(n): [n] for n in range(5000)}}, "Filter policy is too complex"),
        (nested(151, [1]), "Filter policy is too complex"),
        ('{"a":' * 1000 + "[1]" + "}" * 1000, "Filter policy is too complex"),
        (nested(76, [1, 2]), "Filter policy is too complex"),
        ('{"a":' * 5000 + "[1]" + "}" * 5000, "failed to parse JSON."),
        ('{"$or":[{"a":[1]},' * 500 + '{"b":[1]}' + "]}" * 500, "Filter policy is too complex"),
        ('{"a":' + "[" * 5000 + "]" * 5000 + "}", "failed to parse JSON."),
        ('{"a":' + "[" * 900 + "]" * 900 + "}", "Match value must be String, number, true, false, or null"),
        (
            '{"a": [' + '{"anything-but":' * 900 + "1" + "}" * 900 + "]}",
            "Unsupported anything-but pattern: anything-but",
        ),
    ],
    ids=shown,
)
def test_nested_policies_that_are_refused(policy: object, text: str) -> None:
    assert refusal(policy, BODY) == f"FilterPolicy: {text}"


@pytest.mark.parametrize(
    "policy",
    [
        {"a": list(range(150))},
        {"a": [1, 2, 3], "b": [1], "c": [1, 2]},
        {"a": list(range(30)), "b": list(range(5))},
        {"$or": [{"a": list(range(100))}, {"b": list(range(50))}]},
        {"$or": [{name: ["x"] for name in "abcde"}, {name: ["x"] for name in "fghij"}]},
        {"a": ["x"], "b": ["x"], "c": ["x"], "d": ["x"], "$or": [{"e": ["x"]}, {"f": ["x"]}]},
        {"a": [{"anything-but": [str(n) for n in range(1000)]}]},
        {"a": [123456789012, 1e300]},
        {"a": [{"wildcard": "*a" * 50_000}]},
        {"a": ["x" * 262_000]},
    ],
    ids=shown,
)
@for_both
def test_policies_at_the_limits(policy: Policy, scope: Scope) -> None:
    assert compiled(policy, scope)


@pytest.mark.parametrize(
    "policy",
    [
        {"a": {"b": {"c": [1, 2, 3, 4]}}, "d": {"e": [1, 2, 3]}},  # 3 x 4 x 2 x 3 = 72, the guide's example
        {"a": {name: [1] for name in "bcdefgh"}},
        {"a": {"b": [1], "c": [1], "d": [1]}, "e": [1], "f": [1], "g": [1], "h": [1]},  # only parents are keys
        nested(150, [1]),
    ],
    ids=shown,
)
def test_nested_policies_at_the_limits(policy: Policy) -> None:
    assert compiled(policy, BODY)


def test_the_number_of_policies_is_limited() -> None:
    check_policy_counts(200, 10_000)
    for counts in ((201, 201), (1, 10_001)):
        with pytest.raises(FilterPolicyLimitExceeded):
            check_policy_counts(*counts)


# Nothing that is sent takes long. Each of these would never end, or overflow the stack, if it were done naively.
def test_wildcards_do_not_backtrack() -> None:
    text = "a" * 20_000
    assert not accepts({"a": [{"wildcard": "*a" * 50 + "*b"}]}, {"a": text})
    assert not accepts({"a": [{"wildcard": "*a" * 50 + "b*"}]}, {"a": text})
    assert accepts({"a": [{"wildcard": "*a" * 100_000}]}, {"a": "a" * 100_000})


def test_deep_bodies() -> None:
    deep = "[" * 1000 + '{"b": "x"}' + "]" * 1000
    assert accepts_body({"a": {"b": ["x"]}}, f'{{"a": {deep}}}')
    assert accepts_body({"a": {"b": ["x"], "c": [{"exists": False}]}}, f'{{"a": {deep}}}')
    assert not accepts_body({"a": {"b": ["x"], "c": ["y"]}}, f'{{"a": [{deep}, {{"c": "y"}}]}}')
    assert not accepts_body({"a": [{"exists": False}]}, '{"b": ' + "[" * 100_000 + "]" * 100_000 + "}")
    policy = nested(150, ["x"])
    assert accepts_body(policy, json.dumps(policy))


def test_names_of_many_dots() -> None:
    dots = "." * 100_000
    assert accepts_body({dots: ["x"]}, {dots: "x"})
    body: Policy = {"": "x"}
    for _ in range(900):
        body = {"": body}
    assert not accepts_body({dots: ["x"]}, body)
    assert accepts_body({"." * 900: ["x"]}, body)


def test_conditions_on_a_long_array_of_objects() -> None:
    names = "bcdefgh"
    elements = [{name: 1 for name in names if name != names[n % 7]} for n in range(3000)]
    policy = {"a": {name: [1] for name in names}}
    assert not accepts_body(policy, {"a": elements})
    assert accepts_body(policy, {"a": [*elements, dict.fromkeys(names, 1)]})
    grouped = {"a": [{name: [{"x": 0}, 1] for name in names} for _ in range(500)]}
    assert accepts_body(policy, grouped)
