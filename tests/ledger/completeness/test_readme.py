"""What the README tells of the map is so."""

from __future__ import annotations

import re
from pathlib import Path

import ledger
from ledger.completeness.changes import index_key
from ledger.completeness.smt import map_root
from tests.ledger.completeness import naive

README = (Path(ledger.__file__).parent / "README.md").read_text("utf-8")


def test_the_roots_of_three_records() -> None:
    block = re.search(r"```text map\n(.*?)```", README, re.DOTALL)
    assert block is not None
    pairs: dict[bytes, bytes] = {}
    for part in block[1].split("\n\n"):
        told = dict(line.split() for line in part.splitlines())
        pairs[index_key(bytes.fromhex(told["record"]))] = bytes.fromhex(told["value"])
        assert map_root(pairs).hex() == naive.root(pairs).hex() == told["root"]
    assert len(pairs) == 3
