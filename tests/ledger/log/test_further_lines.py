"""A log that signs with several algorithms: each key alone proves a receipt, and the first loses nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from gateway.bootstrap.ledger import open_ledger
from gateway.bootstrap.serving import Gateway
from gateway.config import load_settings
from gateway.founding import found
from ledger import KeyFileError, Ledger, NoteError, WrongKey, load_signer, parse_vkey, verify_receipt, write_key
from ledger.commands import fsck
from ledger.log.checkpoint import open_checkpoint
from ledger.log.key_file import KeyedSigner
from ledger.log.note import split_note
from ledger.receipt import parse_receipt
from tests import started
from tests.ledger.house import ORIGIN, Clock, House, submission

ALGORITHMS = ("ml-dsa-44", "sm2") if find_spec("gmssl_pyx") else ("ml-dsa-44",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A ledger that signs with further keys, and those keys."""

    house: House
    further: tuple[KeyedSigner, ...]

    def open(self) -> Ledger:
        return Ledger.open(
            self.house.url,
            origin=ORIGIN,
            signer=self.house.signer,
            verifiers=[self.house.signer.verifier],
            master_keys=self.house.master_keys,
            now=Clock(),
            cosigners=self.further,
        )


@pytest.fixture
def signed(house: House) -> Signed:
    keys = tuple(write_key(house.directory / f"{a}.key", ORIGIN, a, now=Clock()) for a in ALGORITHMS)  # type: ignore[arg-type]
    return Signed(house=house, further=keys)


def test_each_key_alone_verifies_a_receipt(signed: Signed) -> None:
    with signed.open() as ledger:
        receipt = ledger.append_blocking(submission()).receipts[0]
    assert len(split_note(parse_receipt(receipt).note)[1]) == 1 + len(ALGORITHMS)
    for key in (signed.house.signer, *signed.further):
        assert verify_receipt(receipt, [parse_vkey(key.verifier.vkey)], ORIGIN).size == 1
    every = [key.verifier for key in (signed.house.signer, *signed.further)]
    assert verify_receipt(receipt, every, ORIGIN).index == 0


def test_lines_begin_when_a_key_is_configured_and_older_checkpoints_stay_good(signed: Signed) -> None:
    with signed.house.open() as ledger:
        before = ledger.append_blocking(submission()).receipts[0]
    with signed.open() as ledger:
        after = ledger.append_blocking(submission()).receipts[0]
        assert ledger.receipt(0, 1) == before
    with signed.house.open() as ledger:
        last = ledger.append_blocking(submission()).receipts[0]
    further = signed.further[0].verifier
    assert verify_receipt(after, [further], ORIGIN).size == 2
    for receipt in (before, last):
        verify_receipt(receipt, [signed.house.signer.verifier], ORIGIN)
        with pytest.raises(WrongKey):
            verify_receipt(receipt, [further], ORIGIN)
    house = signed.house
    report = fsck(house.url, verifiers=[house.signer.verifier], origin=ORIGIN, master_keys=house.master_keys)
    assert report.damages == ()


def test_a_further_line_that_was_tampered_with_hurts_only_those_who_know_its_key(signed: Signed) -> None:
    with signed.open() as ledger:
        receipt = ledger.append_blocking(submission()).receipts[0]
    lines = receipt.decode().split("\n")
    at = next(n for n, line in enumerate(lines) if line.startswith("— ") and len(line) > 3000)
    lines[at] = lines[at][:1000] + ("A" if lines[at][1000] != "A" else "B") + lines[at][1001:]
    spoilt = "\n".join(lines).encode()
    assert verify_receipt(spoilt, [signed.house.signer.verifier], ORIGIN).index == 0
    with pytest.raises(NoteError):
        verify_receipt(spoilt, [signed.house.signer.verifier, signed.further[0].verifier], ORIGIN)


def chengxin(*arguments: object) -> str:
    done = started.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_make_keys_that_the_gateway_signs_with(tmp_path: Path) -> None:
    sources = '[sources.civil]\nkind = "dropbox"\ndepartment = "示例"\nfolder = "/nowhere"\n'
    sources += '[sources.civil.facts.cremation-record]\nkey = "a"\n'
    house = found(tmp_path / "var", now=datetime.now(UTC), sources=sources, listen="127.0.0.1:0")
    origin = load_settings(house.config).ledger.origin
    vkeys = {}
    for algorithm in ALGORITHMS:
        made = chengxin(
            "keys", "create", house.home / "keys" / algorithm, "--algorithm", algorithm, "--name", origin, "--json"
        )
        vkeys[algorithm] = json.loads(made)["vkey"]
    listed = ", ".join(f'"keys/{a}"' for a in ALGORITHMS)
    text = house.config.read_text()
    assert "cosigner_key_files = []" in text
    house.config.write_text(text.replace("cosigner_key_files = []", f"cosigner_key_files = [{listed}]"))

    async def serve() -> None:
        stop = asyncio.Event()
        await Gateway(load_settings(house.config)).serve(lambda _port: stop.set(), stop)

    asyncio.run(serve())
    with open_ledger(load_settings(house.config).ledger) as ledger:
        note, receipt = ledger.checkpoint(), ledger.receipt(0)
    signer = load_signer(house.home / "keys" / "log.key", origin)
    for key in (signer.verifier, *map(parse_vkey, vkeys.values())):
        assert open_checkpoint(note, [key], origin).size == 1
    (tmp_path / "receipt").write_bytes(receipt)
    (tmp_path / "pq.pub").write_text(vkeys["ml-dsa-44"] + "\n")
    assert "verified: index 0, size 1" in chengxin(
        "ledger", "verify", tmp_path / "receipt", "--key", tmp_path / "pq.pub"
    )
    (house.home / "keys" / "ml-dsa-44").chmod(0o644)
    with pytest.raises(KeyFileError, match="0600"):
        asyncio.run(serve())


PARSE = "from ledger import parse_vkey\nparse_vkey({KEY!r})"
WITHOUT = """
import sys
sys.modules[{module!r}] = None
{program}
"""


@pytest.mark.parametrize(
    ("module", "program", "extra"),
    [
        ("gmssl_pyx", PARSE.replace("KEY", "sm2"), "chengxin[gm]"),
        ("asn1crypto", "from ledger.log.algorithms.sm2_key import Sm2PrivateKey as K\nK.from_pem(b'')", "chengxin[gm]"),
        ("cryptography.hazmat.primitives.asymmetric.mldsa", PARSE.replace("KEY", "pq"), "48 or later"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(signed: Signed, module: str, program: str, extra: str) -> None:
    keys = dict(zip(("pq", "sm2"), (key.verifier.vkey for key in signed.further), strict=False))
    if module == "gmssl_pyx" and "sm2" not in keys:
        pytest.skip("the extra `gm` is not installed")
    text = WITHOUT.format(module=module, program=program.format(**keys) if "{" in program else program)
    done = subprocess.run([sys.executable, "-c", text], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert extra in done.stderr.splitlines()[-1]
