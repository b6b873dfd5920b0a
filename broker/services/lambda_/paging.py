"""Pages of at most MaxItems, and the opaque Marker that says where the next one begins."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from broker.services.lambda_.errors import InvalidParameterValue, ValidationException

PAGE: Final = 50
T = TypeVar("T")


def check_max_items(given: int | None) -> int:
    """How many a page may have. Raises ValidationException."""
    if given is None:
        return PAGE
    if not 1 <= given <= 10_000:
        rule = "greater than or equal to 1" if given < 1 else "less than or equal to 10000"
        raise ValidationException("maxItems", f"'{given}'", f"Member must have value {rule}")
    return min(given, PAGE)


def read_marker(marker: str | None) -> str:
    """The key of the last item of the page before; "" for the first page. Raises InvalidParameterValue."""
    if not marker:
        return ""
    try:
        return base64.b64decode(marker, b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidParameterValue("Invalid pagination marker") from None


def cut_page(items: Sequence[T], key: Callable[[T], str], size: int) -> tuple[Sequence[T], str | msgspec.UnsetType]:
    """A page of `items`, which hold one more than a page where there are more; and the marker of the next."""
    if len(items) <= size:
        return items, msgspec.UNSET
    return items[:size], base64.b64encode(key(items[size - 1]).encode(), b"-_").decode("ascii")
