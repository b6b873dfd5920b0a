"""Which environment an invocation gets, and when environments end."""

import asyncio
import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from broker.services.lambda_.runtime.environment import Environment
from broker.services.lambda_.runtime.pool import TooManyRequests
from tests.lambda_.conftest import CHANCE, Bench, error_of, event, marked, result_of

WHO = "import os\ndef handler(event, context):\n    return os.getpid()\n"
GATE = """
import os
def handler(event, context):
    with open("entered", "w") as entered:
        entered.write("x")
    with open("gate") as gate:
        gate.read()
    return VALUE
"""


class Gate:
    """Two pipes in the function's directory: a handler says that it has begun, and waits until it is let go."""

    def __init__(self, directory: Path) -> None:
        os.mkfifo(directory / "entered")
        os.mkfifo(directory / "gate")
        self._directory = directory

    async def entered(self) -> None:
        await asyncio.to_thread((self._directory / "entered").read_text)

    async def open(self) -> None:
        await asyncio.to_thread((self._directory / "gate").write_text, "x")


async def test_a_warm_environment_is_used_again(bench: Bench) -> None:
    pool = bench.pool(WHO)
    first = await pool.invoke(event())
    second = await pool.invoke(event())
    assert result_of(first) == result_of(second)
    assert first.init_ms is not None
    assert second.init_ms is None
    assert (pool.in_use, pool.idle) == (0, 1)


async def test_the_most_recently_used_is_used_first(bench: Bench) -> None:
    pool = bench.pool(WHO)
    one, two = pool.acquire(), pool.acquire()
    for environment in (one, two):
        assert await environment.start() is None
    pool.release(one)
    pool.release(two)
    assert pool.acquire() is two
    assert pool.acquire() is one
    pool.release(two)
    pool.release(one)
    assert pool.acquire() is one
    pool.release(one)


async def test_no_more_than_allowed_are_under_way(bench: Bench) -> None:
    pool = bench.pool(WHO, limit=1)
    environment = pool.acquire()
    with pytest.raises(TooManyRequests):
        await pool.invoke(event())
    pool.limit = 2
    result_of(await pool.invoke(event()))
    pool.release(environment)
    pool.limit = 0
    with pytest.raises(TooManyRequests):
        pool.acquire()


async def test_one_that_failed_is_replaced(bench: Bench) -> None:
    pool = bench.pool("import os\ndef handler(event, context):\n    return os._exit(1) if event else os.getpid()\n")
    first = result_of(await pool.invoke(event()))
    assert error_of(await pool.invoke(event(True)))["errorType"] == "Runtime.ExitError"
    assert (pool.in_use, pool.idle) == (0, 0)
    assert result_of(await pool.invoke(event())) != first


async def test_one_that_cannot_be_initialised_is_not_kept(bench: Bench) -> None:
    pool = bench.pool("import nowhere\n")
    for _ in range(2):
        assert error_of(await pool.invoke(event()))["errorType"] == "Runtime.ImportModuleError"
    assert (pool.in_use, pool.idle) == (0, 0)


async def test_one_that_dies_while_it_idles_is_forgotten(bench: Bench) -> None:
    pool = bench.pool(WHO)
    gone = asyncio.Event()
    environment = pool.acquire()
    told = environment.on_end

    def tell(ended: Environment) -> None:
        assert told is not None
        told(ended)
        gone.set()

    environment.on_end = tell
    pid = result_of(await environment.invoke(event()))
    pool.release(environment)
    os.kill(pid, signal.SIGKILL)
    await asyncio.wait_for(gone.wait(), 5)
    assert pool.idle == 0
    assert result_of(await pool.invoke(event())) != pid


async def test_one_that_idles_for_long_ends(bench: Bench) -> None:
    pool = bench.pool(WHO, idle_s=0.2)
    gone = asyncio.Event()
    environment = pool.acquire()
    environment.on_end = lambda ended: gone.set()
    await environment.invoke(event())
    pool.release(environment)
    await asyncio.wait_for(gone.wait(), 5)
    assert pool.idle == 0
    await environment.stop()
    assert bench.processes() == []


async def test_a_change_reaches_the_next_invocation_and_lets_the_last_one_finish(bench: Bench) -> None:
    gate = Gate(bench.directory)
    pool = bench.pool(GATE.replace("VALUE", "'old'"), timeout_s=10)
    under_way = asyncio.create_task(pool.invoke(event()))
    await gate.entered()
    (bench.directory / "app.py").write_text("def handler(event, context):\n    return 'new'\n")
    pool.update(dataclasses.replace(pool.spec, revision="2"))
    assert result_of(await pool.invoke(event())) == "new"
    await gate.open()
    assert result_of(await under_way) == "old"
    assert pool.idle == 1, "the old one is not kept"
    assert result_of(await pool.invoke(event())) == "new"
    pool.update(dataclasses.replace(pool.spec))
    assert pool.idle == 1, "what is equal is no change"
    pool.update(dataclasses.replace(pool.spec, variables={}))
    assert pool.idle == 0


async def test_closing_ends_all_at_once(bench: Bench) -> None:
    gate = Gate(bench.directory)
    pool = bench.pool("import signal\nsignal.signal(15, signal.SIG_IGN)\n" + GATE.replace("VALUE", "1"), timeout_s=60)
    waiting = pool.acquire()
    assert await waiting.start() is None
    under_way = asyncio.create_task(pool.invoke(event()))
    await gate.entered()
    pool.release(waiting)
    began = asyncio.get_running_loop().time()
    await pool.close()
    assert asyncio.get_running_loop().time() - began < 2
    assert bench.processes() == []
    assert error_of(await under_way)["errorType"] == "Runtime.ExitError"


async def test_closing_while_one_starts_leaves_nothing(bench: Bench) -> None:
    gate = Gate(bench.directory)
    pool = bench.pool("import time\nopen('entered', 'w').close()\ntime.sleep(60)\n")
    under_way = asyncio.create_task(pool.invoke(event()))
    await gate.entered()
    await pool.close()
    assert bench.processes() == []
    assert (await under_way).function_error == "Unhandled"


HOST = """
import asyncio, sys
from pathlib import Path
from broker.clock import Chance
from broker.services.lambda_.runtime.invocation import Event
from broker.services.lambda_.runtime.logs import LogRing
from broker.services.lambda_.runtime.pool import Pool
from broker.services.lambda_.runtime.specs import FunctionSpec

async def main():
    spec = FunctionSpec("f", "arn:aws:lambda:eu-west-1:123456789012:function:f", "python3.12", "app.handler",
                        Path(sys.argv[1]), variables={"POMBO_TEST_MARK": sys.argv[2]}, timeout_s=60)
    pool = Pool(spec, LogRing(), Chance())
    print((await pool.invoke(Event(sys.argv[3].encode(), "r-1"))).payload.decode(), flush=True)
    await pool.invoke(Event(b"0", "r-2"))

asyncio.run(main())
"""

ORPHANS = """
import os, time
def handler(event, context):
    pids = [os.getpid(), os.getppid()]
    if not event:
        time.sleep(60)
    for _ in range(event - 1):
        below, above = os.pipe()
        if os.fork() == 0:
            os.setsid()
            child = os.fork()
            if child == 0:
                time.sleep(60)
            os.write(above, b"%d" % child)
            os._exit(0)
        os.wait()
        pids.append(int(os.read(below, 20)))
    return pids
"""


class Host:
    """A process of its own that runs a function, in which it is then at work; `orphans` sleep in sessions of their own."""

    def __init__(self, directory: Path, orphans: int) -> None:
        (directory / "app.py").write_text(ORPHANS)
        self.mark = CHANCE.token().hex()
        command = [sys.executable, "-c", HOST, str(directory), self.mark, str(orphans + 1)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        with self.process.stdout as said:
            self.pids: list[int] = json.loads(said.readline())  # the function's, its keeper's, the orphans'
        self._watched = [os.pidfd_open(pid) for pid in self.pids]

    def all_end(self) -> bool:
        ended = all(select.select([each], [], [], 2)[0] for each in self._watched)
        for each in self._watched:
            os.close(each)
        return ended and marked(self.mark) == []


linux = pytest.mark.skipif(sys.platform != "linux", reason="what follows the death of others is the kernel's affair")


@linux
def test_a_broker_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    """The broker gets no chance to do anything."""
    host = Host(tmp_path, orphans=3)
    assert len(host.pids) == 5
    assert len(marked(host.mark)) == 4
    host.process.kill()
    host.process.wait()
    assert host.all_end()


@linux
def test_a_function_ends_with_its_keeper_whatever_the_broker_does(tmp_path: Path) -> None:
    """The broker is stopped, so it can do nothing about it."""
    host = Host(tmp_path, orphans=0)
    host.process.send_signal(signal.SIGSTOP)
    os.kill(host.pids[1], signal.SIGKILL)
    ended = host.all_end()
    host.process.kill()
    host.process.wait()
    assert ended
