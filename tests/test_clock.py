"""Identifiers: in AWS's form, and no two alike."""

import re

from broker.clock import Chance

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_ids_are_version_4_uuids_and_all_different() -> None:
    chances = [Chance(), Chance()]
    ids = [chance.uuid() for chance in chances for _ in range(10_000)]
    assert all(map(UUID.fullmatch, ids))
    assert len(set(ids)) == len(ids)


def test_ids_of_a_block_do_not_ascend() -> None:
    chance = Chance()
    ids = [chance.uuid() for _ in range(256)]
    assert ids != sorted(ids)
