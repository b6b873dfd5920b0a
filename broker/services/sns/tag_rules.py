"""Tags of topics: their form and their limits. Source: SNS API Reference, TagResource; Tagging best practices (limits)."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from broker.services.sns.errors import InvalidParameter, TagLimitExceeded

TAGS_MAX: Final = 50
_KEY_MAX: Final = 128
_VALUE_MAX: Final = 256
_RESERVED: Final = "aws:"


class Tag(msgspec.Struct, rename="pascal"):
    key: str
    value: str = ""


def read_tags(given: Sequence[Tag] | None) -> dict[str, str]:
    """Tags by key. Raises InvalidParameter where a key is given twice or breaks a rule, TagLimitExceeded above 50."""
    tags: dict[str, str] = {}
    for tag in given or ():
        if not is_key(tag.key):
            raise InvalidParameter(f"Tags Reason: the key {tag.key[:_KEY_MAX]!r} is not valid")
        if len(tag.value) > _VALUE_MAX:
            raise InvalidParameter(f"Tags Reason: the value of {tag.key!r} is longer than {_VALUE_MAX} characters")
        if tag.key in tags:
            raise InvalidParameter("Duplicated keys are not allowed.")
        tags[tag.key] = tag.value
    check_count(tags)
    return tags


def is_key(key: str) -> bool:
    """Whether a tag of a user's may have this key."""
    return 1 <= len(key) <= _KEY_MAX and not key.lower().startswith(_RESERVED)


def check_count(tags: Mapping[str, str]) -> None:
    """Raises TagLimitExceeded."""
    if len(tags) > TAGS_MAX:
        raise TagLimitExceeded("Could not complete request: tag quota of per resource exceeded")
