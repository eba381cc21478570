"""The page about signatures says what the program does."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import gateway.signatures
from gateway.evidence_pack.recipe import StatusProof, Subject, steps
from gateway.signatures.evidence import witness_statement
from ledger.canonical import parse_canonical

PACKAGE = Path(gateway.signatures.__file__).parent
PAGE = (PACKAGE / "README.md").read_text("utf-8")


def test_every_code_of_a_refusal_is_in_the_table_and_no_other() -> None:
    source = "".join(path.read_text("utf-8") for path in PACKAGE.glob("*.py"))
    raised = set(re.findall(r'SignatureRefused\(\s*"([A-Z_0-9]+)"', source))
    table = PAGE.partition("## Refusals")[2].partition("## Evidence packs")[0]
    told = {code for line in table.splitlines() if line.startswith("| ") for code in line.split("|")[1].split(",")}
    assert {code.strip() for code in told} - {"code"} == raised
    assert len(raised) > 30


def test_every_code_has_a_test() -> None:
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    table = PAGE.partition("## Refusals")[2].partition("## Evidence packs")[0]
    codes = set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", table)) - {"INVALID_ARGUMENT"}
    assert [code for code in sorted(codes) if f'"{code}"' not in tests] == []


def test_the_commands_of_the_page_are_those_of_a_pack() -> None:
    at = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)
    status = StatusProof(file="revocation-1.crl.pem", certificate="signer.pem", issuer="anchor.pem", at=at)
    subject = Subject(kind="certificate", algorithm="ECDSA_P256_SHA256", verified_at=at, statuses=[status])
    found = [one.command for one in steps(subject, has_stamp=True)]
    block = re.findall(r"```sh\n(.*?)```", PAGE, re.S)[-1].replace("\\\n", "")
    assert [shlex.split(line) for line in block.splitlines()] == [shlex.split(line) for line in found]


def test_the_statement_of_the_page_has_the_fields_of_a_statement() -> None:
    at = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)
    made = parse_canonical(
        witness_statement(document=b"d", handwriting=b"h", seen="s", clerk="c", unit="u", witnessed_at=at)
    )
    line = next(line for line in PAGE.splitlines() if line.startswith('{"clerk"'))
    assert isinstance(made, dict)
    assert re.findall(r'"([a-z_]+)":', line) == list(made)
    assert str(made["witnessed_at"]) in line
