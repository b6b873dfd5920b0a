"""Pages of queue lists: MaxResults, and the opaque NextToken that says where the next page begins."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import msgspec

from broker.core.errors import InvalidParameterValue
from broker.core.settings import QueueName

PAGE_MAX: Final = 1000
_MARK: Final = b"after:"


def check_max_results(given: int | None, most: int) -> None:
    """Raises InvalidParameterValue."""
    if given is not None and not 1 <= given <= most:
        raise InvalidParameterValue(
            f"Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and {most}."
        )


def read_token(token: str | None) -> str:
    """The name of the last queue of the page before; "" for the first page. Raises InvalidParameterValue."""
    if not token:
        return ""
    try:
        plain = base64.b64decode(token, b"-_", validate=True)
        if plain.startswith(_MARK):
            return plain.removeprefix(_MARK).decode()
    except (binascii.Error, ValueError):
        pass
    raise InvalidParameterValue("Invalid or expired next token.")


def cut_page(
    names: Sequence[QueueName], max_results: int | None
) -> tuple[Sequence[QueueName], str | msgspec.UnsetType]:
    """A page of `names`, which hold one more than a page where there are more; and the token of the next.

    There is a token only where MaxResults was given.
    """
    size = PAGE_MAX if max_results is None else max_results
    page = names[:size]
    if max_results is None or len(names) <= size:
        return page, msgspec.UNSET
    return page, base64.b64encode(_MARK + page[-1].name.encode(), b"-_").decode("ascii")
