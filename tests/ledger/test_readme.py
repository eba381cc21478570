"""What the README shows works as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import ledger

README = (Path(ledger.__file__).parent / "README.md").read_text("utf-8")


def test_the_script_of_the_readme_appends_and_verifies(tmp_path: Path) -> None:
    script = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert script is not None
    done = subprocess.run(
        [sys.executable, "-c", script[1]], cwd=tmp_path, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout.startswith("VerifiedReceipt(entry=Entry(kind='VerificationAnswered'")
    assert "index=0, size=1" in done.stdout


def test_the_ledger_alone_loads_neither_gateway_nor_connectors() -> None:
    program = (
        "import sys, ledger\nfrom ledger import Ledger, verify_receipt\n"
        "print(sorted({m.split('.')[0] for m in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "'ledger'" in loaded
    assert "'gateway'" not in loaded
    assert "'connectors'" not in loaded


def test_every_room_of_the_ledger_is_in_the_readme() -> None:
    rooms = {path.name for path in Path(ledger.__file__).parent.iterdir() if path.is_dir() and path.name[0] not in "_."}
    assert [room for room in sorted(rooms - {"v1"}) if f"`{room}/`" not in README] == []
