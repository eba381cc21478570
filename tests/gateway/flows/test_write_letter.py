"""Letters from a real ledger, in states that a journey does not come to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.bootstrap.ledger import open_ledger
from gateway.config import load_settings
from gateway.errors import DocumentErased, LetterMissing, RecordNotFound
from gateway.flows.look_up import LookUp
from gateway.flows.reading.write_letter import Form, WriteLetter
from gateway.founding import found
from gateway.letters.pdf import Printer
from gateway.rules.roles import Caller, Role
from ledger import Draft, Ledger, Submission, new_record
from ledger.canonical import Json, canonical
from tests.gateway.letters.making import CIVIL, document
from tests.gateway.letters.test_commands import SOURCES
from tests.ledger.house import as_now

CLERK = Caller(id="spiffe://chengxin.example/org/112300000000002027/clerk", unit=CIVIL, roles=frozenset({Role.CLERK}))
AUDITOR = Caller(id="x", unit="y", roles=frozenset({Role.AUDITOR}))
CERTIFICATE: Mapping[str, Json] = {"algorithm": "SM2_SM3", "signature": "00"}


@dataclass(slots=True, kw_only=True)
class Desk:
    """A ledger with one record, and what writes its letters."""

    ledger: Ledger
    write: WriteLetter
    record: bytes

    async def append(self, *kinds: str, **groups: Json) -> None:
        drafts = tuple(
            Draft(kind=kind, record=self.record, groups=groups, facts={"unit": CIVIL, "item": "kinship"})
            for kind in kinds
        )
        await self.ledger.append(Submission(drafts, datetime.now(UTC)))

    async def text(self) -> str:
        return (await self.write(self.record, CLERK, Form.TEXT)).content.decode()


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Desk]:
    house = found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES, listen="127.0.0.1:0")
    settings = load_settings(house.config).ledger
    with open_ledger(settings) as ledger:
        write = WriteLetter(
            ledger=ledger,
            look_up=LookUp(ledger),
            printer=Printer(),
            origin=settings.origin,
            where="https://log.example",
        )
        yield Desk(ledger=ledger, write=write, record=new_record(datetime.now(UTC), os.urandom))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened(tmp_path) as here:
        yield here


async def test_an_erased_commitment_has_no_letter_in_any_form(desk: Desk) -> None:
    await desk.append("CommitmentPrepared", document=document())
    await desk.append("CommitmentRecorded", signature=dict(CERTIFICATE))
    assert await desk.text()
    order = Draft(kind="DocumentErased", record=new_record(datetime.now(UTC), os.urandom))
    await desk.ledger.append(Submission((order,), datetime.now(UTC), erase=as_now(desk.ledger, desk.record)))

    for form in Form:
        with pytest.raises(DocumentErased):
            await desk.write(desk.record, AUDITOR, form)


async def test_a_refusal_has_no_letter(desk: Desk) -> None:
    await desk.append("CommitmentRefused", refusal={"reason": "COMMITMENT_BARRED"})

    for form in Form:
        with pytest.raises(LetterMissing):
            await desk.write(desk.record, CLERK, form)


async def test_a_refusal_that_was_lifted_has_a_letter_once_the_document_is_prepared(desk: Desk) -> None:
    await desk.append("CommitmentRefused", "RefusalContested", "RefusalLifted")
    with pytest.raises(LetterMissing):
        await desk.text()
    await desk.append("CommitmentPrepared", document=document())

    assert "未签署" in await desk.text()


async def test_a_refused_signature_leaves_the_letter_unsigned(desk: Desk) -> None:
    await desk.append("CommitmentPrepared", document=document())
    await desk.append("CommitmentRefused", refusal={"reason": "SIGNATURE_REFUSED"})

    assert "未签署" in await desk.text()
    assert (await desk.write(desk.record, CLERK, Form.DOCUMENT)).content == canonical(document())


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (("DecisionRecorded",), "已据以作出行政决定"),
        (("MilestonePassed",), "撤回期限已过"),
        (("CommitmentLapsed",), "【已失效】"),
        (("CommitmentWithdrawn",), "【已撤回】"),
        (("DecisionRecorded", "CommitmentConfirmed"), "经核查属实"),
        (("DecisionRecorded", "CommitmentDisputed"), "核查中"),
        (("DecisionRecorded", "CommitmentDisputed", "CommitmentBroken"), "【认定不实】"),
        (("DecisionRecorded", "CommitmentDisputed", "CommitmentBroken", "CommitmentRepaired"), "信用已修复"),
        (("DecisionRecorded", "CommitmentDisputed", "CommitmentInconclusive"), "无法得出结论"),
    ],
)
async def test_a_letter_tells_how_the_commitment_stands(kinds: tuple[str, ...], told: str, desk: Desk) -> None:
    await desk.append("CommitmentPrepared", document=document())
    await desk.append("CommitmentRecorded", signature=dict(CERTIFICATE))
    await desk.append(*kinds)

    text = await desk.text()
    assert told in text
    assert "SM2 SM3" in text
    assert (await desk.write(desk.record, CLERK, Form.PDF)).content.startswith(b"%PDF-1.7")


async def test_an_expired_document_is_marked(desk: Desk) -> None:
    await desk.append("CommitmentPrepared", document=document())
    await desk.append("CommitmentExpired")

    assert "【已失效】" in await desk.text()


@pytest.mark.parametrize(("evidence", "told"), [("witnessed", "经办人见证"), ("platform", "实名认证平台")])
async def test_other_ways_of_signing_are_told(evidence: str, told: str, desk: Desk) -> None:
    await desk.append("CommitmentPrepared", document=document())
    await desk.append("CommitmentRecorded", signature={**CERTIFICATE, "type": evidence})

    assert told in await desk.text()


async def test_a_letter_signed_by_hand_bears_the_day_that_the_witness_states(desk: Desk) -> None:
    statement = canonical({"witnessed_at": "2026-05-31T15:59:59.000000Z"}).decode()  # 23:59:59 in China
    signature = {**CERTIFICATE, "type": "witnessed", "statement": statement}
    await desk.append("CommitmentPrepared", document=document())
    await desk.append("CommitmentRecorded", signature=signature)

    assert "日期：2026年5月31日" in await desk.text()


async def test_another_units_letter_is_not_told_from_none(desk: Desk) -> None:
    await desk.append("CommitmentPrepared", document=document())
    stranger = Caller(id="x", unit="11230000000000101E", roles=frozenset({Role.CLERK}))

    with pytest.raises(RecordNotFound):
        await desk.write(desk.record, stranger, Form.TEXT)
    assert (await desk.write(desk.record, AUDITOR, Form.TEXT)).content
