"""A raw writer: SQLite alone takes exactly the Changes of the batch-of-10 cycle, beside a busy loop.

`python -m benchmarks.raw_writer record FILE DATA` is a broker that keeps what it commits, and writes it to FILE at the end;
`replay FILE` writes them into a new database on the same disk, each batch a transaction and a sync, without a commit log, and
prints how many messages a second went through. While one is being committed, an event loop answers as many requests over a socket
as the next batch stands for, with `REQUEST_US` of Python each, what an `asyncio.Protocol` over httptools needs at least. (A loop
that is busy without pause is no measure: it lets go of the interpreter's lock for moments so short that the writer gets it by
luck, and 500 or 35,000 messages a second come out.)
"""

import asyncio
import pickle
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, cast

import uvloop

from benchmarks.figures import Measured
from benchmarks.generator import Job, Phase
from benchmarks.measuring import run
from benchmarks.servers import ServerProcess
from broker.app import Broker
from broker.config import Config
from broker.store import schema
from broker.store.batch import Batch
from broker.store.changes import MessageRow
from broker.store.database import Database
from broker.store.directory import Directory
from broker.store.new_blocks import NewBlock
from broker.store.sqlite import SqliteStore
from broker.store.writer_thread import WriterThread

REQUEST_US: Final = 20
_EACH: Final = 10  # messages of a request
PARTS: Final = (  # of a batch
    *("number", "message_time_ms", "messages", "leases", "moves", "deleted", "counters", "deduplication", "forgotten"),
    *("resources", "dropped"),
)


class Recording(NamedTuple):
    """Batches of a cycle, on disk."""

    path: Path

    @classmethod
    def make(cls, path: Path, seconds: float) -> Self:
        """Record a cycle of tens on 32 connections."""
        data = path.with_suffix(".data")
        server = ServerProcess("benchmarks.raw_writer", "record", str(path), str(data))
        phases = [Phase("send", 10, 60, count=640), Phase("cycle", 10, max(1.0, seconds))]
        found = run(server, Job(server.url, 32, phases, queues=["cycle"], keeps=True))
        assert not found[-1].failed, found[-1].failed
        server.stop()
        return cls(path)

    def replay(self) -> Measured:
        """A round."""
        command = [sys.executable, "-m", "benchmarks.raw_writer", "replay", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return Measured(failed=done.stderr[-200:])
        rate, commits = done.stdout.split()
        return Measured(rate=float(rate), requests=int(commits))


async def record(data: str) -> list[Batch]:
    """The batches until SIGTERM."""
    kept: list[Batch] = []
    commit = SqliteStore.commit

    def keeping(store: SqliteStore, batch: Batch) -> None:
        commit(store, batch)
        kept.append(batch)

    SqliteStore.commit = keeping  # type: ignore[method-assign]
    broker = Broker(Config(port=0, data=data))
    await broker.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(15, stopped.set)
    print(f"Recording broker on {broker.url}, {data}. Ready.", flush=True)
    await stopped.wait()
    await broker.stop()
    return kept


class Answering(asyncio.Protocol):
    """One end of a socket pair: takes its time over each byte and sends one back, until `left` are answered."""

    left = 0
    answered: "asyncio.Future[None]"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        end_s = time.perf_counter() + REQUEST_US / 1e6
        while time.perf_counter() < end_s:
            pass
        Answering.left -= 1
        if Answering.left > 0:
            self.transport.write(data)
        else:
            Answering.answered.set_result(None)


def _in_rows(batch: Batch) -> tuple[list[MessageRow], list[NewBlock]]:
    """Blocks are for what waits longer than a transaction."""
    assert not batch.blocks
    return list(batch.messages.values()), []


async def replay(batches: list[Batch], directory: Path) -> tuple[float, int]:
    """(messages a second, commits) of the batches from the first that holds sends, receives and deletes to the last one."""
    full = [at for at, batch in enumerate(batches) if batch.messages and batch.leases and batch.deleted]
    assert full, "nothing was recorded"
    timed = batches[full[0] : full[-1] + 1]
    loop = asyncio.get_running_loop()
    near, _ = await loop.create_connection(Answering, sock=(pair := socket.socketpair())[0])
    far, _ = await loop.create_connection(Answering, sock=pair[1])
    with tempfile.TemporaryDirectory(prefix="raw-", dir=directory) as data:
        owned = Directory(str(Path(data, "data")))
        owned.open()
        database = Database(owned, schema.released_steps(), synced=True, careless=False, arrange=_in_rows)
        database.connection.execute("PRAGMA synchronous = FULL")
        for batch in batches[: full[0]]:
            database.apply(batch)
        writer = WriterThread(loop)
        under_way = loop.create_future()
        under_way.set_result(None)
        began_s = time.perf_counter()
        for batch in timed:
            Answering.left = (len(batch.messages) + len(batch.leases) + len(batch.deleted)) // _EACH
            if Answering.left:
                Answering.answered = loop.create_future()
                near.write(b"x")
                await Answering.answered
            await under_way
            under_way = loop.create_future()
            writer.call(partial(database.apply, batch), partial(_committed, under_way))
        await under_way
        taken_s = time.perf_counter() - began_s
        near.close()
        far.close()
        writer.stop()
        database.stop()
        database.close()
        owned.close()
    return sum(len(batch.deleted) for batch in timed) / taken_s, len(timed)


def _committed(under_way: "asyncio.Future[None]", _result: None, failure: BaseException | None) -> None:
    if failure is None:
        under_way.set_result(None)
    else:
        under_way.set_exception(failure)


def _parts(batch: Batch) -> dict[str, Any]:
    return {name: getattr(batch, name) for name in PARTS}


def _batch(parts: dict[str, Any]) -> Batch:
    batch = Batch(parts["number"])
    for name, part in parts.items():
        setattr(batch, name, part)
    return batch


def main() -> None:
    """The command."""
    what, path = sys.argv[1], Path(sys.argv[2])
    if what == "record":
        path.write_bytes(pickle.dumps([_parts(batch) for batch in uvloop.run(record(sys.argv[3]))]))
    else:
        print(*uvloop.run(replay([_batch(parts) for parts in pickle.loads(path.read_bytes())], path.parent)))


if __name__ == "__main__":
    main()
