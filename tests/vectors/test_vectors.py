"""Every vector through the Python verifier; that the JavaScript one agrees is in `tests/ledger/javascript`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger import LedgerError, parse_vkey, verify_key_history, verify_receipt
from ledger.canonical import canonical, parse_time
from ledger.log.checkpoint import open_checkpoint
from ledger.merkle import hash_leaf, tree_root
from ledger.publication.bundle import format_bundle, parse_bundle
from ledger.publication.paths import implied, parse_path
from ledger.records.codec import commit_value, decode_entry, encode_entry
from ledger.records.lifecycle import FAMILIES
from tests.vectors.generate import HERE, decoded, files
from tests.vectors.receipts import grown


def load(name: str) -> Any:
    return json.loads((HERE / name).read_text("utf-8"))


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case.get("why", case.get("path"))) for case in load(name)]


def test_generating_the_vectors_again_changes_nothing() -> None:
    stale = [path.name for path, content in files().items() if path.read_text("utf-8") != content]
    assert stale == [], "run `python -m tests.vectors.generate`"


@pytest.mark.parametrize("case", cases("checkpoints.json"))
def test_checkpoint(case: Any) -> None:
    def open_it() -> tuple[int, str]:
        opened = open_checkpoint(decoded(case["note"]), [parse_vkey(vkey) for vkey in case["vkeys"]], case["origin"])
        return opened.size, opened.root.hex()

    if "error" in case:
        with pytest.raises(LedgerError) as refusal:
            open_it()
        assert type(refusal.value).__name__ == case["error"]
    else:
        assert open_it() == (case["size"], case["root"])


@pytest.mark.parametrize("case", cases("receipts.json"))
def test_receipt(case: Any) -> None:
    def verify() -> dict[str, object]:
        keys = [parse_vkey(vkey) for vkey in case["vkeys"]]
        proved = verify_receipt(decoded(case["receipt"]), keys, case["origin"])
        kind, record = proved.entry.kind, proved.entry.record.hex()
        return {"index": proved.index, "size": proved.size, "root": proved.root.hex(), "kind": kind, "record": record}

    if "error" in case:
        with pytest.raises(LedgerError) as refusal:
            verify()
        assert type(refusal.value).__name__ == case["error"]
    else:
        assert verify().items() <= case.items()


@pytest.mark.parametrize("case", cases("histories.json"))
def test_history(case: Any) -> None:
    def verify() -> dict[str, object]:
        history = verify_key_history(case["history"], case["vkey"], case["origin"])
        proved = history.verify_receipt(decoded(case["receipt"]))
        ranges = [[key.vkey, key.first, key.last] for key in history.keys]
        return {"ranges": ranges, "index": proved.index, "size": proved.size, "root": proved.root.hex()}

    if "error" in case:
        with pytest.raises(LedgerError) as refusal:
            verify()
        assert type(refusal.value).__name__ == case["error"]
    else:
        assert verify().items() <= case.items()


@pytest.mark.parametrize("case", cases("paths.json"))
def test_path(case: Any) -> None:
    if "error" in case:
        with pytest.raises(LedgerError) as refusal:
            parse_path(case["path"])
        assert type(refusal.value).__name__ == case["error"]
    else:
        path = parse_path(case["path"])
        assert (path.level, str(path.n), path.width) == (case["level"], case["n"], case["width"])


@pytest.mark.parametrize("case", cases("bundles.json"))
def test_bundle(case: Any) -> None:
    bundle = bytes.fromhex(case["bundle"])
    if "error" in case:
        with pytest.raises(LedgerError) as refusal:
            parse_bundle(bundle, case["count"])
        assert type(refusal.value).__name__ == case["error"]
    else:
        entries = [bytes.fromhex(entry) for entry in case["entries"]]
        assert parse_bundle(bundle, case["count"]) == entries
        assert format_bundle(entries) == bundle


@pytest.mark.parametrize("case", [pytest.param(case, id=case["kind"]) for case in load("entries.json")])
def test_entry(case: Any) -> None:
    leaf = case["bytes"].encode()
    entry = decode_entry(leaf)
    assert encode_entry(entry) == leaf
    assert hash_leaf(leaf).hex() == case["leaf_hash"]
    assert (entry.kind, entry.record.hex(), entry.seq, entry.policy) == (
        case["kind"], case["record"], case["seq"], case["policy"],
    )  # fmt: skip
    assert (entry.prev.hex() if entry.prev else None) == case["prev"]
    assert entry.at == parse_time(case["at"])
    commits = {
        group: commit_value(group, bytes.fromhex(one["salt"]), canonical(one["value"]))
        for group, one in case["groups"].items()
    }
    assert commits == entry.commits


def test_every_family_has_an_entry() -> None:
    assert {case["family"] for case in load("entries.json")} == set(FAMILIES)


def test_roots_and_implied_resources() -> None:
    told = load("tree.json")
    tree = grown()
    assert tree.leaves[: len(load("entries.json"))] == [case["bytes"].encode() for case in load("entries.json")]
    assert [tree.node(0, index).hex() for index in range(len(tree.leaves))] == told["leaf_hashes"]
    for size, root in told["roots"].items():
        assert tree_root(int(size), tree.node).hex() == root
    for size, paths in told["implied"].items():
        made = [str(path) for path in implied(int(size))]
        assert (len(made), made[-6:]) == (paths["count"], paths["last"])
