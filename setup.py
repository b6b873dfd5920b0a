"""What pyproject.toml cannot say of the build: its list of modules is compiled to C by mypyc.

Where there is no C compiler, or no headers of Python's, the wheel holds the same modules for the interpreter, and says so while
it is built; POMBO_PURE=1 asks for that. An editable install is never compiled: it runs the source as it is now.
"""

import os
import shutil
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Final

from setuptools import Extension, setup

ROOT: Final = Path(__file__).parent
BUILDING: Final = {"bdist_wheel", "build", "build_ext"}
# What is compiled is checked by the project's own run of mypy, which knows its dependencies; this one has none of them.
MYPY: Final = ("--config-file=", "--ignore-missing-imports", "--python-executable", sys.executable)


def obstacle() -> str:
    """Why nothing can be compiled here; nothing: it can."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    header = Path(sysconfig.get_path("include"), "Python.h")
    if os.environ.get("POMBO_PURE", "0") not in ("", "0"):
        return "POMBO_PURE is set"
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} is not CPython"
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not header.exists():
        return f"Python's headers are not installed ({header})"
    return ""


def extensions() -> list[Extension]:
    """The compiled modules, if this is a build and it can have any."""
    if not BUILDING & set(sys.argv):
        return []
    if why := obstacle():
        print(f"Pombo's modules are not compiled: {why}.", file=sys.stderr)
        return []
    from mypyc.build import mypycify

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    modules = [f"{name.replace('.', '/')}.py" for name in project["tool"]["pombo"]["compiled"]]
    compiled: list[Extension] = mypycify([*MYPY, *modules], opt_level="2", debug_level="0", group_name="pombo")
    return compiled


setup(ext_modules=extensions())
