"""The letter of a commitment over mutual TLS, as a clerk's system fetches it, and as anybody checks it offline."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import uuid
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import grpc
import pypdf
import pypdfium2
import pytest
import zxingcpp
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from gateway.cli import cli
from gateway.errors import LetterDisagrees
from gateway.letters.checking import verify_letter
from gateway.letters.reference import Reference, parse_reference
from gateway.v1 import commitment_pb2 as pb
from ledger import KeyHistory, format_key_history, parse_vkeys, verify_disclosure
from ledger.canonical import canonical
from ledger.errors import DisclosureError, KeyHistoryError
from ledger.log.algorithms.ed25519 import Ed25519Verifier
from tests.gateway.journeys.conftest import ADDRESS, NAME, TIMEOUT, Town, operator, question


async def prepare(town: Town, case: str = "办-1") -> pb.PrepareCommitmentResponse:
    answer = await town.verification().Verify(question(case), timeout=TIMEOUT)
    request = pb.PrepareCommitmentRequest(
        request_id=str(uuid.uuid4()), verification=answer.verification.record, operator=operator("clerk")
    )
    return await town.commitment().PrepareCommitment(request, timeout=TIMEOUT)


async def record(town: Town, prepared: pb.PrepareCommitmentResponse) -> pb.RecordCommitmentResponse:
    request = pb.RecordCommitmentRequest(
        request_id=str(uuid.uuid4()),
        record=prepared.record,
        operator=operator("clerk"),
        document_digest=prepared.document_digest,
        certificate=town.sign(prepared.document, ec.generate_private_key(ec.SECP256R1())),
    )
    return await town.commitment().RecordCommitment(request, timeout=TIMEOUT)


async def letter(
    town: Town, record_: str, form: pb.LetterFormat = pb.LETTER_FORMAT_PDF, *, system: str = "clerk"
) -> pb.GetCommitmentLetterResponse:
    request = pb.GetCommitmentLetterRequest(record=record_, format=form)
    return await town.commitment(system).GetCommitmentLetter(request, timeout=TIMEOUT)


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    status, info = status_pb2.Status(), error_details_pb2.ErrorInfo()
    details = dict(caught.value.trailing_metadata() or ())
    status.ParseFromString(details["grpc-status-details-bin"])
    assert status.details[0].Unpack(info) or any(detail.Unpack(info) for detail in status.details)
    return caught.value.code(), info.reason


def code_of(pdf: bytes) -> Reference:
    found = pypdfium2.PdfDocument(pdf)
    page = found[len(found) - 1]
    bitmap = page.render(scale=3, grayscale=True)
    image = memoryview(bytes(bitmap.buffer)).cast("B", shape=[bitmap.height, bitmap.stride])
    (code,) = zxingcpp.read_barcodes(image)
    bitmap.close()
    page.close()
    found.close()
    return parse_reference(code.text)


async def test_a_letter_can_be_read_before_signing_and_fetched_signed_and_withdrawn(town: Town) -> None:
    prepared = await prepare(town)
    before = await letter(town, prepared.record)
    recorded = await record(town, prepared)
    after = await letter(town, prepared.record)
    withdrawal = pb.WithdrawCommitmentRequest(
        request_id=str(uuid.uuid4()), record=prepared.record, operator=operator("clerk"), reason="改为提交证明"
    )
    await town.commitment().WithdrawCommitment(withdrawal, timeout=TIMEOUT)
    withdrawn = await letter(town, prepared.record, pb.LETTER_FORMAT_TEXT)

    assert (before.media_type, before.content) == ("application/pdf", before.pdf)
    assert code_of(before.pdf).index == prepared.receipt.index
    assert code_of(after.pdf).index == recorded.receipt.index
    assert code_of(after.pdf).document == prepared.document_digest
    assert withdrawn.media_type == "text/plain; charset=utf-8"
    assert (withdrawn.pdf, "已撤回" in withdrawn.content.decode()) == (b"", True)
    assert prepared.text.splitlines()[0].endswith("【未签署】")


async def test_the_document_form_is_what_is_signed_to_the_byte(town: Town) -> None:
    prepared = await prepare(town)
    written = await letter(town, prepared.record, pb.LETTER_FORMAT_DOCUMENT)

    assert (written.content, written.media_type) == (prepared.document, "application/json")
    signed = json.loads(written.content)
    assert signed["template"]["id"] == "business-premises"
    assert signed["applicant"]["name"] == NAME
    assert hashlib.sha256(written.content).digest() == prepared.document_digest


@pytest.mark.parametrize("there_before", [False, True])
async def test_the_command_writes_a_letter_for_its_owner_alone(town: Town, tmp_path: Path, there_before: bool) -> None:
    prepared = await prepare(town)
    out = tmp_path / "letter.json"
    if there_before:
        out.write_bytes(bytes(1 << 20))
        out.chmod(0o644)
    there = ("--config", str(town.house.config), "--server", f"127.0.0.1:{town.port}", "--format", "document")

    async def get(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, cli, ["letter", "get", *there, *words, prepared.record])

    assert (await get("--out", str(out))).exit_code == 0
    assert out.read_bytes() == prepared.document
    assert out.stat().st_mode & 0o777 == 0o600
    assert prepared.document in (await get()).stdout_bytes
    refused = await get("--out", str(tmp_path / "nowhere" / "letter.json"))
    assert (refused.exit_code, "cannot be written" in refused.output) == (1, True)


async def test_the_same_letter_is_fetched_twice_as_the_same_bytes(town: Town) -> None:
    prepared = await prepare(town)
    await record(town, prepared)

    assert (await letter(town, prepared.record)).pdf == (await letter(town, prepared.record)).pdf


async def test_a_letter_with_its_attachments_is_checked_offline_with_the_public_key_alone(
    town: Town, tmp_path: Path
) -> None:
    prepared = await prepare(town)
    await record(town, prepared)
    pdf = (await letter(town, prepared.record)).pdf
    attached = pypdf.PdfReader(io.BytesIO(pdf)).attachments
    receipt, document = attached["receipt.txt"][0], attached["commitment.json"][0]
    for name, (content,) in attached.items():
        (tmp_path / name).write_bytes(content)
    reference = code_of(pdf)

    def check(code: str, *words: str) -> tuple[int, str]:
        arguments = ["letter", "check", code, "--key", str(town.house.vkey), *words]
        told = CliRunner().invoke(cli, arguments)
        return told.exit_code, told.output + str(told.exception or "")

    receipt_alone = ("--receipt", str(tmp_path / "receipt.txt"))
    unproved = (*receipt_alone, "--document", str(tmp_path / "commitment.json"))
    files = (*unproved, "--disclosure", str(tmp_path / "disclosure.json"))
    assert document == prepared.document
    status, told = check(reference.uri(), *files, "--json")
    assert status == 0
    assert json.loads(told)["signed"] is True
    assert json.loads(told)["document_proved"] is True
    status, told = check(reference.uri(), *receipt_alone, "--json")
    assert (status, json.loads(told)["document_proved"]) == (0, False)
    assert "该承诺已签署并入账" in check(reference.uri(), *receipt_alone)[1]
    assert "未证明文书内容" in check(reference.uri(), *receipt_alone)[1]
    assert "所附文书即入账文书" in check(reference.uri(), *files)[1]
    status, told = check(reference.uri(), *unproved)
    assert (status, "the document is NOT proved" in told) == (1, True)
    forged = document.replace(ADDRESS.encode(), "示例路2号".encode())
    (tmp_path / "commitment.json").write_bytes(forged)
    assert check(reference.uri(), *files)[0] == 1
    assert "the document is not the one" in check(reference.uri(), *files)[1]
    # A code that was made for the forged document fits it, and is believed no more for that.
    of_forged = replace(reference, document=hashlib.sha256(forged).digest())
    assert check(of_forged.uri(), *unproved)[0] == 1
    assert "the document that was recorded is not the one" in check(of_forged.uri(), *files)[1]
    assert "is not the code of a letter" in check("https://example", *files)[1]
    history = town.house.home / "keys" / "log.history"
    key = parse_vkeys(town.house.vkey.read_text("utf-8"))[0]
    history.write_text(format_key_history(KeyHistory.beginning(key.vkey, key.name)), "utf-8")
    assert check(reference.uri(), *files[:2], "--history", str(history))[0] == 0
    other = Ed25519Verifier(key.name, bytes(range(32)))
    with pytest.raises(KeyHistoryError, match="history"):
        verify_letter(reference, receipt, [key, other])


@pytest.mark.parametrize("signed", [False, True])
async def test_the_disclosure_in_a_letter_opens_the_document_and_nothing_else(town: Town, signed: bool) -> None:
    prepared, another = await prepare(town), await prepare(town, "another case")
    if signed:
        await record(town, prepared)
    pdfs = [(await letter(town, one.record)).pdf for one in (prepared, another)]
    ours, theirs = (pypdf.PdfReader(io.BytesIO(pdf)).attachments for pdf in pdfs)
    keys = parse_vkeys(town.house.vkey.read_text("utf-8"))
    reference, receipt, disclosure = code_of(pdfs[0]), ours["receipt.txt"][0], ours["disclosure.json"][0]

    checked = verify_letter(reference, receipt, keys, prepared.document, disclosure)
    opened = verify_disclosure(disclosure, keys, keys[0].name)

    assert (checked.signed, checked.document_proved) == (signed, True)
    assert (opened.group, canonical(opened.value)) == ("document", prepared.document)
    assert opened.receipt.entry.kind == "CommitmentPrepared"
    assert set(json.loads(disclosure)) == {"disclosure", "group", "receipt", "salt", "value"}
    assert len(opened.receipt.entry.commits) > 1
    with pytest.raises(LetterDisagrees, match="the disclosure is of another record"):
        verify_letter(reference, receipt, keys, prepared.document, theirs["disclosure.json"][0])
    with pytest.raises(DisclosureError):
        verify_letter(reference, receipt, keys, None, disclosure.replace(ADDRESS.encode(), "示例路2号".encode()))


async def test_a_letter_whose_code_was_exchanged_is_refused_with_every_disagreement(town: Town) -> None:
    prepared = await prepare(town)
    await record(town, prepared)
    pdf = (await letter(town, prepared.record)).pdf
    receipt = pypdf.PdfReader(io.BytesIO(pdf)).attachments["receipt.txt"][0]
    verifiers = parse_vkeys(town.house.vkey.read_text("utf-8"))
    true = code_of(pdf)
    exchanged = Reference(
        origin=true.origin, record=bytes(16), index=true.index + 1, size=true.size, leaf=bytes(32), document=bytes(32)
    )

    with pytest.raises(LetterDisagrees) as caught:
        verify_letter(exchanged, receipt, verifiers, prepared.document)

    assert len(caught.value.mistakes) == 4
    assert verify_letter(true, receipt, verifiers).document_proved is False


async def test_a_letter_is_for_the_unit_that_handles_the_case_and_for_auditors(town: Town) -> None:
    prepared = await prepare(town)

    assert (await letter(town, prepared.record, pb.LETTER_FORMAT_TEXT, system="auditor")).content
    stranger = await refusal(letter(town, prepared.record, system="civil-clerk"))
    credit = await refusal(letter(town, prepared.record, system="credit"))
    assert stranger == (grpc.StatusCode.NOT_FOUND, "RECORD_NOT_FOUND")
    assert credit == (grpc.StatusCode.PERMISSION_DENIED, "NOT_ENTITLED")


async def test_what_is_no_commitment_has_no_letter(town: Town) -> None:
    answer = await town.verification().Verify(question(), timeout=TIMEOUT)

    assert await refusal(letter(town, answer.verification.record)) == (grpc.StatusCode.NOT_FOUND, "RECORD_NOT_FOUND")
    assert await refusal(letter(town, "0" * 32)) == (grpc.StatusCode.NOT_FOUND, "RECORD_NOT_FOUND")


async def test_a_malformed_request_for_a_letter_is_told_every_mistake(town: Town) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await letter(town, "x", 77)  # type: ignore[arg-type]

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "record" in str(caught.value.details())
    assert "format" in str(caught.value.details())
