"""MD5OfMessageAttributes.

Expectations: the MD5 of bytes that are written out by hand after the Developer Guide's description, and digests that AWS has
answered.
"""

import hashlib

import pytest

from broker.core.content import Attribute
from broker.services.digests import attributes_md5


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_a_string() -> None:
    written_out = (
        b"\x00\x00\x00\x04" + b"city" + b"\x00\x00\x00\x06" + b"String" + b"\x01" + b"\x00\x00\x00\x04" + b"Rome"
    )
    assert attributes_md5([Attribute("city", "String", b"Rome")]) == md5(written_out)


def test_a_number_is_text_and_its_label_counts() -> None:
    written_out = (
        b"\x00\x00\x00\x01" + b"n" + b"\x00\x00\x00\x0a" + b"Number.int" + b"\x01" + b"\x00\x00\x00\x02" + b"12"
    )
    assert attributes_md5([Attribute("n", "Number.int", b"12")]) == md5(written_out)


def test_binary_has_a_mark_of_its_own() -> None:
    written_out = (
        b"\x00\x00\x00\x01" + b"b" + b"\x00\x00\x00\x0a" + b"Binary.gif" + b"\x02" + b"\x00\x00\x00\x03" + b"\x00\xff\r"
    )
    assert attributes_md5([Attribute("b", "Binary.gif", b"\x00\xff\r")]) == md5(written_out)


def test_attributes_go_by_name_whatever_their_order() -> None:
    one, two = Attribute("B", "String", b"1"), Attribute("a", "String", b"2")
    first = b"\x00\x00\x00\x01B\x00\x00\x00\x06String\x01\x00\x00\x00\x011"
    second = b"\x00\x00\x00\x01a\x00\x00\x00\x06String\x01\x00\x00\x00\x012"
    assert attributes_md5([one, two]) == attributes_md5([two, one]) == md5(first + second)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ([Attribute("timestamp", "Number", b"1493147359900")], "235c5c510d26fb653d073faed50ae77c"),
        ([Attribute("timestamp", "Number", b"1493147359901")], "994258b45346a2cc3f9cbb611aa7af30"),
    ],
)
def test_digests_recorded_from_aws(attributes: list[Attribute], expected: str) -> None:
    assert attributes_md5(attributes) == expected
