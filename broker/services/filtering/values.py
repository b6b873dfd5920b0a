"""The values that filter policies compare: what a JSON value or a message attribute becomes before it meets a condition.

Strings stay strings. A number becomes the whole number of its hundred-thousandths, cut off downward, because AWS compares
to five decimals; so equal numbers are equal however they are written, and no number is ever equal to true or to a string.
Knows neither policies nor messages. Source: SNS Developer Guide, "Filter policy constraints".
"""

from collections.abc import Collection
from decimal import ROUND_FLOOR, Decimal
from enum import Enum
from typing import Final, NamedTuple


class Keyword(Enum):
    """JSON's three words. Python's own would be equal to 1 and 0."""

    TRUE = "true"
    FALSE = "false"
    NULL = "null"


class Beyond(NamedTuple):
    """A number outside AWS's range for comparisons: equal to itself, neither less nor greater than any."""

    value: Decimal


Leaf = str | int | Keyword | Beyond
Values = Collection[Leaf]  # all that a message holds under one name; empty: the message lacks it

NUMBER_MAX: Final = 10**9
UNITS: Final = 10**5  # five decimals
_LEAST_UNIT: Final = Decimal("0.00001")
_KEYWORDS: Final = {True: Keyword.TRUE, False: Keyword.FALSE, None: Keyword.NULL}


def read_leaf(value: object) -> Leaf:
    """The leaf of a JSON value that is neither an object nor an array."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return _KEYWORDS[value]
    assert isinstance(value, int | float), "JSON has no other scalars"
    return read_number(value)


def read_number(value: int | float | Decimal) -> int | Beyond:
    """A finite number in hundred-thousandths."""
    if not -NUMBER_MAX <= value <= NUMBER_MAX:
        return Beyond(value if isinstance(value, Decimal) else Decimal(repr(value)))
    if isinstance(value, int):
        return value * UNITS
    if isinstance(value, float):
        units = round(value * UNITS)
        if units / UNITS == value:  # the usual case: it has no more than five decimals, and 15 digits identify a float
            return units
        value = Decimal(repr(value))
    return int(value.quantize(_LEAST_UNIT, ROUND_FLOOR).scaleb(5))
