"""What an ordinary start leaves alone: libraries that only some brokers ever need, and that are slow to import or large."""

import json
import subprocess
import sys
from pathlib import Path

LATE = {
    "aiohttp",  # what is not plain HTTP, once the port listens
    "email",
    "urllib.request",
    "aiosmtplib",  # e-mail, where a mail server is set
    "cryptography",  # SNS's signatures, when the first is made: 9 MB
    "importlib.metadata",  # commands of other packages
    "xml",
    "broker.services.lambda_.runtime.runtime_api",  # functions, when the first runs
    "broker.services.sns.transport.http",  # when something first leaves
    "broker.services.sns.transport.smtp",
}

START = """
import asyncio, json, sys
import broker.cli
from broker import config
from broker.app import Broker

async def start():
    broker = Broker(config.load({"data": sys.argv[1], "port": "0"}, {}, None))
    await broker.start()
    loaded = sorted(sys.modules)
    await broker.stop()
    return loaded

print(json.dumps(asyncio.run(start())))
"""


def test_an_ordinary_start_imports_nothing_that_few_brokers_need(tmp_path: Path) -> None:
    command = [sys.executable, "-c", START, str(tmp_path / "data")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    loaded = set(json.loads(ran.stdout))
    assert "broker.services.sns.signer" in loaded
    assert loaded & LATE == set()
