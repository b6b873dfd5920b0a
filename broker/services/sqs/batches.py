"""The rules and the reply forms that the three batch operations share.

A broken rule here fails the whole call; what is wrong with one entry alone fails that entry, as the same error class.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

from broker.core.limits import MESSAGE_BYTES_MAX
from broker.errors import AwsError, told
from broker.services.sqs.errors import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    TooManyEntriesInBatchRequest,
)
from broker.services.sqs.message_shapes import BatchResultErrorEntry

ENTRIES_MAX: Final = 10
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


class Entry(Protocol):
    """What every batch entry has."""

    @property
    def id(self) -> str: ...


def check_entries(entries: Sequence[Entry], kind: str) -> None:
    """1 to 10 entries with valid and distinct ids; `kind` is the entry's name in AWS's model."""
    if not entries:
        raise EmptyBatchRequest(kind)
    if len(entries) > ENTRIES_MAX:
        raise TooManyEntriesInBatchRequest(ENTRIES_MAX, len(entries))
    seen: set[str] = set()
    for entry in entries:
        name = entry.id
        if not _ID.fullmatch(name):
            raise InvalidBatchEntryId
        if name in seen:
            raise BatchEntryIdsNotDistinct(name)
        seen.add(name)


def check_bytes(total: int) -> None:
    """The messages of a batch together may be as large as one."""
    if total > MESSAGE_BYTES_MAX:
        raise BatchRequestTooLong(MESSAGE_BYTES_MAX, total)


def failed(entry: Entry, error: AwsError) -> BatchResultErrorEntry:
    """The entry's part of the reply. An error that is not the caller's fault fails the call instead."""
    if not error.sender:
        raise error
    return BatchResultErrorEntry(entry.id, error.sender, error.query_code, told(error.message))
