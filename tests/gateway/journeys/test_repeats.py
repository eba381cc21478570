"""A request that comes again is answered with the bytes of its first answer, whatever was done since."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from gateway.catalogue.loader import shipped_catalogue_files
from gateway.flows.administration.staff_keys import enrolment
from gateway.founding import SYSTEMS
from gateway.v1 import (
    assistance_pb2,
    audit_pb2,
    catalogue_pb2,
    commitment_pb2,
    credit_pb2,
    parties_pb2,
    staff_pb2,
    verification_pb2,
)
from tests.gateway.assistance import hall
from tests.gateway.signatures.authorities import p256, public_key_info, sign

from .conftest import NAME, NUMBER, TIMEOUT, Town, drop, execute, operator, question, run_town

SERVED = (verification_pb2, commitment_pb2, staff_pb2, audit_pb2, credit_pb2, catalogue_pb2, assistance_pb2)
LISTS = """
[sources.credit-platform]
kind = "sql"
department = "省营商环境局"
url = "sqlite:///{lists}"
[sources.credit-platform.facts.serious-distrust-listing]
coverage = "complete"
statement = "SELECT id_number, name FROM distrust WHERE id_number IN :keys"
key = "id_number"
name = "name"
"""
PAYS_FIRST = ("withdrawal: {until: DECISION, ", "withdrawal: {until: FEE_PAYMENT, ")
UNSERVED = {"DrawCommitments", "FileObjection"}
OF_HALL = {
    "SendAssistance", "ReceiveAssistance", "ClaimAssistance", "AnswerAssistance", "RefuseAssistance",
    "ReturnAssistance", "RecordCheck",
}  # fmt: skip


def writing_methods() -> dict[str, MethodDescriptor]:
    """List the methods of the contract whose request is known by an id, of services that are served, by name."""
    return {
        method.name: method
        for messages in SERVED
        for service in messages.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if "request_id" in method.input_type.fields_by_name and not method.client_streaming
    }


METHODS = writing_methods()


@dataclass(slots=True, kw_only=True)
class Said:
    """A request and the first answer to it."""

    method: MethodDescriptor
    channel: aio.Channel
    request: Message
    answer: bytes


@dataclass(slots=True, kw_only=True)
class Repeater:
    """Sends requests, and after each act all that were sent before again."""

    channel_of: Callable[[str], aio.Channel]
    said: list[Said] = field(default_factory=list)
    channels: dict[str, aio.Channel] = field(default_factory=dict)

    async def tell(self, name: str, system: str, **fields: Any) -> Any:
        """Send a request, whose id is new unless given, and return its answer."""
        method = METHODS[name]
        given: Mapping[str, Any] = {"request_id": str(uuid.uuid4()), **fields}
        if "operator" in method.input_type.fields_by_name and "operator" not in given:
            given = {**given, "operator": operator(system)}
        request = GetMessageClass(method.input_type)(**given)
        return await self.send(name, system, request)

    async def send(self, name: str, system: str, request: Message) -> Any:
        if system not in self.channels:
            self.channels[system] = self.channel_of(system)
        channel, method = self.channels[system], METHODS[name]
        answer = await _call(channel, method, request)
        self.said.append(Said(method=method, channel=channel, request=request, answer=answer))
        await self.repeat_all(f"after {name}")
        return GetMessageClass(method.output_type).FromString(answer)

    async def repeat_all(self, when: str) -> None:
        for one in self.said:
            again = await _call(one.channel, one.method, one.request)
            kind = GetMessageClass(one.method.output_type)
            assert again == one.answer, (
                f"{one.method.name} {when}: {kind.FromString(one.answer)} and then {kind.FromString(again)}"
            )

    @property
    def names(self) -> set[str]:
        return {one.method.name for one in self.said}


async def _call(channel: aio.Channel, method: MethodDescriptor, request: Message) -> bytes:
    call = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=bytes,
    )
    return bytes(await call(request, timeout=TIMEOUT))


async def signed(town: Town, repeater: Repeater, verification: str, **more: Any) -> str:
    """Take an answer to a recorded commitment; gives its record."""
    made = await repeater.tell("PrepareCommitment", "clerk", verification=verification, **more)
    recorded = await repeater.tell(
        "RecordCommitment", "clerk", record=made.record, document_digest=made.document_digest,
        certificate=town.sign(made.document, ec.generate_private_key(ec.SECP256R1())),
    )  # fmt: skip
    return str(recorded.commitment.record)


async def verified(repeater: Repeater, case: str) -> str:
    return str((await repeater.send("Verify", "clerk", question(case))).verification.record)


async def contested(town: Town, repeater: Repeater, lists: Path) -> None:
    """A refusal is lifted and becomes a commitment by another answer, which is withdrawn."""
    execute(lists, "INSERT INTO distrust VALUES (?, ?)", NUMBER, NAME)
    refused = commitment_pb2.PrepareCommitmentRequest(
        request_id=str(uuid.uuid4()), verification=await verified(repeater, "办-0"), operator=operator("clerk")
    )
    try:
        await town.commitment().PrepareCommitment(refused, timeout=TIMEOUT)
        raise AssertionError("a person on the list is refused")
    except aio.AioRpcError as error:
        refusal = dict(_info(error))["record"]
    await repeater.tell("ContestRefusal", "clerk", record=refusal, statement="同名不同人")
    await repeater.tell(
        "ReviewRefusal", "reviewer", record=refusal, outcome=commitment_pb2.REVIEW_OUTCOME_LIFTED, reason="经核实"
    )
    record = await signed(town, repeater, await verified(repeater, "办-0"), lifted_refusal=refusal)
    assert record == refusal
    await repeater.tell("WithdrawCommitment", "clerk", record=record, reason="改交材料")
    execute(lists, "DELETE FROM distrust")


def _info(error: aio.AioRpcError) -> Mapping[str, str]:
    trailing = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        detail.Unpack(info)
    return info.metadata


async def staffed(repeater: Repeater) -> None:
    """A clerk's key is enrolled, replaced by another, and that one revoked; a third is rejected."""
    unit, replaced = SYSTEMS["officer"][0], ""
    for decision in (staff_pb2.STAFF_KEY_DECISION_ENROL,) * 2 + (staff_pb2.STAFF_KEY_DECISION_REJECT,):
        key, identity = p256(), uuid.uuid4()
        info, algorithm = public_key_info(key), sign(key, b"")[0]
        proof = enrolment(person="C-07", unit=unit, algorithm=algorithm, public_key=info, request_id=identity)
        proposed = await repeater.tell(
            "ProposeStaffKey", "officer", request_id=str(identity), person="C-07", public_key=info,
            algorithm=commitment_pb2.SignatureAlgorithm.Value(f"SIGNATURE_ALGORITHM_{algorithm}"),
            possession=sign(key, proof)[1], replaces=replaced,
        )  # fmt: skip
        await repeater.tell("DecideStaffKey", "reviewer", record=proposed.key.record, decision=decision)
        enrolled = decision == staff_pb2.STAFF_KEY_DECISION_ENROL
        replaced = str(proposed.key.record) if enrolled else replaced
    await repeater.tell("RevokeStaffKey", "officer", record=replaced, reason="遗失")


async def in_force(town: Town, repeater: Repeater, case: str) -> str:
    record = await signed(town, repeater, await verified(repeater, case))
    await repeater.tell("RecordMilestone", "clerk", record=record, milestone=commitment_pb2.MILESTONE_FEE_PAID)
    await repeater.tell("RecordDecision", "clerk", record=record, document_number="示决字〔2026〕1号")
    return record


async def found_false(repeater: Repeater, finding: str) -> str:
    """Take a finding to its end; gives the report."""
    await repeater.tell("RequestEvidence", "auditor", record=finding)
    await repeater.tell("ProposeFalse", "auditor", record=finding, grounds="登记地址不符")
    await repeater.tell("NotifyFinding", "auditor", record=finding, manner="直接送达")
    await repeater.tell("HearDefence", "auditor", record=finding, statement="无异议")
    await repeater.tell("HearDefence", "auditor", record=finding, statement="无补充", waives_rest=True)
    await repeater.tell(
        "DecideFinding", "reviewer", record=finding, broken=True, document_number="示认字〔2026〕1号",
        grade=audit_pb2.GRADE_MINOR, reasons="事实清楚",
    )  # fmt: skip
    return str((await repeater.tell("FinaliseFinding", "reviewer", record=finding)).report)


async def discrepancies(town: Town) -> list[str]:
    drop(town.drops, "home-ownership", [(NUMBER, NAME, "别处9号")], 2)
    execute(town.leases, "INSERT INTO lease VALUES (?, ?, ?)", NUMBER, NAME, "别处9号")
    request = audit_pb2.RequeryCommitmentsRequest(operator=operator("auditor"), all_in_force=True)
    return [one.finding async for one in town.audit().RequeryCommitments(request, timeout=TIMEOUT) if one.finding]


async def test_every_act_of_a_commitment_is_answered_as_it_was_first(tmp_path: Path) -> None:
    lists, files = tmp_path / "lists.sqlite3", []
    execute(lists, "CREATE TABLE distrust (id_number TEXT, name TEXT)")
    for shipped in shipped_catalogue_files():
        files.append(tmp_path / shipped.name)
        files[-1].write_text(shipped.read_text("utf-8").replace(*PAYS_FIRST), "utf-8")

    def configure(house: Any) -> None:
        text = house.config.read_text("utf-8")
        text = text.replace("\nfiles = []", f"\nfiles = {json.dumps([str(file) for file in files])}")
        text = text.replace('credit_fact = "" ', 'credit_fact = "serious-distrust-listing" ')
        house.config.write_text(text + LISTS.format(lists=lists), "utf-8")

    async for town in run_town(tmp_path, "sqlite:///ledger.sqlite3", configure):
        repeater = Repeater(channel_of=town.channel)
        await contested(town, repeater, lists)
        await staffed(repeater)
        for case in ("办-1", "办-2", "办-3"):
            await in_force(town, repeater, case)
        false, rejected, cleared = await discrepancies(town)
        await repeater.repeat_all("after sources contradicted")
        report = await found_false(repeater, false)
        await repeater.tell("AcknowledgeReport", "credit", record=report, platform_reference="P-1")
        await repeater.tell("RecordRepair", "credit", finding=false, document_number="示修字〔2026〕1号")
        turned_down = await found_false(repeater, rejected)
        await repeater.tell("RejectReport", "credit", record=turned_down, reason="字段有误")
        await repeater.tell("RecallReport", "reviewer", record=turned_down, reason="报送有误")
        await repeater.tell(
            "RevokeFinding", "reviewer", record=rejected, authority="省人民政府", document_number="复决字〔2026〕1号",
            reasons="事实不清",
        )  # fmt: skip
        await repeater.tell(
            "CloseFinding", "auditor", record=cleared, kind=audit_pb2.CLOSING_KIND_CLEARED, reason="登记有误"
        )
        files[0].write_text(
            files[0].read_text("utf-8").replace("due_working_days: 60", "due_working_days: 59"), "utf-8"
        )
        await repeater.tell("ReloadCatalogue", "operator")
        files[0].write_text(
            files[0].read_text("utf-8").replace("due_working_days: 59", "due_working_days: 58"), "utf-8"
        )
        await repeater.tell("ReloadCatalogue", "operator")

        assert repeater.names == METHODS.keys() - OF_HALL - UNSERVED


async def test_every_act_of_people_who_were_asked_is_answered_as_it_was_first(tmp_path: Path) -> None:
    async with hall.hall(tmp_path) as here:
        repeater = Repeater(channel_of=here.village.channel)

        async def asked(number: str, fact_type: str = hall.FACT) -> str:
            verification = (await here.ask(number=number)).verification.record
            sent = await repeater.tell(
                "SendAssistance", "clerk", verification=verification, unit=hall.CIVIL, fact_type=fact_type
            )
            for person in ("source-officer-02", "source-officer-01"):
                await repeater.tell(
                    "ReceiveAssistance", "source-officer", record=sent.assistance.record,
                    operator=operator("source-officer", person),
                )  # fmt: skip
            return str(sent.assistance.record)

        for fact_type in (hall.FACT, hall.LEASE):
            record = await asked("办-1", fact_type)
            await repeater.tell("ClaimAssistance", "source-officer", record=record)
            await repeater.tell(
                "AnswerAssistance", "source-officer", record=record, outcome="NO_RECORD", basis="档案室卷宗"
            )
        await repeater.tell("RefuseAssistance", "source-officer", record=await asked("办-2"), reason="不予协查")
        await repeater.tell("ReturnAssistance", "source-officer", record=await asked("办-3"))
        verification = (await here.ask(number="办-1")).verification.record
        await repeater.tell(
            "RecordCheck", "clerk", verification=verification, fact_type=hall.FACT, outcome="NO_RECORD",
            method=assistance_pb2.CHECK_METHOD_ON_SITE, basis="现场勘查笔录",
            second_operator=parties_pb2.Operator(person="clerk-02", unit=hall.OWN),
        )  # fmt: skip

        assert repeater.names == OF_HALL
