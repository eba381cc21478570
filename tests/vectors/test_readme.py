"""The vectors printed in `ledger/README.md` are true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import ledger
from ledger import decode_entry, parse_vkey, verify_receipt
from ledger.disclosure import verify_disclosure
from ledger.log.checkpoint import open_checkpoint
from ledger.merkle import EMPTY_ROOT, hash_children, hash_leaf
from ledger.publication.bundle import parse_bundle
from ledger.publication.paths import parse_path
from ledger.records.codec import LONGEST_ENTRY, commit_value
from ledger.records.commitments import commit_fields, digest_field
from ledger.records.lifecycle import FAMILIES, FAMILY_OF

README = (Path(ledger.__file__).parent / "README.md").read_text("utf-8")


def block(name: str) -> str:
    """The one fenced block of a name."""
    (found,) = re.findall(rf"^```text {name}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return str(found)


def rows(name: str) -> list[tuple[str, str]]:
    return [
        (row[0], row[1]) for line in block(name).splitlines() if len(row := re.split(r"  +", line, maxsplit=1)) == 2
    ]


def groups(name: str) -> list[dict[str, str]]:
    """Blocks of rows, separated by empty lines."""
    return [
        dict(re.split(r"  +", line, maxsplit=1) for line in part.splitlines()) for part in block(name).split("\n\n")
    ]


def test_the_hashes() -> None:
    empty, one = hash_leaf(b""), hash_leaf(b"a")
    made = [EMPTY_ROOT, empty, one, hash_children(empty, one)]
    assert [value for _, value in rows("hashes")] == [value.hex() for value in made]


def test_the_entries_one_of_each_family() -> None:
    told = groups("entries")
    assert {one["family"] for one in told} == set(FAMILIES)
    for one in told:
        entry = decode_entry(one["entry"].encode())
        assert FAMILY_OF[entry.kind].name == one["family"]
        assert hash_leaf(one["entry"].encode()).hex() == one["leaf hash"]


def test_the_commits_of_the_first_entry() -> None:
    commits = decode_entry(groups("entries")[0]["entry"].encode()).commits
    told = groups("commits")
    assert {one["group"] for one in told} == set(commits)
    for one in told:
        computed = commit_value(one["group"], bytes.fromhex(one["salt"]), one["value"].encode())
        assert computed == one["commit"] == commits[one["group"]]


def test_the_commit_by_fields_and_the_disclosure_of_one_of_them() -> None:
    *fields, whole = groups("fields")
    for one in fields:
        salt = bytes.fromhex(one["salt"])
        assert digest_field(one["group"], one["field"], salt, one["value"].encode()) == one["digest"]
    digests = {one["field"]: one["digest"] for one in fields}
    assert commit_fields(whole["group"], bytes.fromhex(whole["salt"]), digests) == whole["commit"]
    vkey, disclosure = block("disclosure").splitlines()
    key = parse_vkey(vkey)
    verified = verify_disclosure(disclosure.encode(), [key], key.name)
    assert verified.receipt.entry.commits == {whole["group"]: whole["commit"]}
    assert verified.value == {fields[0]["field"]: json.loads(fields[0]["value"])}
    assert verified.withheld == (fields[1]["field"],)


def test_the_key_opens_the_checkpoint_and_verifies_the_receipt() -> None:
    key = parse_vkey(block("vkey"))
    opened = open_checkpoint(block("checkpoint").encode(), [key], key.name)
    proved = verify_receipt(block("receipt").encode(), [key], key.name)
    assert (proved.size, proved.root) == (opened.size, opened.root)
    assert block("receipt").endswith("\n\n" + block("checkpoint"))


def test_the_paths() -> None:
    for told, path in rows("paths"):
        number, _, width = told.partition(", W ")
        read = parse_path(path)
        assert (read.n, read.width) == (int(number), int(width or 256))


def test_the_bundle() -> None:
    assert parse_bundle(bytes.fromhex(block("bundle")), 3) == [b"a", b"", b"bc"]


def test_the_fields_of_an_entry_are_all_told() -> None:
    section = README.partition("\n### Entry\n")[2].partition("\n### ")[0]
    told = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    first = groups("entries")[0]["entry"]
    assert re.findall(r'[{,]"(\w+)":', re.sub(r'"commits":\{.*?\}', '"commits":0', first)) == told
    assert f"{LONGEST_ENTRY:,} bytes" in README
