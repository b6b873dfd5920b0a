"""What pyproject.toml cannot say of the build: its list of modules is compiled to C by mypyc.

Where there is no C compiler, or no headers of Python's, the wheel holds the same modules for the interpreter; POMBO_PURE=1 asks for
that. An editable install is never compiled: it runs the source as it is now. `pombo --version` says which it is.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from setuptools import Extension, setup

ROOT: Final = Path(__file__).parent
COMPILER: Final = "mypy[mypyc]==2.4.1"  # pinned: another compiler's code is another program
BUILDING: Final = {"bdist_wheel", "build", "build_ext"}
# `make types` checks the code, with its dependencies. Here they are never looked at, so that one version is compiled everywhere:
# what comes from them has no type, and arguments of their classes are unknown.
MYPY: Final = ("--config-file=", "--no-site-packages", "--ignore-missing-imports", "--disable-error-code=call-arg")


def obstacle() -> str:
    """Why nothing can be compiled here; nothing: it can."""
    if os.environ.get("POMBO_PURE", "0") not in ("", "0"):
        return "POMBO_PURE is set"
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} is not CPython"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "tried.c")
        source.write_text("#include <Python.h>\nint tried(void) { return PyGILState_Check(); }\n")
        command = [*compiler, "-c", str(source), "-o", f"{source}.o", f"-I{sysconfig.get_path('include')}"]
        try:
            tried = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"{compiler[0]} cannot be run: {error.strerror}"
    return f"{compiler[0]} does not compile against Python's headers: {tried.stderr[:300]}" if tried.returncode else ""


OBSTACLE: Final = obstacle()
# No other library takes the place of one of our functions: they are called, or inlined, without a look at the linker's table.
OWN_CALLS: Final = ("-fvisibility=hidden", "-fno-semantic-interposition")


def extensions() -> list[Extension]:
    """The compiled modules, if this is a build and it can have any."""
    if not BUILDING & set(sys.argv):
        return []
    if OBSTACLE:
        print(f"Pombo's modules are not compiled: {OBSTACLE}", file=sys.stderr)
        return []
    from mypyc.build import mypycify

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    modules = [f"{name.replace('.', '/')}.py" for name in project["tool"]["pombo"]["compiled"]]
    compiled: list[Extension] = mypycify([*MYPY, *modules], opt_level="2", debug_level="0", group_name="pombo")
    if sys.platform != "win32":
        for extension in compiled:
            extension.extra_compile_args += OWN_CALLS
    return compiled


setup(ext_modules=extensions(), setup_requires=[] if OBSTACLE else [COMPILER])
