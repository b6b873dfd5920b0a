"""What is compiled: the modules that pyproject.toml names, none of which mypyc would change the meaning of."""

import ast
import importlib
import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.core.message import sequence_number

ROOT = Path(__file__).parents[1]
MODULES: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pombo"]["compiled"]


def classes(module: str) -> Iterator[ast.ClassDef]:
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


@pytest.mark.parametrize("module", MODULES)
def test_no_class_has_options_or_a_metaclass(module: str) -> None:
    """mypyc drops `rename="pascal"` and the like, and abstract classes share what ABCMeta remembers of their instances."""
    for found in classes(module):
        assert not found.keywords, f"{found.name} has options"
        bases = {ast.unparse(base) for base in found.bases}
        assert not bases & {"ABC", "msgspec.Struct"}, f"{found.name} has a metaclass"


@pytest.mark.parametrize("module", MODULES)
def test_no_integer_is_longer_than_a_compiled_one(module: str) -> None:
    """Beyond 62 bits they are objects, compared slowly, and each that becomes a text is never let go of."""
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            assert node.value < 1 << 62
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.LShift) and isinstance(node.right, ast.Constant):
            assert node.right.value < 62


@pytest.mark.parametrize("module", MODULES)
def test_no_coroutine_waits_while_it_handles_an_exception(module: str) -> None:
    """The exception would stay the thread's, and be the context of every later one: each a little slower than the one before."""
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    handlers = [
        step for each in ast.walk(tree) if isinstance(each, ast.Try) for step in (*each.handlers, *each.finalbody)
    ]
    waits = ast.Await | ast.Yield | ast.YieldFrom | ast.AsyncFor | ast.AsyncWith
    assert not [found.lineno for step in handlers for found in ast.walk(step) if isinstance(found, waits)]


def test_a_sequence_number_leaves_nothing_behind() -> None:
    sequence_number(1 << 40)
    before = sys.getallocatedblocks()
    for order in range(1 << 40, (1 << 40) + 10_000):
        sequence_number(order)
    assert sys.getallocatedblocks() - before < 1_000


@pytest.mark.skipif(not os.environ.get("POMBO_COMPILED"), reason="make test-compiled asks this")
def test_what_is_tested_is_compiled() -> None:
    assert [name for name in MODULES if str(importlib.import_module(name).__file__).endswith(".py")] == []
