"""Asking the JavaScript verifier many questions in one process of Node."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

NODE = shutil.which("node")
HERE = Path(__file__).parent

needs_node = pytest.mark.skipif(NODE is None, reason="node is not on the PATH")


def ask(questions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ask every question; bytes are sent as base64."""
    assert NODE is not None
    lines = [json.dumps(question, default=lambda data: base64.b64encode(data).decode()) for question in questions]
    done = subprocess.run(
        [NODE, str(HERE / "run.mjs")], input="\n".join(lines), capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def receipt_question(receipt: bytes, vkeys: Sequence[str], origin: str) -> dict[str, Any]:
    return {"ask": "receipt", "data": receipt, "vkeys": list(vkeys), "origin": origin}


def history_question(history: bytes, receipt: bytes, vkey: str, origin: str) -> dict[str, Any]:
    return {"ask": "history", "data": receipt, "history": history, "vkey": vkey, "origin": origin}
