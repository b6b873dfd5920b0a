"""The other servers that speak SQS: how each is installed into `.venv-peers`, and started as its documentation says.

Each is used as a program only. One that cannot be had, or does not start, is `Missing`, with the reason. All keep their messages in
memory alone, and as little of a log as their settings allow.
"""

import http.client
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks.servers import DidNotStart, ForeignProcess, free_port

HOME: Final = Path(__file__).parent.parent.parent / ".venv-peers"
_HERE: Final = Path(__file__).parent
_INSTALL_S: Final = 400


class Missing(Exception):
    """Why a peer is not there."""


@dataclass(frozen=True)
class Peer:
    """A server to compare with."""

    name: str
    install: Callable[[Path], None]  # into a directory that is its own
    version: Callable[[Path], str]
    command: Callable[[Path, int], tuple[Sequence[str], dict[str, str]]]  # of a directory and a port: and environment
    topics: bool = True
    query: bool = True

    def start(self) -> tuple[ForeignProcess, str]:
        """Install it if it is not yet, start it, wait until it answers: (the process, its version). Raises Missing."""
        home = HOME / self.name
        if not (home / ".installed").exists():
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            print(f"Installing {self.name} into {home.relative_to(HOME.parent)} …", flush=True)
            self.install(home)
            (home / ".installed").touch()
        port = free_port()
        command, environment = self.command(home, port)
        try:
            return ForeignProcess(command, port, home / "log", answers, environment), self.version(home)
        except (OSError, DidNotStart) as error:
            raise Missing(str(error)) from error


def answers(url: str) -> bool:
    """Whether a queue can be made there."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    headers = {
        "X-Amz-Target": "AmazonSQS.CreateQueue",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": "AWS4-HMAC-SHA256 Credential=000000000000/20261124/us-east-1/sqs/aws4_request, "
        "SignedHeaders=host, Signature=0",
    }
    try:
        connection.request("POST", "/", json.dumps({"QueueName": "there"}), headers)
        reply = connection.getresponse()
        return reply.status == 200 and b"QueueUrl" in reply.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _run(*command: str, directory: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {type(error).__name__}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Missing(f"`{' '.join(command[:3])} …` failed: {said[-1][:200] if said else 'it said nothing'}")


def _python(requirement: str) -> Callable[[Path], None]:
    def install(home: Path) -> None:
        _run(sys.executable, "-m", "venv", str(home))
        _run(str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", requirement)

    return install


def _python_version(package: str) -> Callable[[Path], str]:
    def version(home: Path) -> str:
        ask = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
        return subprocess.check_output([home / "bin" / "python", "-c", ask], text=True).strip()

    return version


def _install_elasticmq(home: Path) -> None:
    shutil.copy(_HERE / "pom.xml", home)
    _run("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib", directory=home)


def _elasticmq_version(home: Path) -> str:
    return next(home.glob("lib/elasticmq-server*.jar")).stem.rpartition("-")[2]


def _elasticmq(home: Path, port: int) -> tuple[Sequence[str], dict[str, str]]:
    configured = [f"-Dconfig.file={_HERE / 'elasticmq.conf'}", f"-Dlogback.configurationFile={_HERE / 'logback.xml'}"]
    command = ["java", *configured, "-cp", f"{home / 'lib'}/*", "org.elasticmq.server.Main"]
    return command, {"ELASTICMQ_PORT": str(port)}


def _install_fauxqs(home: Path) -> None:
    (home / "package.json").write_text('{"private": true}')
    # It wants a newer Node than many machines have; that comes as a package too. Without `latest` an older release is chosen.
    _run("npm", "install", "--silent", "fauxqs@latest", "node@22", directory=home)


def _fauxqs_version(home: Path) -> str:
    version: str = json.loads((home / "node_modules/fauxqs/package.json").read_text())["version"]
    return version


def _fauxqs(home: Path, port: int) -> tuple[Sequence[str], dict[str, str]]:
    started = home / "node_modules" / ".bin"
    return [str(started / "node"), str(started / "fauxqs")], {"FAUXQS_PORT": str(port), "FAUXQS_LOGGER": "false"}


PEERS: Final = (
    Peer("elasticmq", _install_elasticmq, _elasticmq_version, _elasticmq, topics=False),
    Peer("fauxqs", _install_fauxqs, _fauxqs_version, _fauxqs, query=False),
    Peer(
        "ministack",
        _python("ministack"),
        _python_version("ministack"),
        lambda home, port: (
            [str(home / "bin" / "ministack")],
            {"GATEWAY_PORT": str(port), "LOG_LEVEL": "ERROR", "MINISTACK_HOST": "127.0.0.1"},
        ),
    ),
    Peer(
        "moto",
        _python("moto[server]"),
        _python_version("moto"),
        lambda home, port: ([str(home / "bin" / "moto_server"), "-H", "127.0.0.1", "-p", str(port)], {}),
    ),
)
