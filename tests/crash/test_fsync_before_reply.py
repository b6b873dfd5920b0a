"""Under strace: no reply leaves before the fsync of its batch has returned; without --synchronous full it would be seen."""

import asyncio
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from benchmarks.load_client import Connection

SENDS = 20
pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

_LINE = re.compile(r"^(?P<thread>\d+)\s+(?P<rest>.*)$")
_SYNC = re.compile(r"^f(?:data)?sync\(\d+<[^>]*-wal>")
_REPLY = re.compile(r"^(?:write|writev|sendto|sendmsg)\(\d+<(?:TCP|socket)[^>]*>.*HTTP/1\.1 200")


def unsynced_replies(trace: str) -> tuple[int, int]:
    """(replies, those of them that left without a finished sync of the write-ahead log since the reply before)."""
    replies = unsynced = 0
    synced = False
    syncing: set[str] = set()  # threads whose sync has begun and not returned
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, rest = match["thread"], match["rest"]
        if _SYNC.match(rest):
            if "<unfinished" in rest:
                syncing.add(thread)
            else:
                synced = True
        elif re.match(r"<\.\.\. f(?:data)?sync resumed>", rest) and thread in syncing:
            syncing.discard(thread)
            synced = True
        elif _REPLY.match(rest):
            replies += 1
            unsynced += not synced
            synced = False
    return replies, unsynced


async def trace_sends(tmp_path: Path, synchronous: str) -> str:
    """What a broker asked of its kernel while it acknowledged messages one by one."""
    log = tmp_path / "strace.log"
    broker = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-yy", "-s", "40", "-o", str(log), "-e", "trace=fsync,fdatasync,write,writev,sendto,sendmsg"),
        *(sys.executable, "-m", "broker.cli", "serve", "--port", "0", "--data", str(tmp_path / "data")),
        *("--synchronous", synchronous),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert broker.stdout is not None
    line = (await broker.stdout.readline()).decode()
    assert line.endswith("Ready.\n"), line
    connection = Connection(line.split(" on ")[1].split(",")[0])
    await connection.call("CreateQueue", QueueName="q")
    for number in range(SENDS):
        await connection.call("SendMessage", QueueUrl="q", MessageBody=f"message {number}")
    connection.close()
    children = Path(f"/proc/{broker.pid}/task/{broker.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)  # the broker; strace ends with it
    await asyncio.wait_for(broker.wait(), 20)
    return log.read_text()


async def test_no_reply_leaves_before_its_batch_is_on_disk(tmp_path: Path) -> None:
    replies, unsynced = unsynced_replies(await trace_sends(tmp_path, "full"))
    assert replies >= SENDS
    assert unsynced == 0


async def test_without_syncing_the_same_check_fails(tmp_path: Path) -> None:
    replies, unsynced = unsynced_replies(await trace_sends(tmp_path, "off"))
    assert replies >= SENDS
    assert unsynced >= SENDS


def test_a_sync_that_has_only_begun_does_not_count() -> None:
    trace = """\
7 fdatasync(9</data/pombo.db-wal> <unfinished ...>
5 write(11<TCP:[127.0.0.1:1->127.0.0.1:2]>, "HTTP/1.1 200 OK", 15) = 15
7 <... fdatasync resumed>) = 0
5 write(11<TCP:[127.0.0.1:1->127.0.0.1:2]>, "HTTP/1.1 200 OK", 15) = 15
"""
    assert unsynced_replies(trace) == (2, 1)
