"""What the tests of credit reports have in common: a commitment that proved false, its finding, and who pulls."""

from __future__ import annotations

from gateway.demo.people import Person
from gateway.flows.audit.find import Decision
from gateway.flows.audit.report import Pulled
from gateway.flows.once import Recorded
from gateway.founding import SYSTEMS
from gateway.rules.admission import Operator
from tests.gateway.commitments.office import Office, deadline

_UNIT = SYSTEMS["auditor"][0]


async def disputed(here: Office, who: Person, *cases: str) -> list[bytes]:
    """Take commitments from the question to the findings that later data open."""
    made = []
    for case in cases:
        record = await here.committed(who, case)
        await here.decide(record)
        made.append(record)
    here.contradict(who)
    findings = []
    for record in made:
        asked = await here.flows.requery.one(here.row(record), Operator(person="auditor-09", unit=_UNIT), deadline())
        assert asked.finding is not None
        findings.append(asked.finding)
    return findings


async def decided(here: Office, finding: bytes, *, grade: str = "ORDINARY") -> None:
    """Let two officers decide that the commitment was false."""
    find, told = here.flows.find, finding.hex()
    await find.propose(here.request("ProposeFalse", system="auditor", record=told), finding, "登记地址不符")
    await find.notify(here.request("NotifyFinding", system="auditor", record=told), finding, "直接送达")
    await find.hear(here.request("HearDefence", system="auditor", record=told), finding, "请再查")
    await find.hear(here.request("HearDefence", system="auditor", record=told), finding, "无异议", waives_rest=True)
    decision = Decision(broken=True, document_number="示认字1号", grade=grade, reasons="事实清楚")
    await find.decide(here.request("DecideFinding", system="reviewer", record=told), finding, decision)


async def finalised(here: Office, finding: bytes) -> Recorded:
    request = here.request("FinaliseFinding", system="reviewer", record=finding.hex())
    return await here.flows.find.finalise(request, finding, deadline())


async def reported(here: Office, finding: bytes, *, grade: str = "ORDINARY") -> bytes:
    """Make a finding final, and give the record of its report."""
    await decided(here, finding, grade=grade)
    await finalised(here, finding)
    return report_of(here, finding)


def report_of(here: Office, finding: bytes) -> bytes:
    (report,) = here.ledger.register().by_parent(finding, "report")
    return report.record


async def acknowledged(here: Office, report: bytes) -> None:
    request = here.request("AcknowledgeReport", system="credit", record=report.hex())
    await here.flows.report.acknowledge(request, report, "P-1")


async def rejected(here: Office, report: bytes) -> None:
    request = here.request("RejectReport", system="credit", record=report.hex())
    await here.flows.report.reject(request, report, "格式不符")


async def repaired(here: Office, finding: bytes, *, system: str = "credit") -> None:
    request = here.request("RecordRepair", system=system, record=finding.hex())
    await here.flows.report.repair(request, finding, "示修字1号")


async def pulled(here: Office, *, after: int = 0, limit: int = 0) -> list[Pulled]:
    return [one async for one in here.flows.report.pull(after, limit)]
