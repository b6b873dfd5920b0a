"""The load generator's parser takes replies in whatever pieces they come."""

import pytest

from benchmarks.http_replies import Malformed, Reply, ReplyParser

FIRST = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4;x=1\r\nwiki\r\n1\r\n!\r\n0\r\n\r\n"
CLOSING = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nConnection: close\r\n\r\n"
EXPECTED = [Reply(200, b"hello", False), Reply(200, b"wiki!", False), Reply(503, b"", True)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40, 1000])
def test_replies_that_follow_each_other_come_out_in_their_order_however_they_are_cut(size: int) -> None:
    stream = FIRST + CHUNKED + CLOSING
    parser = ReplyParser()
    found = [reply for at in range(0, len(stream), size) for reply in parser.feed(stream[at : at + size])]
    assert found == EXPECTED


@pytest.mark.parametrize("cut", range(1, len(FIRST)))
def test_a_reply_is_not_there_before_its_last_byte(cut: int) -> None:
    parser = ReplyParser()
    assert parser.feed(FIRST[:cut]) == []
    assert parser.feed(FIRST[cut:]) == EXPECTED[:1]


def test_a_length_in_the_body_or_in_another_header_is_no_length() -> None:
    odd = b"HTTP/1.1 200 OK\r\nX-Content-Length: 99\r\nCONTENT-LENGTH:17\r\n\r\ncontent-length: 1"
    assert ReplyParser().feed(odd) == [Reply(200, b"content-length: 1", False)]


def test_http_1_0_closes_unless_it_says_otherwise() -> None:
    assert ReplyParser().feed(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx") == [Reply(200, b"x", True)]
    kept = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"
    assert ReplyParser().feed(kept) == [Reply(200, b"x", False)]


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"220 smtp ready", b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nuntil it closes"]
)
def test_what_cannot_be_framed_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        ReplyParser().feed(data)
