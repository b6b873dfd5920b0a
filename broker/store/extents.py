"""Reading what was sent in blocks from a segment of the commit log: what lies close together in it is read in one.

Each read has the thread let go of the interpreter and ask for it again, of an event loop that is busy. A page of a deep queue has
what was sent in twenty blocks, most of them one after the other.
"""

import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from broker.store.new_blocks import Extent, sent_in

GAP_BYTES_MAX: Final = 16 * 1024  # of what lies between two extents and is read along
SPAN_BYTES_MAX: Final = 4 * 1024 * 1024

Extents = Sequence[Extent]


class Placed(NamedTuple):
    """The contents of a block and its bodies, each one after the other, in what was read."""

    contents: bytes
    content_at: int
    bodies: bytes
    body_at: int


def read_extents(file: int, blocks: Sequence[Extents]) -> list[Placed]:
    """What was sent in each of some blocks of one segment. Raises OSError; ValueError: the file ends before."""
    spans, places = _spans([extent for extents in blocks for extent in extents])
    read = [_read(file, begin, end) for begin, end in spans]
    found: list[Placed] = []
    count = 0
    for extents in blocks:
        pieces = places[count : count + len(extents)]
        count += len(extents)
        if len(extents) == 1:
            span, at = pieces[0]
            found.append(Placed(read[span], at, read[span], at + extents[0][1]))
        else:
            sizes = [extent[1:] for extent in extents]
            contents, bodies = sent_in((read[span], at, *size) for (span, at), size in zip(pieces, sizes, strict=True))
            found.append(Placed(contents, 0, bodies, 0))
    return found


def _spans(extents: Extents) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """From where to where the file is to be read; and for each extent, which of these it is in, and where in that it begins."""
    spans: list[tuple[int, int]] = []
    places: list[tuple[int, int]] = []
    span_begin, span_end = 0, -1
    for at, content_bytes, body_bytes in extents:
        end = at + content_bytes + body_bytes
        if spans and 0 <= at - span_end <= GAP_BYTES_MAX and end - span_begin <= SPAN_BYTES_MAX:
            spans[-1] = span_begin, end
        else:
            span_begin = at
            spans.append((at, end))
        span_end = end
        places.append((len(spans) - 1, at - span_begin))
    return spans, places


def _read(file: int, begin: int, end: int) -> bytes:
    read = os.pread(file, end - begin, begin)
    if len(read) != end - begin:
        raise ValueError("it ends before what was sent does")
    return read
