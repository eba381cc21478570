"""Finding the programs of others that tests run. No test fetches anything; a skip tells the command that does, once."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest


def pythons() -> list[str]:
    """Interpreters from 3.12 on: `OUTSIDE_PYTHON`, those on the PATH, those of pyenv."""
    named = [os.environ.get("OUTSIDE_PYTHON"), *(shutil.which(f"python3.{minor}") for minor in range(20, 11, -1))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [name for name in named if name] + sorted(str(path) for path in pyenv.glob("3.1[2-9]*/bin/python3"))
    return [python for python in found if runs([python, "-c", "import sys; assert sys.version_info >= (3, 12)"])]


def runs(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def python_with(*packages: str) -> list[str]:
    """The command that runs Python (3.12 or newer) where some packages, `name==version`, are; or skip.

    This environment if they are installed here, else one of their own from the cache of `uv`.
    """
    modules = [package.partition("==")[0].replace("-", "_") for package in packages]
    if all(importlib.util.find_spec(module) for module in modules):
        return [sys.executable]
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    found = pythons()
    if uv is None or not found:
        pytest.skip(f"{', '.join(packages)}: needs Python 3.12 or newer (OUTSIDE_PYTHON names one) and uv")
    added = [part for package in packages for part in ("--with", package)]
    base = [uv, "run", "--quiet", "--no-project", "--python", found[0], *added]
    command = [*base, "--offline", "python"]
    if not runs([*command, "-c", f"import {', '.join(modules)}"]):
        pytest.skip(f"{', '.join(packages)}: not in the cache of uv; fetch once: {' '.join([*base, 'true'])}")
    return command
