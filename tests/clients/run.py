"""The same round trip through many SDKs: makes an environment for each, starts a broker, runs them, counts.

    python tests/clients/run.py [--python-only] [--pombo COMMAND] [NAME …]

Each client lives in an environment under .venv-clients (tests/clients/node/node_modules for Node), made on first use and again
when its requirements change; the two round trips of one client share it. A client passes if its script ends with 0. One line
per round trip, then a sum.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ENVIRONMENTS = ROOT / ".venv-clients"
TRIP_S = 120
READY_S = 30
CERTIFICATE_BASE = (
    "https://sns.us-east-1.amazonaws.com"  # validators of signatures take certificates of such hosts only
)


@dataclass(frozen=True)
class Client:
    """A client and what it needs."""

    name: str
    script: str
    requirements: tuple[str, ...] = ()  # of pip; none: a Node script
    arguments: tuple[str, ...] = ()
    lives_with: str = ""  # the client of the same requirements whose environment it shares

    @property
    def home(self) -> Path:
        return ENVIRONMENTS / (self.lives_with or self.name)


OLD_BOTOCORE = ("boto3==1.26.165", "botocore==1.29.165")
CLIENTS = [
    Client("boto3", "round_trip_boto3.py", ("boto3",), ("json",)),
    Client("boto3-sns", "round_trip_sns_boto3.py", ("boto3",), lives_with="boto3"),
    Client("botocore-1.29", "round_trip_boto3.py", OLD_BOTOCORE, ("query",)),
    Client("botocore-1.29-sns", "round_trip_sns_boto3.py", OLD_BOTOCORE, lives_with="botocore-1.29"),
    Client("awscli", "round_trip_awscli.py", ("awscli",)),
    Client("awscli-sns", "round_trip_sns_awscli.py", ("awscli",), lives_with="awscli"),
    Client("aiobotocore", "round_trip_aiobotocore.py", ("aiobotocore",)),
    Client("aiobotocore-sns", "round_trip_sns_aiobotocore.py", ("aiobotocore",), lives_with="aiobotocore"),
    Client("celery", "round_trip_celery.py", ("celery", "kombu[sqs]", "boto3")),
    Client("aws-sdk-js-v3", "round_trip.mjs"),
    Client("aws-sdk-js-v3-sns", "round_trip_sns.mjs"),
    Client("sns-validator", "validated_signatures.mjs"),
]


def main() -> int:
    """Run the chosen clients. Answers the exit status: 0 if all have passed."""
    parser = argparse.ArgumentParser(description="Round trips through many SDKs.")
    parser.add_argument("--python-only", action="store_true", help="leave out what needs Node")
    parser.add_argument("--pombo", default=str(Path(sys.executable).parent / "pombo"), help="the command to serve with")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of clients; without any, all")
    chosen = parser.parse_args()
    clients = [c for c in CLIENTS if not chosen.names or c.name in chosen.names]
    if chosen.python_only:
        clients = [c for c in clients if c.requirements]
    prepared = [(client, *prepare(client)) for client in clients]
    failed = 0
    with serving(chosen.pombo) as url:
        for number, (client, command, problem) in enumerate(prepared, start=1):
            began = time.monotonic()
            problem = problem or make_trip(client, command, url, f"{number:012d}")
            failed += bool(problem)
            print(f"{client.name:17} {'FAILED' if problem else 'ok':6} {time.monotonic() - began:5.1f} s", flush=True)
            if problem:
                print("    " + problem.strip().replace("\n", "\n    "), flush=True)
    print(f"{len(clients) - failed} passed, {failed} failed")
    return 1 if failed else 0


def prepare(client: Client) -> tuple[list[str], str]:
    """Make the client's environment. Answers the command that runs its script, and what went wrong ("": nothing)."""
    try:
        return (prepare_python(client) if client.requirements else prepare_node(client)), ""
    except (subprocess.CalledProcessError, OSError) as error:
        output = getattr(error, "stdout", None) or ""
        return [], f"its environment could not be made: {error}\n{output}"


def prepare_python(client: Client) -> list[str]:
    directory = client.home
    python = directory / "bin" / "python"
    stamp = directory / "requirements.txt"
    wanted = "\n".join(client.requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(directory, ignore_errors=True)
        checked([sys.executable, "-m", "venv", str(directory)])
        checked([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *client.requirements])
        stamp.write_text(wanted)
    return [str(python), str(HERE / client.script)]


def prepare_node(client: Client) -> list[str]:
    directory = HERE / "node"
    node = shutil.which("node")
    npm = shutil.which("npm")
    if node is None or npm is None:
        raise FileNotFoundError("node and npm are needed (or --python-only)")
    stamp = directory / "node_modules" / ".installed"
    wanted = (directory / "package.json").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        checked([npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"], cwd=directory)
        stamp.write_text(wanted)
    return [node, str(directory / client.script)]


def checked(command: list[str], cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def make_trip(client: Client, command: list[str], url: str, account: str) -> str:
    """Run the client's script. Answers why it failed, or ""."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(ENVIRONMENTS),  # no configuration of the user's
        "POMBO_URL": url,
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    try:
        done = subprocess.run(
            [*command, *client.arguments],
            cwd=HERE,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TRIP_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout
        return f"no end after {TRIP_S} s\n{output or ''}"
    return "" if done.returncode == 0 else f"exit status {done.returncode}\n{done.stdout}"


@contextmanager
def serving(pombo: str) -> Iterator[str]:
    """A broker on a free port, in memory; the address is read from its ready line."""
    ENVIRONMENTS.mkdir(exist_ok=True)  # served from there: no pombo.toml of the user's
    command = [str(Path(pombo).absolute()), "serve", "--port", "0", "--data", ":memory:"]
    command += ["--certificate-base", CERTIFICATE_BASE]
    log = (ENVIRONMENTS / "broker.log").open("w")
    with log, subprocess.Popen(command, cwd=ENVIRONMENTS, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            yield address_of(process)
        finally:
            process.terminate()
            process.wait(READY_S)


def address_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://\S+:\d+", line)
        if found and line.rstrip().endswith("Ready."):
            return found[0]
    raise SystemExit(f"the broker ended before it was ready: {(ENVIRONMENTS / 'broker.log').read_text()}")


if __name__ == "__main__":
    sys.exit(main())
