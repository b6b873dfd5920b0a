"""The rules of PublishBatch's entries, and the form of those that failed."""

import re
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from broker.errors import AwsError, told
from broker.services.sns.errors import (
    BatchEntryIdsNotDistinct,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    TooManyEntriesInBatchRequest,
)

ENTRIES_MAX: Final = 10
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


class Entry(Protocol):
    """What every batch entry has."""

    @property
    def id(self) -> str: ...


class BatchResultErrorEntry(msgspec.Struct, rename="pascal"):
    """An entry that failed."""

    id: str
    code: str
    message: str
    sender_fault: bool


def check_entries(entries: Sequence[Entry]) -> None:
    """1 to 10 entries with valid and distinct ids; a broken rule fails the whole call."""
    if not entries:
        raise EmptyBatchRequest("The batch request doesn't contain any entries.")
    if len(entries) > ENTRIES_MAX:
        raise TooManyEntriesInBatchRequest("The batch request contains more entries than permissible.")
    if not all(_ID.fullmatch(entry.id) for entry in entries):
        raise InvalidBatchEntryId("The Id of a batch entry in a batch request doesn't abide by the specification.")
    if len({entry.id for entry in entries}) < len(entries):
        raise BatchEntryIdsNotDistinct("Two or more batch entries in the request have the same Id.")


def failed(entry_id: str, error: AwsError) -> BatchResultErrorEntry:
    """The entry's part of the reply. An error that is not the caller's fault fails the call instead."""
    if not error.sender:
        raise error
    return BatchResultErrorEntry(entry_id, error.query_code, told(error.message), error.sender)
