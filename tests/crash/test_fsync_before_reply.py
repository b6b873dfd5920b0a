"""Under strace: no reply leaves before a synced write of its batch has returned; without --synchronous full it would be seen."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load_client import Connection

SENDS = 20
pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

_LINE = re.compile(r"^(?P<thread>\d+)\s+(?P<rest>.*)$")
_OPENED = re.compile(r"^openat\(.*/pombo\.commits\.\d\".*O_DSYNC.*= (?P<file>\d+)<")
_WRITE = re.compile(r"^pwrite64\((?P<file>\d+)<[^>]*/pombo\.commits\.\d>")
_REPLY = re.compile(r"^(?:write|writev|sendto|sendmsg)\(\d+<(?:TCP|socket)[^>]*>.*HTTP/1\.1 200")


def unsynced_replies(trace: str) -> tuple[int, int]:
    """(replies, those of them that left without a finished write to a synced commit log since the reply before)."""
    replies = unsynced = 0
    synced = False
    files: set[str] = set()  # whose writes are synced
    syncing: set[str] = set()  # threads whose write has begun and not returned
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, rest = match["thread"], match["rest"]
        if opened := _OPENED.match(rest):
            files.add(opened["file"])
        elif (write := _WRITE.match(rest)) and write["file"] in files:
            if "<unfinished" in rest:
                syncing.add(thread)
            else:
                synced = True
        elif re.match(r"<\.\.\. pwrite64 resumed>", rest) and thread in syncing:
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
        *("strace", "-f", "-yy", "-s", "40", "-o", str(log), "-e", "trace=openat,pwrite64,write,writev,sendto,sendmsg"),
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


OPENED = 'openat(AT_FDCWD</data>, "/data/pombo.commits.0", O_WRONLY|O_DSYNC|O_CLOEXEC, 0600) = 9</data/pombo.commits.0>'
REPLY = '5 write(11<TCP:[127.0.0.1:1->127.0.0.1:2]>, "HTTP/1.1 200 OK", 15) = 15'


def test_a_write_that_has_only_begun_does_not_count() -> None:
    trace = f"""\
5 {OPENED}
7 pwrite64(9</data/pombo.commits.0>, "", 20, 0 <unfinished ...>
{REPLY}
7 <... pwrite64 resumed>) = 20
{REPLY}
"""
    assert unsynced_replies(trace) == (2, 1)


@pytest.mark.parametrize("other", ["pombo.db-wal", "pombo.commits.1"])
def test_a_write_to_another_file_does_not_count(other: str) -> None:
    trace = f"""\
5 {OPENED}
7 pwrite64(8</data/{other}>, "", 20, 0) = 20
{REPLY}
"""
    assert unsynced_replies(trace) == (1, 1)


REUSE = """
import sys
from broker.store.batch import Batch
from broker.store.sqlite import SqliteStore
from tests.store.conformance import message
store = SqliteStore(sys.argv[1])
store.open()
print("opened", flush=True)
for number in (1, 2):
    batch = Batch(number)
    batch.add_message(message(number))
    store.commit(batch)
    store._flusher.flush()
    print("flushed", flush=True)
    store._flusher.make_durable(number)
    print("durable", flush=True)
"""


def test_a_segment_is_used_again_only_after_a_sync_of_what_the_database_has(tmp_path: Path) -> None:
    log = tmp_path / "strace.log"
    subprocess.run(
        [
            *("strace", "-f", "-yy", "-o", str(log), "-e", "trace=fsync,fdatasync,write"),
            *(sys.executable, "-c", REUSE, str(tmp_path / "data")),
        ],
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        stdout=subprocess.DEVNULL,
    )
    kinds = re.findall(r'"(opened|flushed|durable)|f(?:data)?sync\(\d+<[^>]*(-wal)>', log.read_text())
    steps = ["sync" if wal else said for said, wal in kinds]
    assert steps[steps.index("opened") :] == ["opened", *["flushed", "sync", "durable"] * 2]
    assert "sync" in steps[: steps.index("opened")]  # before the commit log is emptied
