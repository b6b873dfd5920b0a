"""The house keeps its shape: arrows point down, rooms stay small, time and chance come from one place."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "broker").rglob("*.py"), *(ROOT / "client").rglob("*.py")])
LINES_MAX = 400
BANNED = re.compile(
    r"\btime\.(time|time_ns|monotonic|perf_counter)\(|\brandom\.|\buuid[14]\(|\bdatetime\.(now|utcnow)\(|os\.urandom\("
)
# The top of a connection, of a request, and of the writer's thread: whoever waits there is told.
CATCHES_ALL = {"broker/wire/full_http.py": 1, "broker/wire/router.py": 5, "broker/store/group_commit.py": 1}
CATCHES_ALL["broker/store/writer_thread.py"] = 1
CATCHES_ALL["broker/store/flusher.py"] = 1  # kept for whoever calls next
CATCHES_ALL["broker/wire/eager.py"] = 1  # passes on whatever it is thrown
# It runs in a function's process, where there is no clock of ours; whatever a function raises goes to its caller.
BOOTSTRAP = "broker/services/lambda_/runtime/bootstrap_python.py"
CATCHES_ALL[BOOTSTRAP] = 2
READS_CLOCKS = {"broker/clock.py", "client/clock.py", BOOTSTRAP}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)


def test_arrows_point_down() -> None:
    checked = lint_imports(ROOT)
    assert checked.returncode == 0, checked.stdout


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the packages and their contracts, to be spoilt."""
    for package in ("broker", "client"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("broker.store.base", "broker.core.engine"),
        ("broker.core.queue", "broker.services.runtime"),
        ("broker.core.timed", "broker.wire.http"),
        ("broker.clock", "broker.store.changes"),
        ("broker.services.runtime", "broker.services.sqs.queues"),
        ("broker.core.window", "asyncio"),
        ("broker.wire.router", "aiohttp"),
        ("broker.services.lambda_.runtime.pool", "broker.store.base"),
        ("client.readiness", "broker.errors"),
    ],
)
def test_an_arrow_that_points_up_or_out_is_found(house: Path, lower: str, upper: str) -> None:
    """A deliberate violation: the check that stays green on the house as it is names the arrow."""
    with (house / f"{lower.replace('.', '/')}.py").open("a") as file:
        file.write(f"\nimport {upper}\n")
    checked = lint_imports(house)
    assert checked.returncode == 1
    assert re.search(rf"{re.escape(lower)}\s*->\s*{re.escape(upper)}\b", checked.stdout), checked.stdout


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_is_small_and_says_what_it_owns(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LINES_MAX
    assert ast.get_docstring(ast.parse(text)), "a module says what it owns"


@pytest.mark.parametrize("path", [p for p in SOURCES if name_of(p) not in READS_CLOCKS], ids=name_of)
def test_time_and_chance_are_injected(path: Path) -> None:
    assert not BANNED.search(path.read_text())


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_caught_and_ignored(path: Path) -> None:
    handlers = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)]
    swallowing = [h for h in handlers if catches_all(h) and not isinstance(h.body[-1], ast.Raise)]
    assert len(swallowing) == CATCHES_ALL.get(name_of(path), 0)
    assert not re.search(r"TO" r"DO|FIX" r"ME|NotImplementedError", path.read_text())


def catches_all(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    )
