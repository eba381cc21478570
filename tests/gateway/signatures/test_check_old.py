"""check.py of evidence packs runs with the oldest Python that a court's machine may have."""

from __future__ import annotations

import ast
import shutil
import subprocess
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from gateway.evidence_pack.check import after, moment
from gateway.evidence_pack.collecting import CHECK
from ledger.canonical import format_time
from tests.gateway.signatures.authorities import NOW

TREE = ast.parse(CHECK.read_text("utf-8"), feature_version=(3, 6))
LATER = {
    "removeprefix", "removesuffix", "fromisoformat", "isascii", "is_relative_to", "with_stem", "readlink",
    "hardlink_to", "walk", "capture_output", "missing_ok", "strict", "pairwise", "batched", "cache", "cached_property",
    "dataclass", "bit_count", "prod", "comb", "file_digest", "Literal", "Final", "Protocol", "TypedDict", "Self",
}  # fmt: skip
"""Names of attributes, arguments and imports of the standard library that Python 3.6 does not have."""
LIBRARY = {"base64", "hashlib", "json", "re", "sys", "unicodedata", "datetime", "pathlib", "typing"}


def test_its_syntax_is_of_python_3_6() -> None:
    for node in ast.walk(TREE):
        assert not isinstance(node, ast.NamedExpr | ast.Match)
        assert not (isinstance(node, ast.arguments) and node.posonlyargs)


def test_it_uses_no_name_that_came_later() -> None:
    imported = [one for one in ast.walk(TREE) if isinstance(one, ast.Import | ast.ImportFrom)]
    used = {one.attr for one in ast.walk(TREE) if isinstance(one, ast.Attribute)}
    used |= {one.arg for one in ast.walk(TREE) if isinstance(one, ast.keyword) and one.arg}
    used |= {name.name for one in imported for name in one.names}
    assert used & LATER == set()
    modules = {name.name for one in imported if isinstance(one, ast.Import) for name in one.names}
    modules |= {one.module or "" for one in imported if isinstance(one, ast.ImportFrom)}
    assert modules <= LIBRARY


def test_no_type_is_subscripted_that_could_not_be() -> None:
    for node in ast.walk(TREE):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in {"list", "dict", "set", "tuple", "frozenset", "type"}
        assert not (isinstance(node, ast.arg) and isinstance(node.annotation, ast.BinOp))  # X | Y


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.9"])
def test_an_old_python_that_is_here_runs_it(tmp_path: Path, version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode:
        pytest.skip("not installed")
    done = subprocess.run([python, str(CHECK)], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[:2], done.stderr) == (1, ["FAILED", "FileNotFoundError:"], "")


def test_times_are_read_as_they_are_written_and_nothing_else() -> None:
    for at in (NOW, NOW.replace(microsecond=7), NOW.astimezone(timezone(timedelta(hours=8)))):
        assert moment(format_time(at)) == moment(at.isoformat()) == at
    for other in ("2026-11-24T08:00:00", "2026-11-24", "", "2026-11-24T08:00:00.000000"):
        with pytest.raises(ValueError, match="time data"):
            moment(other)


def test_a_line_that_begins_otherwise_is_of_another_form() -> None:
    assert after("index ", "index 7") == "7"
    for other in ("", "7", "extra 7", " index 7"):
        with pytest.raises(ValueError, match="another form"):
            after("index ", other)
