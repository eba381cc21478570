"""Lists, exports and what is left after an erasure, over loopback mutual TLS."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner
from grpc import StatusCode, aio

from gateway.cli import cli
from gateway.client import (
    Acting,
    Commitment,
    CommitmentSelection,
    Forbidden,
    GatewayClient,
    InvalidQuestion,
    LogKeys,
    NotPossible,
    Person,
)
from gateway.errors import ConfigurationError
from gateway.exports.columns import COLUMNS
from gateway.flows.reading import list_commitments
from gateway.founding import SYSTEMS
from gateway.rules.states import COMMITMENT
from gateway.v1 import commitment_pb2 as pb
from gateway.v1 import parties_pb2, verification_pb2
from ledger import parse_vkey, verify_receipt
from ledger.vault.officers import write_officer_key

from .conftest import ADDRESS, ITEM, MATTER, NAME, NUMBER, TIMEOUT, Town, operator
from .test_story import in_force, new_id, prepared, recorded

UNIT = SYSTEMS["officer"][0]
OFFICER = Acting(person="officer-07", unit=UNIT)
HIM = Person(id_number=NUMBER, name=NAME)


def client(town: Town, system: str = "officer") -> GatewayClient:
    return GatewayClient(town.channel(system), keys=LogKeys.read(town.house.vkey), timeout=TIMEOUT)


async def listed(
    town: Town, selection: CommitmentSelection | None = None, *, system: str = "clerk", acting: Acting | None = None
) -> list[Commitment]:
    pages = client(town, system).commitments(selection or CommitmentSelection(), acting=acting, page_size=2)
    return [one async for one in pages]


async def exported(
    town: Town, form: str, *, selection: CommitmentSelection | None = None, system: str = "officer",
    told: Callable[[int, int], None] | None = None,
) -> bytes:  # fmt: skip
    file = io.BytesIO()
    done = await client(town, system).export_commitments(
        selection or CommitmentSelection(), file, form=form, acting=OFFICER, purpose="月度报表", progress=told
    )
    assert done.digest == hashlib.sha256(file.getvalue()).digest()
    assert done.receipt.kind == "CommitmentsExported"
    return file.getvalue()


async def test_commitments_are_listed_newest_first_with_their_histories(town: Town) -> None:
    first = await prepared(town, "办1")
    second = (await recorded(town, "办2")).commitment
    third = await in_force(town, "办3")

    found = await listed(town)

    assert [one.record for one in found] == [third.record, second.record, first.record]
    assert [one.state for one in found] == ["IN_FORCE", "RECORDED", "PREPARED"]
    assert [step.kind for step in found[0].history] == [
        "CommitmentPrepared", "CommitmentRecorded", "DecisionRecorded",
    ]  # fmt: skip
    assert found[0].document_digest == third.document_digest
    assert (found[0].audit_due_at is None, found[2].due_at is None) == (False, False)


async def test_selections_narrow_the_list(town: Town) -> None:
    first = await prepared(town, "办1")
    third = await in_force(town, "办3")

    async def records(**chosen: object) -> list[str]:
        return [one.record for one in await listed(town, CommitmentSelection(**chosen))]  # type: ignore[arg-type]

    assert await records(state="IN_FORCE") == [third.record]
    assert await records(state="BROKEN") == []
    assert await records(case_id="办1", matter=MATTER) == [first.record]
    assert await records(case_id="办1", matter="230000-CIV-005") == []
    assert await records(matter=MATTER, item=ITEM) == [third.record, first.record]
    assert await records(item="marital-status") == []
    assert await records(due_before=datetime.now(UTC) + timedelta(hours=1)) == [first.record]
    assert await records(due_before=datetime.now(UTC)) == []


async def test_the_old_field_for_the_state_still_selects_and_may_not_contradict(town: Town) -> None:
    third = await in_force(town, "办3")
    stub = town.commitment()
    chosen = await stub.ListCommitments(pb.ListCommitmentsRequest(state=pb.COMMITMENT_STATE_IN_FORCE), timeout=TIMEOUT)
    assert [one.record for one in chosen.commitments] == [third.record]
    with pytest.raises(aio.AioRpcError) as caught:
        await stub.ListCommitments(
            pb.ListCommitmentsRequest(
                state=pb.COMMITMENT_STATE_IN_FORCE,
                selection=pb.CommitmentSelection(state=pb.COMMITMENT_STATE_BROKEN),
            ),
            timeout=TIMEOUT,
        )
    assert caught.value.code() is StatusCode.INVALID_ARGUMENT


MALFORMED: list[tuple[pb.ListCommitmentsRequest, set[str]]] = [
    (pb.ListCommitmentsRequest(page_size=1001), {"page_size"}),
    (pb.ListCommitmentsRequest(page_size=-1, page_token="7"), {"page_size"}),
    (pb.ListCommitmentsRequest(page_token="7"), {"page_token"}),
    (pb.ListCommitmentsRequest(selection=pb.CommitmentSelection(case_id="甲")), {"selection.matter"}),
    (
        pb.ListCommitmentsRequest(
            selection=pb.CommitmentSelection(case_id="甲", unit="乙", all_units=True, state=99)  # type: ignore[arg-type]
        ),
        {"selection.unit", "selection.case_id", "selection.matter", "selection.state"},
    ),
    (
        pb.ListCommitmentsRequest(
            selection=pb.CommitmentSelection(subject=parties_pb2.Subject(id_type=1, id_number="1", name=""))
        ),
        {"selection.subject.id_number", "selection.subject.name", "selection.purpose", "operator.person"},
    ),
]


async def test_a_malformed_list_is_refused_with_every_field(town: Town) -> None:
    for request, fields in MALFORMED:
        with pytest.raises(aio.AioRpcError) as caught:
            await town.commitment("auditor").ListCommitments(request, timeout=TIMEOUT)
        assert caught.value.code() is StatusCode.INVALID_ARGUMENT
        assert all(field in (caught.value.details() or "") for field in fields)


async def test_another_unit_sees_nothing_and_may_not_ask(town: Town) -> None:
    made = await prepared(town)
    assert await listed(town, system="civil-clerk") == []
    for chosen in (CommitmentSelection(unit=UNIT), CommitmentSelection(all_units=True)):
        with pytest.raises(Forbidden):
            await listed(town, chosen, system="civil-clerk")
    with pytest.raises(aio.AioRpcError) as caught:
        await town.commitment("civil-clerk").GetCommitment(pb.GetCommitmentRequest(record=made.record), timeout=TIMEOUT)
    assert caught.value.code() is StatusCode.NOT_FOUND


async def test_an_auditor_lists_every_unit_and_opens_any_commitment(town: Town) -> None:
    made = await in_force(town)
    found = await listed(town, CommitmentSelection(all_units=True), system="auditor")
    assert [one.record for one in found] == [made.record]
    opened = await town.commitment("auditor").GetCommitment(
        pb.GetCommitmentRequest(record=made.record), timeout=TIMEOUT
    )
    assert opened.commitment.state == pb.COMMITMENT_STATE_IN_FORCE


async def test_a_person_is_looked_up_by_officers_with_a_reason_and_that_is_recorded(town: Town) -> None:
    made = await prepared(town)
    chosen = CommitmentSelection(subject=HIM, purpose="信访核查")
    assert [one.record for one in await listed(town, chosen, system="officer", acting=OFFICER)] == [made.record]
    with pytest.raises(Forbidden):
        await listed(town, chosen, acting=Acting(person="clerk-01", unit=UNIT))
    with pytest.raises(InvalidQuestion):
        await listed(town, CommitmentSelection(subject=HIM), system="officer", acting=OFFICER)
    request = pb.ListCommitmentsRequest(selection=pb.CommitmentSelection(purpose="信访核查"))
    request.selection.subject.CopyFrom(parties_pb2.Subject(id_type=1, id_number=NUMBER, name=NAME))
    request.operator.CopyFrom(operator("officer"))
    response = await town.commitment("officer").ListCommitments(request, timeout=TIMEOUT)
    verifier = parse_vkey(town.house.vkey.read_text())
    assert verify_receipt(response.receipt.proof, [verifier], verifier.name).entry.kind == "SubjectLookedUp"


async def test_an_export_is_masked_in_every_form_and_tells_how_far_it_is(town: Town) -> None:
    first, third = await prepared(town, "=办1"), await in_force(town, "办3")
    told: list[tuple[int, int]] = []

    lines = [
        json.loads(line) for line in (await exported(town, "jsonl", told=lambda *far: told.append(far))).splitlines()
    ]
    table = list(csv.DictReader(io.StringIO((await exported(town, "csv")).decode("utf-8-sig"), newline="")))
    book = openpyxl.load_workbook(io.BytesIO(await exported(town, "xlsx")), read_only=True)
    sheet = [[cell or "" for cell in row] for row in book["告知承诺"].iter_rows(values_only=True)]
    book.close()

    assert (told[0], told[-1]) == ((0, 2), (2, 2))
    headings = dict(COLUMNS)
    assert [{headings[name]: cell for name, cell in line.items()} for line in lines] == [
        {**row, "办件号": row["办件号"].removeprefix("'")} for row in table
    ]
    assert table[1]["办件号"] == "'=办1"
    assert sheet == [[heading for _, heading in COLUMNS], *(list(line.values()) for line in lines)]
    newest = lines[0]
    assert [line["record"] for line in lines] == [third.record, first.record]
    assert (newest["subject_name"], newest["subject_code"]) == ("示**", "230***********0072")
    assert (newest["state"], newest["supervision"], newest["fulfilment"]) == ("生效", "监管中", "")
    assert newest["document_digest"] == third.document_digest.hex()
    assert ADDRESS in newest["content"]
    everything = json.dumps(lines, ensure_ascii=False)
    assert NAME not in everything
    assert NUMBER not in everything


async def test_a_case_that_is_named_by_a_person_is_masked_and_any_other_stays(town: Town) -> None:
    for case in (f"{NUMBER} {NAME}", "230199 19800101 0072", "CASE-2026-000123"):
        await prepared(town, case)

    lines = [json.loads(line) for line in (await exported(town, "jsonl")).splitlines()]

    assert [line["case_id"] for line in lines] == [
        "CASE-2026-000123", "230*************0072", "230***********0072 示**",
    ]  # fmt: skip


async def test_who_exports_what_and_why_is_recorded_before_a_byte_leaves(town: Town) -> None:
    await prepared(town)
    request = pb.ExportCommitmentsRequest(
        selection=pb.CommitmentSelection(matter=MATTER), format=pb.EXPORT_FORMAT_JSONL, operator=operator("officer"),
        purpose="月度报表",
    )  # fmt: skip
    call = town.commitment("officer").ExportCommitments(request)
    part = await call.read()
    while part.WhichOneof("part") != "chunk":
        part = await call.read()
    call.cancel()  # with the first bytes in hand, the client goes: the export is recorded all the same

    stub = town.commitment("officer")
    kinds = [
        one.record for one in (await stub.ListCommitments(pb.ListCommitmentsRequest(), timeout=TIMEOUT)).commitments
    ]
    assert len(kinds) == 1
    document = await town_document(town, "CommitmentsExported")
    assert document["purpose"] == "月度报表"
    assert document["operator"] == {"person": "officer-01", "unit": UNIT}
    assert document["file"] == {
        "format": "JSONL", "rows": 1, "sha256": hashlib.sha256(part.chunk).hexdigest(),
        "masking": {"name": [1, 0], "id_number": [3, 4], "phone": [3, 4]},
    }  # fmt: skip
    assert document["selection"]["matter"] == MATTER


async def town_document(town: Town, kind: str) -> dict[str, object]:
    """Open the document of the newest entry of a kind, as `chengxin ledger show --document` does."""

    def read() -> dict[str, object]:
        for index in range(200, -1, -1):
            shown = CliRunner().invoke(
                cli, ["ledger", "show", "--config", str(town.house.config), str(index), "--document"]
            )
            if shown.exit_code == 0 and json.loads(shown.stdout.splitlines()[0])["kind"] == kind:
                return dict(json.loads("\n".join(shown.stdout.splitlines()[1:])))
        raise AssertionError(f"no {kind}")

    return await asyncio.to_thread(read)


async def test_exports_are_for_officers_and_auditors_with_a_form_and_a_reason(town: Town) -> None:
    with pytest.raises(Forbidden):
        await exported(town, "csv", system="clerk")
    with pytest.raises(Forbidden):
        await exported(town, "csv", selection=CommitmentSelection(all_units=True))
    with pytest.raises(aio.AioRpcError) as caught:
        await town.commitment("officer").ExportCommitments(pb.ExportCommitmentsRequest()).read()
    assert caught.value.code() is StatusCode.INVALID_ARGUMENT
    assert all(name in (caught.value.details() or "") for name in ("format", "operator.person", "purpose"))
    with pytest.raises(ValueError, match="jsonl"):
        await exported(town, "pdf")


async def test_a_gateway_that_cannot_write_workbooks_says_so(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(NotPossible) as caught:
        await exported(town, "xlsx")
    assert caught.value.reason == "EXPORT_FORMAT_MISSING"


async def test_the_command_writes_a_private_file_and_never_over_another(town: Town, tmp_path: Path) -> None:
    await prepared(town)
    target = tmp_path / "承诺.csv"

    async def export(*arguments: str) -> tuple[int, str]:
        base = ["commitments", "export", "--config", str(town.house.config), "--server", f"127.0.0.1:{town.port}"]
        done = await asyncio.to_thread(
            CliRunner().invoke, cli, [*base, "--person", "officer-07", "--purpose", "月度报表", *arguments]
        )
        return done.exit_code, done.output

    status, told = await export("--json", str(target))
    assert status == 0, told
    last = json.loads(told.splitlines()[-1])  # the gateway of this process logs there too
    assert last["rows"] == 1
    assert last["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert target.stat().st_mode & 0o077 == 0
    assert (await export(str(target)))[0] == 2
    assert (await export("--state", "GONE", str(tmp_path / "x.csv")))[0] == 2
    assert (await export(str(tmp_path / "x.pdf")))[0] == 2
    status, told = await export("--as", "clerk", str(tmp_path / "x.jsonl"))
    assert (status, "NOT_ENTITLED" in told) == (1, True)
    status, told = await export("--case", "甲", str(tmp_path / "x.jsonl"))
    assert (status, "selection.matter" in told) == (1, True)
    assert not any(name.startswith("x.") for name in await asyncio.to_thread(os.listdir, tmp_path))
    status, told = await export(str(tmp_path / "nowhere" / "x.csv"))
    assert (status, "x.csv cannot be written" in told) == (1, True)


async def test_a_command_that_shows_a_certificate_that_is_not_there_names_the_file(town: Town, tmp_path: Path) -> None:
    there = ("--config", str(town.house.config), "--server", f"127.0.0.1:{town.port}", "--as", "nobody")
    commands = (
        ("commitments", "export", *there, "--person", "officer-07", "--purpose", "月度报表", str(tmp_path / "x.csv")),
        ("letter", "get", *there, "0" * 32),
        ("ask", *there, "--name", "张三", "--id", "230103199001011234"),
        ("staff-keys", "list", *there),
        ("staff-keys", "decide", *there, "0" * 32, "--enrol", "--by", "officer-01"),
    )
    for command in commands:
        done = await asyncio.to_thread(CliRunner().invoke, cli, command)
        assert isinstance(done.exception, ConfigurationError), command
        assert "nobody.crt" in str(done.exception)
    assert not any(name.startswith("x.") for name in await asyncio.to_thread(os.listdir, tmp_path))


def test_every_state_has_its_words() -> None:
    assert COMMITMENT.keys() == list_commitments.STATES


@pytest.mark.postgres
async def test_of_an_erased_commitment_state_history_and_proofs_are_left(postgres_town: Town) -> None:
    town = postgres_town
    made, kept = await in_force(town, "办1"), await in_force(town, "办2")
    before = await town.commitment().GetCommitment(pb.GetCommitmentRequest(record=made.record), timeout=TIMEOUT)
    await asyncio.to_thread(erase, town, made.record)

    for system in ("clerk", "auditor", "civil-clerk"):
        answer = await town.commitment(system).GetCommitment(
            pb.GetCommitmentRequest(record=made.record), timeout=TIMEOUT
        )
        left = answer.commitment
        assert left.document_erased
        assert left.state == pb.COMMITMENT_STATE_IN_FORCE
        assert list(left.history) == list(before.commitment.history)
        assert (left.item, left.matter, left.verification, left.document_digest) == ("", "", "", b"")
        verifier = parse_vkey(town.house.vkey.read_text())
        for receipt in (answer.receipt, before.receipt):
            verify_receipt(receipt.proof, [verifier], verifier.name)
    refused = await refusal(
        town.commitment().WithdrawCommitment(
            pb.WithdrawCommitmentRequest(
                request_id=new_id(), record=made.record, operator=operator("clerk"), reason="不再需要"
            ),
            timeout=TIMEOUT,
        )
    )
    assert refused == "DOCUMENT_ERASED"
    assert await refusal(
        town.verification().GetVerification(
            verification_pb2.GetVerificationRequest(record=before.commitment.verification), timeout=TIMEOUT
        )
    ) == "DOCUMENT_ERASED"  # fmt: skip
    for system in ("clerk", "auditor"):
        pack = town.commitment(system).GetEvidencePack(pb.GetEvidencePackRequest(record=made.record), timeout=TIMEOUT)
        assert await refusal(pack) == "DOCUMENT_ERASED"
    assert [one.record for one in await listed(town)] == [kept.record]
    every = await listed(town, CommitmentSelection(all_units=True), system="auditor")
    assert [(one.record, one.document_erased) for one in every] == [(kept.record, False), (made.record, True)]
    lines = await exported_by_auditor(town)
    assert [(line["state"], line["document_erased"], line["subject_name"]) for line in lines] == [
        ("生效", "否", "示**"), ("生效", "是", ""),
    ]  # fmt: skip


async def exported_by_auditor(town: Town) -> list[dict[str, str]]:
    data = await exported(town, "jsonl", selection=CommitmentSelection(all_units=True), system="auditor")
    return [json.loads(line) for line in data.splitlines()]


async def refusal(call: object) -> str:
    from gateway.client import explain

    with pytest.raises(aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return explain(caught.value)[0]  # type: ignore[arg-type]


def erase(town: Town, record: str) -> None:
    """Erase a commitment and its verification by order of two, beside the running gateway."""
    home, text = town.house.home, town.house.config.read_text("utf-8")
    for number in ("07", "12"):
        (home / f"{number}.pub").write_bytes(write_officer_key(home / f"{number}.key", None))
        text += f'[[erasure.officers]]\nnumber = "{number}"\nname = "某{number}"\npublic_key_file = "{number}.pub"\n'
    town.house.config.write_text(text, "utf-8")

    def run(*arguments: str) -> dict[str, object]:
        command = [
            "vault",
            "erase",
            arguments[0],
            "--config",
            str(town.house.config),
            *arguments[1:],
            "--yes",
            "--json",
        ]
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, (done.output, done.exception)
        return dict(json.loads(done.stdout))

    parent = parent_of(town, record)
    order = ("--basis", "《个人信息保护法》第四十七条", "--document-number", "黑数删〔2026〕7号")
    chosen = ("--record", record, "--record", parent)
    proposal = run("propose", *chosen, *order, "--officer", "07", "--key", str(home / "07.key"))["proposal"]
    run("approve", str(proposal), "--officer", "12", "--key", str(home / "12.key"))


def parent_of(town: Town, record: str) -> str:
    from gateway.config import load_settings
    from ledger import open_store
    from ledger.records.register import Register

    store = open_store(load_settings(town.house.config).ledger.url, readers=1)
    try:
        row = Register(store).get(bytes.fromhex(record))
    finally:
        store.close()
    assert row is not None
    assert row.parent is not None
    return row.parent.hex()
