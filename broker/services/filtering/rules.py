"""The conditions of a filter policy: what may stand in the array behind a name, and the test that it becomes.

A test takes all values that a message holds under the name, at once: one call for a value or an array of them. Tests are
compiled once and allocate nothing. Knows neither names nor messages.

Source: SNS Developer Guide, "String value matching", "Numeric value matching", "Key matching". Observed: the texts of the
refusals are those of Event Ruler, the open-source engine of AWS that reads the same language.
"""

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError, ip_address
from typing import Final

from broker.services.filtering.refused import PolicyRefused
from broker.services.filtering.values import NUMBER_MAX, UNITS, Keyword, Leaf, Values, read_leaf, read_number

Test = Callable[[Values], bool]

_LEAST: Final = -NUMBER_MAX * UNITS
_MOST: Final = NUMBER_MAX * UNITS
_NULL: Final = Keyword.NULL
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,9}")
_WILDCARD_TOKEN: Final = re.compile(r"\*\*|\*|\\[*\\]|\\|[^*\\]+")


def read_conditions(conditions: list[object]) -> Test:
    """The test that one of the conditions holds. Raises PolicyRefused."""
    if not conditions:
        raise refused("Empty arrays are not allowed")
    exact: set[Leaf] = set()
    tests: list[Test] = []
    for condition in conditions:
        if isinstance(condition, dict):
            tests.append(_read_expression(condition))
        elif isinstance(condition, list):
            raise refused("Match value must be String, number, true, false, or null")
        else:
            exact.add(read_leaf(condition))
    if exact:
        tests.insert(0, _one_of(exact))
    return tests[0] if len(tests) == 1 else _either(tuple(tests))


def refused(reason: str) -> PolicyRefused:
    return PolicyRefused(f"FilterPolicy: {reason}")


def _read_expression(expression: dict[str, object]) -> Test:
    """{"prefix": …} and its like: one operator with its operand."""
    if not expression:
        raise refused("Match expression name not found")
    operator, operand = next(iter(expression.items()))
    read = _OPERATORS.get(operator)
    if read is None:
        raise refused(f"Unrecognized match type {operator}")
    test = read(operand)
    if len(expression) > 1:
        numeric = operator == "numeric" or (operator == "anything-but" and not isinstance(operand, dict))
        raise refused(
            "Too many elements in numeric expression" if numeric else "Only one key allowed in match expression"
        )
    return test


# The tests: plain loops, because a generator would cost more than most of them
# ruff: noqa: SIM110


def _one_of(allowed: set[Leaf]) -> Test:
    absent_from = frozenset(allowed).isdisjoint
    return lambda values: not absent_from(values)


def _either(tests: tuple[Test, ...]) -> Test:
    def either(values: Values) -> bool:
        for test in tests:
            if test(values):
                return True
        return False

    return either


def _some_text(check: Callable[[str], bool]) -> Test:
    def some_text(values: Values) -> bool:
        for value in values:
            if type(value) is str and check(value):
                return True
        return False

    return some_text


def _starts_with(prefix: str) -> Test:
    def starts_with(values: Values) -> bool:
        for value in values:
            if type(value) is str and value.startswith(prefix):
                return True
        return False

    return starts_with


def _between(least: int, most: int) -> Test:
    def between(values: Values) -> bool:
        for value in values:
            if type(value) is int and least <= value <= most:
                return True
        return False

    return between


def _exists(values: Values) -> bool:
    """The value must be neither null nor empty."""
    for value in values:
        if value is not _NULL and value != "":
            return True
    return False


def _absent(values: Values) -> bool:
    return not values


# The operators


def _read_text(operand: object, operator: str) -> str:
    if not isinstance(operand, str):
        raise refused(f"{operator} match pattern must be a string")
    return operand


def _read_prefix(operand: object) -> Test:
    return _starts_with(_read_text(operand, "prefix"))


def _read_suffix(operand: object) -> Test:
    suffix = _read_text(operand, "suffix")
    return _some_text(lambda value: value.endswith(suffix))


def _read_equals_ignore_case(operand: object) -> Test:
    lowered = _read_text(operand, "equals-ignore-case").lower()
    return _some_text(lambda value: value.lower() == lowered)


def _read_wildcard(operand: object) -> Test:
    return _some_text(_wildcard(_read_text(operand, "wildcard")))


def _read_exists(operand: object) -> Test:
    if operand is True:
        return _exists
    if operand is False:
        return _absent
    raise refused("exists match pattern must be either true or false.")


def _read_cidr(operand: object) -> Test:
    # Observed: AWS's text for what is no string speaks of a prefix.
    address, *masks = _read_text(operand, "prefix").split("/")
    if len(masks) != 1:
        raise refused("Malformed CIDR, one '/' required")
    if not _WHOLE_NUMBER.fullmatch(masks[0]):
        raise refused("Malformed CIDR, mask bits must be an integer")
    bits = int(masks[0])
    if bits < 0:
        raise refused("Malformed CIDR, mask bits must not be negative")
    kind = IPv6Network if ":" in address else IPv4Network
    try:
        network = kind((address, bits), strict=False)
    except NetmaskValueError:
        name, most = ("IPv6", 128) if kind is IPv6Network else ("IPv4", 32)
        raise refused(f"{name} mask bits must be < {most + 1}") from None
    except AddressValueError:
        raise refused(f"Nonstandard IP address: {address}") from None

    def inside(value: str) -> bool:
        try:
            return ip_address(value) in network
        except ValueError:
            return False

    return _some_text(inside)


def _read_anything_but(operand: object) -> Test:
    if isinstance(operand, dict):
        return _read_anything_but_pattern(operand)
    if isinstance(operand, list):
        if any(isinstance(value, bool | dict | list) or value is None for value in operand):
            raise refused("Inside anything but list, start|null|boolean is not supported.")
        if len({isinstance(value, str) for value in operand}) != 1:
            raise refused(
                "Inside anything but list, either all values are number or string, mixed type is not supported"
            )
    elif isinstance(operand, bool) or operand is None:
        raise refused("Value of anything-but must be an array or single string/number value.")
    holds_all = frozenset(
        _read_banned(value) for value in (operand if isinstance(operand, list) else [operand])
    ).issuperset
    # Of an array one other value is enough.
    return lambda values: not holds_all(values)


def _read_banned(value: object) -> Leaf:
    return value if isinstance(value, str) else _read_bound(value)


def _read_anything_but_pattern(pattern: dict[str, object]) -> Test:
    """Every value that does not begin so, or does not look so; of an array one is enough."""
    if not pattern:
        raise refused("Anything-But expression name not found")
    operator, operand = next(iter(pattern.items()))
    if operator == "prefix":
        prefix = _read_text(operand, "prefix")
        if not prefix:
            raise refused("Null prefix not allowed")
        banned: Callable[[str], bool] = lambda value: value.startswith(prefix)  # noqa: E731 - a short name for it
    elif operator == "wildcard":
        banned = _wildcard(_read_text(operand, "wildcard"))
    else:
        raise refused(f"Unsupported anything-but pattern: {operator}")
    if len(pattern) > 1:
        raise refused("Only one key allowed in match expression")

    def another(values: Values) -> bool:
        for value in values:
            if type(value) is not str or not banned(value):
                return True
        return False

    return another


def _read_numeric(operand: object) -> Test:
    """["=", n], ["<", n] and the like, or a range: [">", n, "<=", m]."""
    if not isinstance(operand, list):
        raise refused("Value of numeric must be an array.")
    if not operand:
        raise refused("Invalid member in numeric match: ]")  # what AWS's parser meets there
    operator, *rest = operand
    if not isinstance(operator, str):
        raise refused(f"Invalid member in numeric match: {_shown(operator)}")
    if operator not in ("=", "<", "<=", ">", ">="):
        raise refused(f"Unrecognized numeric range operator: {operator}")
    if not rest or not _is_number(rest[0]):
        raise refused(f"Value of {'equals' if operator == '=' else operator} must be numeric")
    bound = _read_bound(rest[0])
    if len(rest) > 1:
        if operator not in (">", ">="):
            raise refused("Too many elements in numeric expression")
        top, closed = _read_top(rest[1:])
        if bound >= top:
            raise refused("Bottom must be less than top")
        return _between(bound + (operator == ">"), top - (not closed))
    if operator == "=":
        return _one_of({bound})
    if operator in ("<", "<="):
        return _between(_LEAST, bound - (operator == "<"))
    return _between(bound + (operator == ">"), _MOST)


def _read_top(rest: list[object]) -> tuple[int, bool]:
    """The upper end of a range, and whether it belongs to the range."""
    operator = rest[0]
    if not isinstance(operator, str):
        raise refused(f"Bad value in numeric range: {_shown(operator)}")
    if operator not in ("<", "<="):
        raise refused(f"Bad numeric range operator: {operator}")
    if len(rest) < 2 or not _is_number(rest[1]):
        raise refused(f"Value of {operator} must be numeric")
    if len(rest) > 2:
        raise refused("Too many terms in numeric range expression")
    return _read_bound(rest[1]), operator == "<="


def _read_bound(value: object) -> int:
    assert isinstance(value, int | float)
    number = read_number(value)
    if not isinstance(number, int):
        raise refused("Value must be between -1.0E9 and 1.0E9, inclusive")
    return number


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(token: object) -> str:
    """A member as AWS's parser names it."""
    if isinstance(token, dict | list):
        return "{" if isinstance(token, dict) else "["
    if isinstance(token, bool) or token is None:
        return {True: "true", False: "false", None: "null"}[token]
    return str(token)


def _wildcard(pattern: str) -> Callable[[str], bool]:
    """Whether a text looks like `pattern`, where * is any number of characters, and \\* and \\\\ are themselves.

    Greedy from the left: the first place where a piece fits is the best, so no text is read twice.
    """
    pieces: list[list[str]] = [[]]
    for token in _WILDCARD_TOKEN.finditer(pattern):
        match token.group():
            case "*":
                pieces.append([])
            case "\\*" | "\\\\" as escaped:
                pieces[-1].append(escaped[1])
            case "**" | "\\" as wrong:
                at = len(pattern[: token.start()].encode()) + 1  # in bytes, behind the quote that AWS puts before
                reason = "Consecutive wildcard characters" if wrong == "**" else "Invalid escape character"
                raise refused(f"{reason} at pos {at}")
            case text:
                pieces[-1].append(text)
    first, *more = ["".join(piece) for piece in pieces]
    if not more:
        return first.__eq__
    *middle, last = more
    shortest = len(first) + len(last) + sum(map(len, middle))

    def fits(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        start, end = len(first), len(text) - len(last)
        for piece in middle:
            start = text.find(piece, start, end)
            if start < 0:
                return False
            start += len(piece)
        return True

    return fits


_OPERATORS: Final[dict[str, Callable[[object], Test]]] = {
    "prefix": _read_prefix,
    "suffix": _read_suffix,
    "equals-ignore-case": _read_equals_ignore_case,
    "anything-but": _read_anything_but,
    "numeric": _read_numeric,
    "exists": _read_exists,
    "cidr": _read_cidr,
    "wildcard": _read_wildcard,
}
