"""The documentation says what is there: every setting, command and operation; and the README's session runs."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest

from broker.cli import main
from broker.config import Config, load
from broker.console.health import PATHS as HEALTH_PATHS
from broker.console.routes import Console
from broker.declared import (
    FunctionDeclaration,
    MappingDeclaration,
    QueueDeclaration,
    SubscriptionDeclaration,
    TopicDeclaration,
)
from client.cli import consume
from tests.client.consuming import consuming
from tests.compatibility import PAGE, table
from tests.conftest import RunningBroker

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def sessions() -> list[str]:
    """The scripts; what is a module of the reader's own imports nothing."""
    return [text for text in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "import " in text]


@pytest.mark.parametrize("setting", [f.name for f in fields(Config) if f.name not in ("queues", "topics", "functions")])
def test_every_setting_is_in_the_readme(setting: str) -> None:
    assert f"`--{setting.replace('_', '-')}`" in README
    assert f"`POMBO_{setting.upper()}`" in README


@pytest.mark.parametrize("command", main.list_commands(click.Context(main)))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"pombo {command}" in README


def test_every_flag_is_in_the_readme() -> None:
    for option in main.commands["serve"].params:
        assert f"`{option.opts[0]}`" in README
    for option in consume.params:
        if isinstance(option, click.Option):
            assert re.search(rf"^\| `{option.opts[0]}[ `]", README, re.MULTILINE), option


def test_every_path_of_the_console_is_in_the_readme() -> None:
    for path in Console.PATHS:
        assert f" {path}" in README


def test_health_is_in_the_readme() -> None:
    for path in HEALTH_PATHS:
        assert f"`GET {path}`" in README


@pytest.mark.parametrize(
    "declaration",
    [QueueDeclaration, TopicDeclaration, SubscriptionDeclaration, FunctionDeclaration, MappingDeclaration],
)
def test_every_key_of_a_declaration_is_in_the_readme(declaration: type) -> None:
    for key in (f.name for f in fields(declaration) if f.name not in ("name", "where")):
        assert re.search(rf"^{key} = |`{key}`|\.{key}\]\]", README, re.MULTILINE), key


@pytest.mark.parametrize("target", re.findall(r"\bmake ([a-z-]+)", README))
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_readmes_declarations_are_valid(tmp_path: Path) -> None:
    session, declarations = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "pombo.toml").write_text(session)
    assert [one.name for one in load({}, {}, str(tmp_path / "pombo.toml")).functions] == ["ship"]
    (tmp_path / "pombo.toml").write_text(declarations)
    declared = load({}, {}, str(tmp_path / "pombo.toml"))
    assert [queue.name for queue in declared.queues] == ["orders", "orders-failed"]
    assert [(topic.name, len(topic.subscriptions)) for topic in declared.topics] == [("news", 2)]
    assert [(one.name, len(one.mappings)) for one in declared.functions] == [("ship", 1)]


def test_every_module_of_the_architecture_page_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:[a-z_]+/)?[a-z_]+\.py)`", page))
    assert named
    for name in named:
        packages = [ROOT / "broker", ROOT / "client"]
        assert any(list(package.rglob(name)) for package in packages) or (ROOT / name).exists(), name


def test_the_compatibility_table_is_the_codes() -> None:
    assert PAGE.read_text() == table(), "run python -m tests.compatibility"


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


PRINTED = [
    "two pigeons order\n",
    "billing: ['two pigeons']\nshipping: ['two pigeons', 'one swan']\n",
    "{'pigeons': 3}\n",
    "sent to http://localhost:4566/000000000000/parcels\n",
    "1000 doves\n",
]


@pytest.mark.parametrize(("session", "printed"), list(zip(sessions(), PRINTED, strict=True)))
def test_the_readmes_sessions_run(session: str, printed: str, broker: RunningBroker) -> None:
    script = session.replace("http://localhost:4566", broker.url)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.replace(broker.url, "http://localhost:4566") == printed


def test_the_readmes_consumer_runs(tmp_path: Path, broker: RunningBroker) -> None:
    (session,) = (session for session in sessions() if "parcels" in session)
    (command,) = re.findall(r"```sh\npombo consume (.*)\n```", README)
    handlers = re.findall(r"```python\n(def handler.*?)```", README, re.DOTALL)
    assert len(set(handlers)) == 1, "the example is the same, in a function and in a process"
    (tmp_path / "app.py").write_text(handlers[0])
    script = session.replace("http://localhost:4566", broker.url)
    subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=True)
    with consuming(tmp_path, *command.split(), AWS_ENDPOINT_URL=broker.url) as consumer:
        consumer.says("shipped two pigeons\n")
