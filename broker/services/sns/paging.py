"""Pages of a hundred, and the opaque NextToken that says where the next one begins."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec
from sortedcontainers import SortedDict

from broker.services.sns.errors import InvalidParameter

PAGE: Final = 100
_MARK: Final = b"after:"
T = TypeVar("T")


def read_token(token: str | None, parameter: str = "NextToken") -> str:
    """The key of the last item of the page before; "" for the first page. Raises InvalidParameter."""
    if not token:
        return ""
    try:
        plain = base64.b64decode(token, b"-_", validate=True)
        if plain.startswith(_MARK):
            return plain.removeprefix(_MARK).decode()
    except (binascii.Error, ValueError):
        pass
    raise InvalidParameter(f"{parameter} Reason: {token[:64]} is not a token of this operation")


def page_after(index: "SortedDict[str, T] | None", after: str, limit: int) -> list[T]:
    """Up to `limit` items of an index with keys > `after`, in order."""
    if index is None:
        return []
    start = index.bisect_right(after)
    return [index[key] for key in index.islice(start, start + limit)]


def cut_page(
    items: Sequence[T], key: Callable[[T], str], size: int = PAGE
) -> tuple[Sequence[T], str | msgspec.UnsetType]:
    """A page of `items`, which hold one more than a page where there are more; and the token of the next."""
    if len(items) <= size:
        return items, msgspec.UNSET
    page = items[:size]
    return page, base64.b64encode(_MARK + key(page[-1]).encode(), b"-_").decode("ascii")
