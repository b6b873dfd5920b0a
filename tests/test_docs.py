"""The documentation says what is there: every setting, command and operation; and the README's session runs."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from broker.cli import main
from broker.config import Config
from broker.console.routes import Console
from tests.compatibility import PAGE, table
from tests.conftest import RunningBroker

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def sessions() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("setting", [f.name for f in fields(Config) if f.name != "queues"])
def test_every_setting_is_in_the_readme(setting: str) -> None:
    assert f"`--{setting.replace('_', '-')}`" in README
    assert f"`POMBO_{setting.upper()}`" in README


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"pombo {command}" in README


def test_every_flag_is_in_the_readme() -> None:
    for option in main.commands["serve"].params:
        assert f"`{option.opts[0]}`" in README


def test_every_path_of_the_console_is_in_the_readme() -> None:
    for path in Console.PATHS:
        assert f" {path}" in README


def test_the_compatibility_table_is_the_codes() -> None:
    assert PAGE.read_text() == table(), "run python -m tests.compatibility"


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("session", sessions())
def test_the_readmes_session_runs(session: str, broker: RunningBroker) -> None:
    script = session.replace("http://localhost:4566", broker.url)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "two pigeons order\n"
