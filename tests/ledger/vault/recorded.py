"""Ledgers with documents in them, and what their databases hold byte for byte."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.engine import make_url

from ledger import Draft, Ledger
from ledger.log import schema
from ledger.log.store import open_store
from ledger.vault.erasure import ErasureOrder
from ledger.vault.officers import Officer, Officers, OfficerSigner
from tests.ledger.house import House, submission

FIRST = Officer(number="230100-07", name="张三")
SECOND = Officer(number="230100-12", name="李四")
FIRST_SIGNER, SECOND_SIGNER = (OfficerSigner(officer, Ed25519PrivateKey.generate()) for officer in (FIRST, SECOND))
OFFICERS = Officers((signer.officer, signer.sign(None).public_key) for signer in (FIRST_SIGNER, SECOND_SIGNER))


@dataclass(frozen=True)
class Secret:
    """What must not be found any more once a record is erased."""

    record: bytes
    keys: tuple[bytes, ...]
    """Pieces of the wrapped data keys."""
    texts: tuple[bytes, ...]
    """The name, and pieces of the ciphertexts."""

    @property
    def needles(self) -> tuple[bytes, ...]:
        return self.keys + self.texts


def order(*records: bytes, **changes: object) -> ErasureOrder:
    settings: dict[str, object] = {
        "records": records,
        "basis": "《个人信息保护法》第四十七条",
        "document_number": "黑数删〔2026〕7号",
    }
    return ErasureOrder(**{**settings, **changes})  # type: ignore[arg-type]


def commitment(record: bytes, name: str) -> list[Draft]:
    """A record of three entries, each with a document; the middle one is longer than a page of any database."""
    long = f"{name}-" + "长" * 4000
    return [
        Draft(kind="CommitmentPrepared", record=record, fields={"person": {"name": name, "town": "甲镇"}}),
        Draft(kind="CommitmentRecorded", record=record, groups={"signed": long}),
        Draft(kind="DecisionRecorded", record=record, groups={"decision": {"by": name}}),
    ]


def fill(ledger: Ledger, count: int) -> list[bytes]:
    """Append so many commitments, of people named after their record; returns the records."""
    records = [os.urandom(16) for _ in range(count)]
    for record in records:
        ledger.append_blocking(submission(*commitment(record, name_of(record))))
    return records


def name_of(record: bytes) -> str:
    return f"名{record.hex()}"


def indices(ledger: Ledger, record: bytes) -> list[int]:
    return [line.idx for line in ledger.register().history(record)]


def secret(url: str, ledger: Ledger, record: bytes) -> Secret:
    """Read what the database holds of a record: plaintext, wrapped keys, ciphertexts."""
    key, document = schema.vault_key, schema.vault_document
    question = (
        select(key.c.wrapped, document.c.sealed)
        .select_from(key.join(document, document.c.idx == key.c.idx))
        .where(key.c.idx.in_(indices(ledger, record)))
    )
    store = open_store(url, readers=1)
    try:
        with store.reading() as connection:
            rows = connection.execute(question).all()
    finally:
        store.close()
    assert rows
    texts = [piece for row in rows for piece in (bytes(row.sealed)[12:44], bytes(row.sealed)[-32:])]
    keys = tuple(bytes(row.wrapped)[12:44] for row in rows)
    return Secret(record, keys, (*texts, name_of(record).encode()))


def files_of(house: House) -> list[Path]:
    """Every file of the ledger's database."""
    url = make_url(house.url)
    if url.get_backend_name() == "sqlite":
        return [path for path in Path(str(url.database)).parent.iterdir() if path.name.startswith("ledger.db")]
    root = Path(str(url.query["host"])) / "data" / "base"
    return [path for path in root.rglob("*") if path.is_file()]


def dump(url: str, target: Path) -> Path:
    """A logical backup by pg_dump, in plain text."""
    from tests.postgres import _binaries

    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    tool = _binaries() / "bin" / "pg_dump"
    subprocess.run([str(tool), "--file", str(target), plain], check=True, stdout=subprocess.DEVNULL)
    return target


def holds(path: Path, needle: bytes) -> bool:
    """Tell whether a file holds some bytes, as they are or in hexadecimal."""
    content = path.read_bytes()
    return needle in content or needle.hex().encode() in content
