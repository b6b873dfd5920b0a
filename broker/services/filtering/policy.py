"""Subscription filter policies: their JSON, read and checked once, becomes a test that every published message meets.

A policy is a list of alternatives, more than one only where it says $or; an alternative is a list of names with the test of
each, all of which must hold. Subscribing and publishing go through this module alone. `matches` costs under half a
microsecond for a usual policy; its cost grows with the number of values that the message holds under the policy's names, so
large bodies belong off the event loop.

Source: SNS Developer Guide, "Subscription filter policies" and the pages below it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeGuard

import orjson

from broker.services.filtering.arrays import hold_together
from broker.services.filtering.input import BodyFields, Fields, FilterInput
from broker.services.filtering.limits import check_combinations, check_keys, check_size
from broker.services.filtering.refused import PolicyRefused
from broker.services.filtering.rules import Test, read_conditions, refused

__all__ = ["FilterInput", "FilterPolicy", "Scope", "compile_filter"]

Scope = Literal["MessageAttributes", "MessageBody"]

# fmt: off
_RESERVED: Final = frozenset({
    "exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
    "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case",
    "date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
    "ip-address-in-range", "ip-address-not-in-range",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class FilterPolicy:
    """A compiled policy. Immutable, and shared freely."""

    scope: Scope
    _test: Callable[[Fields], bool] = field(repr=False)

    def matches(self, message: FilterInput) -> bool:
        """Whether the subscription receives the message."""
        fields = message.attribute_fields if self.scope == "MessageAttributes" else message.body_fields
        return fields is not None and self._test(fields)


def compile_filter(policy: str, scope: Scope, *, limited: bool = True) -> FilterPolicy | None:
    """The policy of this JSON text; None if it is empty and accepts every message.

    Raises PolicyRefused with AWS's text up to where AWS quotes the source: "Invalid parameter: " (SetSubscriptionAttributes)
    or "Invalid parameter: Attributes Reason: " (Subscribe) belongs before it. `limited`: by SNS's number of keys.
    """
    check_size(policy)
    if not policy:
        return None
    try:
        document = orjson.loads(policy)
    except orjson.JSONDecodeError:
        raise refused("failed to parse JSON.") from None
    if not isinstance(document, dict):
        raise refused("Filter is not an object")
    if not document:
        return None
    alternatives = _read_object(document, scope, (), 1)
    if limited:
        check_keys(len(document))
        check_keys(max(len(alternative.keys) for alternative in alternatives))
    join = _all_of if scope == "MessageAttributes" else _all_of_body
    tests = [join(alternative.names) for alternative in alternatives]
    return FilterPolicy(scope, tests[0] if len(tests) == 1 else _any_of(tuple(tests)))


Names = tuple[tuple[str, Test], ...]


class _Alternative(NamedTuple):
    names: Names = ()
    keys: frozenset[str] = frozenset()  # top-level keys
    combinations: int = 1


def _read_object(document: dict[str, object], scope: Scope, path: tuple[str, ...], nesting: int) -> list[_Alternative]:
    """The alternatives of an object of the policy, which stands under the keys of `path` and is the nesting-th object."""
    if not document:
        raise refused("Empty objects are not allowed")
    # Every object around it makes at least one combination more: what is refused here would be refused below, but for the
    # depth of the stack.
    check_combinations(nesting)
    alternatives = [_Alternative()]
    for key, value in document.items():
        if key == "$or" and _is_or(value):
            branches: list[_Alternative] = []
            for branch in value:
                branches += _read_object(branch, scope, path, nesting + 1)
        elif isinstance(value, dict):
            if scope == "MessageAttributes":
                # Observed: AWS's text begins so, where the others begin with "FilterPolicy: ".
                raise PolicyRefused("Filter policy scope MessageAttributes does not support nested filter policy")
            branches = _read_object(value, scope, (*path, key), nesting + 1)
        elif isinstance(value, list):
            name = ((".".join((*path, key)), read_conditions(value)),)
            branches = [_Alternative(name, frozenset([*path, key][:1]), len(value) * (len(path) + 1))]
        else:
            raise refused(f'"{key}" must be an object or an array')
        alternatives = [_both(one, other) for one in alternatives for other in branches]
        check_combinations(sum(alternative.combinations for alternative in alternatives))
    return alternatives


def _is_or(value: object) -> TypeGuard[list[dict[str, object]]]:
    """Whether $or is the operator and not a name: two or more objects, none of which uses an operator as a name."""
    return (
        isinstance(value, list)
        and len(value) >= 2
        and all(isinstance(branch, dict) and _RESERVED.isdisjoint(branch) for branch in value)
    )


def _both(one: _Alternative, other: _Alternative) -> _Alternative:
    return _Alternative(one.names + other.names, one.keys | other.keys, one.combinations * other.combinations)


# Names and their tests become one function


def _all_of(names: Names) -> Callable[[Fields], bool]:
    if len(names) == 1:
        name, test = names[0]
        return lambda fields: test(fields[name])
    if len(names) == 2:
        (first, first_test), (second, second_test) = names
        return lambda fields: first_test(fields[first]) and second_test(fields[second])

    def all_hold(fields: Fields) -> bool:
        for name, test in names:  # noqa: SIM110 - a generator would cost more than most tests
            if not test(fields[name]):
                return False
        return True

    return all_hold


def _all_of_body(names: Names) -> Callable[[Fields], bool]:
    """Names below one top-level key may lead through the same array, and then must hold for one element of it."""
    all_hold = _all_of(names)
    by_root: dict[str, list[tuple[str, Test]]] = {}
    for name, test in names:
        by_root.setdefault(name.partition(".")[0], []).append((name, test))
    related = [group for group in by_root.values() if len(group) > 1]
    if not related:
        return all_hold
    return lambda fields: all_hold(fields) and all(_hold_together(fields, group) for group in related)


def _hold_together(fields: Fields, names: list[tuple[str, Test]]) -> bool:
    """Of names whose tests hold one by one. Where none or one leads through an array of objects, there is no more to ask."""
    assert isinstance(fields, BodyFields)
    divided = [(name, test) for name, test in names if name in fields.divided]
    return len(divided) < 2 or hold_together(fields.body, divided)


def _any_of(tests: tuple[Callable[[Fields], bool], ...]) -> Callable[[Fields], bool]:
    return lambda fields: any(test(fields) for test in tests)
