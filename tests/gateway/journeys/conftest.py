"""A whole gateway on loopback: real mutual TLS, real databases, a folder of drops, real certificates."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from grpc import aio

from gateway.bootstrap.serving import Gateway
from gateway.client import open_channel
from gateway.config import load_settings
from gateway.founding import SYSTEMS, House, found
from gateway.pki import Authority, PrivateKey, der
from gateway.v1 import (
    audit_pb2_grpc,
    commitment_pb2,
    commitment_pb2_grpc,
    credit_pb2_grpc,
    parties_pb2,
    verification_pb2,
    verification_pb2_grpc,
)

NAME = "示例甲"
NUMBER = "230199198001010072"
"""A fictitious person of a division that does not exist; the check digit is right."""
ADDRESS = "示例路1号"
MATTER = "230000-MSA-001"
ITEM = "business-premises"
TIMEOUT = 20

SOURCES = """
[sources.civil-affairs]
kind = "sql"
department = "民政厅"
url = "sqlite:///{civil}"
[sources.civil-affairs.facts.marriage-registration]
coverage = "complete"
statement = "SELECT id_number, name, status FROM marriage WHERE id_number IN :keys"
key = "id_number"
name = "name"
columns = {{ status = "status" }}
values = {{ status = {{ MARRIED = "MARRIED", DIVORCED = "DIVORCED", WIDOWED = "WIDOWED" }} }}

[sources.housing]
kind = "dropbox"
department = "自然资源厅"
folder = "{drops}"
[sources.housing.facts.home-ownership]
key = "id_number"
name = "name"
columns = {{ address = "address" }}

[sources.leases]
kind = "sql"
department = "住房城乡建设厅"
url = "sqlite:///{leases}"
[sources.leases.facts.lease-filing]
statement = "SELECT id_number, name, address FROM lease WHERE id_number IN :keys"
key = "id_number"
name = "name"
columns = {{ address = "address" }}
"""


@dataclass(slots=True, kw_only=True)
class Town:
    """A running gateway, its backends' files, and stubs for the systems that call."""

    house: House
    port: int
    civil: Path
    drops: Path
    leases: Path
    channels: list[aio.Channel] = field(default_factory=list)

    def channel(self, system: str) -> aio.Channel:
        certificate, key = self.house.pair(system)
        channel = open_channel(
            f"127.0.0.1:{self.port}", authority=self.house.authority, certificate=certificate, key=key
        )
        self.channels.append(channel)
        return channel

    def verification(self, system: str = "clerk") -> verification_pb2_grpc.VerificationServiceAsyncStub:
        return verification_pb2_grpc.VerificationServiceStub(self.channel(system))

    def commitment(self, system: str = "clerk") -> commitment_pb2_grpc.CommitmentServiceAsyncStub:
        return commitment_pb2_grpc.CommitmentServiceStub(self.channel(system))

    def audit(self, system: str = "auditor") -> audit_pb2_grpc.AuditServiceAsyncStub:
        return audit_pb2_grpc.AuditServiceStub(self.channel(system))

    def credit(self, system: str = "credit") -> credit_pb2_grpc.CreditServiceAsyncStub:
        return credit_pb2_grpc.CreditServiceStub(self.channel(system))

    def sign(
        self,
        document: bytes,
        key: PrivateKey,
        *,
        name: str = NAME,
        number: str = NUMBER,
        authority: Authority | None = None,
    ) -> commitment_pb2.CertificateSignature:
        issuer = authority or Authority.load(*self.house.signers())
        certificate = issuer.person(name, number, key, now=datetime.now(UTC), valid=timedelta(days=30))
        return signature(document, key, der(certificate))


def signature(document: bytes, key: PrivateKey, certificate: bytes) -> commitment_pb2.CertificateSignature:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm, value = commitment_pb2.SIGNATURE_ALGORITHM_ED25519, key.sign(document)
    else:
        algorithm = commitment_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256
        value = key.sign(document, ec.ECDSA(hashes.SHA256()))
    return commitment_pb2.CertificateSignature(algorithm=algorithm, signature=value, certificates=[certificate])


def operator(system: str, person: str = "") -> parties_pb2.Operator:
    return parties_pb2.Operator(person=person or f"{system}-01", unit=SYSTEMS[system][0])


def question(
    case: str = "办2026-0001",
    *,
    item: str = ITEM,
    matter: str = MATTER,
    purpose: str = "办理行政许可",
    number: str = NUMBER,
    name: str = NAME,
    parameters: Mapping[str, parties_pb2.Value] | None = None,
    request_id: str = "",
    system: str = "clerk",
) -> verification_pb2.VerifyRequest:
    given = {"address": parties_pb2.Value(text=ADDRESS)} if parameters is None else parameters
    return verification_pb2.VerifyRequest(
        request_id=request_id or str(uuid.uuid4()),
        context=parties_pb2.CaseContext(matter=matter, case_id=case, purpose=purpose, operator=operator(system)),
        item=item,
        subject=parties_pb2.Subject(id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=number, name=name),
        parameters=given,
    )


def drop(folder: Path, fact: str, rows: list[tuple[str, str, str]], number: int) -> None:
    """Put a CSV drop and then its manifest into a folder, as a department does."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id_number", "name", "address"])
    writer.writerows(rows)
    content = text.getvalue().encode()
    file = f"drop-{number:04d}.csv"
    (folder / file).write_bytes(content)
    manifest = {
        "schema": 1,
        "fact_type": fact,
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": len(rows),
        **({} if rows else {"empty": True}),
        "as_of": (datetime.now(UTC) + timedelta(milliseconds=number)).isoformat(),
        "coverage": "complete",
        "charset": "utf-8",
        "key": "id_number",
        "columns": ["id_number", "name", "address"],
    }
    temporary = folder / f".{file}.manifest"
    temporary.write_text(json.dumps(manifest), "utf-8")
    temporary.rename(folder / f"drop-{number:04d}.manifest.json")


def execute(file: Path, statement: str, *values: str) -> None:
    """Run one statement on a department's database, as the department would."""
    database = sqlite3.connect(file)
    with database:
        database.execute(statement, values)
    database.close()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A town whose ledger is the embedded default."""
    async for here in run_town(tmp_path, "sqlite:///ledger.sqlite3"):
        yield here


@pytest.fixture
async def postgres_town(tmp_path: Path, postgres_url: str) -> AsyncIterator[Town]:
    """A town whose ledger is on PostgreSQL."""
    async for here in run_town(tmp_path, postgres_url):
        yield here


async def run_town(
    tmp_path: Path, url: str, configure: Callable[[House], None] = lambda _house: None
) -> AsyncIterator[Town]:
    """Found a town, let `configure` change its configuration, and run its gateway until the caller is done."""
    civil, drops, leases = tmp_path / "civil.sqlite3", tmp_path / "drops", tmp_path / "leases.sqlite3"
    drops.mkdir()
    execute(civil, "CREATE TABLE marriage (id_number TEXT, name TEXT, status TEXT)")
    execute(leases, "CREATE TABLE lease (id_number TEXT, name TEXT, address TEXT)")
    drop(drops, "home-ownership", [], 1)
    house = found(
        tmp_path / "var",
        now=datetime.now(UTC),
        sources=SOURCES.format(civil=civil, drops=drops, leases=leases),
        listen="127.0.0.1:0",
        url=url,
        remedy_days=0,
    )
    configure(house)
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(Gateway(load_settings(house.config)).serve(port.set_result, stop))
    await asyncio.wait({serving, port}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    here = Town(house=house, port=await port, civil=civil, drops=drops, leases=leases)
    yield here
    for channel in here.channels:
        await channel.close()
    stop.set()
    await serving
