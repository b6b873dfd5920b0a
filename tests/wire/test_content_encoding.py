"""Content-Encoding of requests: undone as RFC 9110 has it, within a limit."""

import gzip
import tracemalloc
import zlib

import pytest

from broker.wire.content_encoding import TooLarge, Unreadable, coding, undo

TEXT = b'{"QueueName":"q"}' * 100


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("utf-8", None),
        ("br", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "x-gzip"),
        ("deflate", "deflate"),
        ("gzip, aws-chunked", "gzip"),
    ],
)
def test_only_codings_that_we_know_are_undone(header: str | None, name: str | None) -> None:
    assert coding(header) == name


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (gzip.compress(TEXT, mtime=0), "x-gzip"),
        (gzip.compress(TEXT[:50], mtime=0) + gzip.compress(TEXT[50:], mtime=0), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (raw_deflate(TEXT), "deflate"),
    ],
    ids=["gzip", "x-gzip", "gzip in two members", "deflate", "raw deflate"],
)
def test_a_coding_is_undone_up_to_the_limit(body: bytes, name: str) -> None:
    assert undo(body, name, len(TEXT)) == TEXT
    with pytest.raises(TooLarge):
        undo(body, name, len(TEXT) - 1)


@pytest.mark.parametrize("name", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "body", [b"", b"x", b"\x00" * 100, TEXT, gzip.compress(TEXT, mtime=0)[:-9], zlib.compress(TEXT)[:-5]]
)
def test_what_is_not_so_coded_is_unreadable(name: str, body: bytes) -> None:
    with pytest.raises(Unreadable):
        undo(body, name, 10_000)


@pytest.mark.parametrize(
    "bomb",
    [gzip.compress(b"\x00" * 20_000_000), gzip.compress(b"\x00" * 100_000) * 200],
    ids=["one member", "many members"],
)
def test_a_bomb_is_not_unpacked(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            undo(bomb, "gzip", 1_000_000)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4_000_000
