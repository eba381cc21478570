"""`chengxin assistance …`: ask another department's people, answer what one is asked, and record own checks.

For offices without a system of their own; what is printed is Chinese, for the people at the desk.
"""

from __future__ import annotations

import hashlib
import json as jsonlib
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from gateway.commands.options import CONFIG, JSON, SERVER, acting, running_gateway, shown_as
from gateway.rules.states import ASSISTANCE

if TYPE_CHECKING:
    from gateway.v1 import assistance_pb2 as pb
    from gateway.v1.parties_pb2 import Operator
    from ledger.v1 import ledger_pb2

_TIMEOUT = 20
_PERSON = click.option("--person", required=True, help="Staff number of who acts.")
_BASIS = click.option("--basis", required=True, help="On what basis (依据).")
_ATTACHMENTS = click.option(
    "--attach",
    "files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A file that bears it out; only its name and digest are sent. Repeatable.",
)
_OUTCOME = click.option(
    "--outcome",
    type=click.Choice(["match", "mismatch", "no-record", "ambiguous"]),
    required=True,
    help="Of what the applicant says in respect of this type of fact only: match 属实 (also where that is that there "
    "is no such fact), mismatch 不符 (two people), no-record 查无 (proves nothing), ambiguous 无法确定.",
)
_OUTCOMES = {"MATCH": "属实", "MISMATCH": "不符", "NO_RECORD": "查无记录", "AMBIGUOUS": "无法确定"}
_METHODS = {"paper": "PAPER", "network": "NETWORK", "on-site": "ON_SITE", "public-notice": "PUBLIC_NOTICE"}


class _Desk(NamedTuple):
    """Where a command is given: by whom, for which system, and how what comes of it is told."""

    config: Path
    server: str | None
    system: str
    person: str
    as_json: bool

    def act(self) -> dict[str, Any]:
        """Give what every act says of itself: a new request id, and who acts."""
        from gateway.client import new_request_id

        return {"request_id": new_request_id(), "operator": self.colleague(self.person)}

    def colleague(self, person: str) -> Operator:
        """Give a person of the own unit."""
        return acting(self.config, self.system, person)

    def call(self, method: str, request: Any) -> Any:
        """Call the running gateway."""
        from gateway.v1 import assistance_pb2_grpc

        with running_gateway(self.config, self.server, self.system) as channel:
            return getattr(assistance_pb2_grpc.AssistanceServiceStub(channel), method)(request, timeout=_TIMEOUT)

    def carry(self, method: str, request: Any) -> None:
        """Call the running gateway, and tell how the request for assistance stands then."""
        done = self.call(method, request)
        _tell(done.assistance, done.receipt, self.as_json)


def _at_desk(shown: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of its desk, and the desk as its first argument."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @CONFIG
        @SERVER
        @shown_as(shown)
        @_PERSON
        @JSON
        @wraps(command)
        def called(
            *, config: Path, server: str | None, system: str, person: str, as_json: bool, **rest: Any
        ) -> None:  # fmt: skip
            command(_Desk(config, server, system, person, as_json), **rest)

        return called

    return decorate


@click.group()
def assistance() -> None:
    """Assistance of other departments (协查) and own checks (核查), through the running gateway."""


@assistance.command("send")
@_at_desk("clerk")
@click.option("--unit", required=True, help="The unit to ask, a unified social credit code.")
@click.option("--fact", "fact_type", required=True, help="The type of fact; `chengxin catalogue explain` names them.")
@click.option("--term", type=click.Choice(["simple", "normal", "archive"]), default="normal", show_default=True)
@click.option("--note", default="", help="What the unit should know beside the claim.")
@click.argument("verification")
def send(desk: _Desk, *, unit: str, fact_type: str, term: str, note: str, verification: str) -> None:
    """Ask a unit about a type of fact that the answer VERIFICATION (a record) leaves open."""
    from gateway.v1 import assistance_pb2

    request = assistance_pb2.SendAssistanceRequest(
        **desk.act(), verification=verification, unit=unit, fact_type=fact_type, note=note,
        term=assistance_pb2.AssistanceTerm.Value(f"ASSISTANCE_TERM_{term.upper()}"),
    )  # fmt: skip
    desk.carry("SendAssistance", request)


@assistance.command("list")
@CONFIG
@SERVER
@shown_as("source-officer")
@click.option("--sent", is_flag=True, help="Those that the own unit sent, instead of those it is asked.")
@click.option("--state", type=click.Choice([state.lower() for state in ASSISTANCE]), help="Only in this state.")
@JSON
def list_(*, config: Path, server: str | None, system: str, sent: bool, state: str | None, as_json: bool) -> None:
    """List requests, newest first; nobody is named."""
    from gateway.client.pages import Pages
    from gateway.v1 import assistance_pb2, assistance_pb2_grpc

    request = assistance_pb2.ListAssistanceRequest(sent=sent)
    if state is not None:
        request.state = assistance_pb2.AssistanceState.Value(f"ASSISTANCE_STATE_{state.upper()}")
    with running_gateway(config, server, system) as channel:
        stub = assistance_pb2_grpc.AssistanceServiceStub(channel)
        pages = Pages()
        while pages.token is not None:
            request.page_token = pages.token
            page = stub.ListAssistance(request, timeout=_TIMEOUT)
            for one in page.assistance:
                _tell(one, None, as_json)
            pages.turn(page.next_page_token)


@assistance.command("receive")
@_at_desk("source-officer")
@click.argument("record")
def receive(desk: _Desk, *, record: str) -> None:
    """See what the request RECORD asks, about whom. It holds personal data, and that you saw it is recorded."""
    from google.protobuf import json_format

    from gateway.v1 import assistance_pb2

    request = assistance_pb2.ReceiveAssistanceRequest(**desk.act(), record=record)
    answer: pb.ReceiveAssistanceResponse = desk.call("ReceiveAssistance", request)
    if desk.as_json:
        click.echo(jsonlib.dumps(json_format.MessageToDict(answer.inquiry), ensure_ascii=False))
        return
    asked = answer.inquiry
    lines = [
        f"证明事项:{asked.item_title}",
        f"需核实的事实:{asked.fact_title}",
        asked.meaning,
        f"当事人:{asked.subject.name}({asked.subject.id_number})",
        *(f"{label}:{value}" for label, value in asked.said.items()),
        f"用途:{asked.purpose}",
        *([f"说明:{asked.note}"] if asked.note else []),
        f"发起:{asked.sender.unit} {asked.sender.person}",
        f"期限:{_day(answer.assistance)}",
    ]
    click.echo("\n".join(lines))


@assistance.command("claim")
@_at_desk("source-officer")
@click.option("--take-over", is_flag=True, help="Also where a colleague has claimed it (接办).")
@click.argument("record")
def claim(desk: _Desk, *, take_over: bool, record: str) -> None:
    """Take the request RECORD on (认领)."""
    from gateway.v1 import assistance_pb2

    request = assistance_pb2.ClaimAssistanceRequest(**desk.act(), record=record, take_over=take_over)
    desk.carry("ClaimAssistance", request)


@assistance.command("answer")
@_at_desk("source-officer")
@click.option("--second", help="Staff number of the second person; needed for mismatch.")
@_OUTCOME
@_BASIS
@_ATTACHMENTS
@click.argument("record")
def answer(
    desk: _Desk, *, second: str | None, outcome: str, basis: str, files: Sequence[Path], record: str
) -> None:  # fmt: skip
    """Answer the request RECORD. What does not agree is found by two people."""
    from gateway.v1 import assistance_pb2

    request = assistance_pb2.AnswerAssistanceRequest(
        **desk.act(), record=record, outcome=_word(outcome), basis=basis, attachments=_attachments(files),
        second_operator=desk.colleague(second) if second else None,
    )  # fmt: skip
    desk.carry("AnswerAssistance", request)


@assistance.command("refuse")
@_at_desk("source-officer")
@click.option("--reason", required=True, help="Why (理由).")
@click.argument("record")
def refuse(desk: _Desk, *, reason: str, record: str) -> None:
    """Refuse to answer the request RECORD."""
    from gateway.v1 import assistance_pb2

    request = assistance_pb2.RefuseAssistanceRequest(**desk.act(), record=record, reason=reason)
    desk.carry("RefuseAssistance", request)


@assistance.command("return")
@_at_desk("source-officer")
@click.option("--forward-to", default="", help="The unit that should be asked, a unified social credit code.")
@click.argument("record")
def return_(desk: _Desk, *, forward_to: str, record: str) -> None:
    """Return the request RECORD, which reached the wrong unit."""
    from gateway.v1 import assistance_pb2

    request = assistance_pb2.ReturnAssistanceRequest(**desk.act(), record=record, forward_to=forward_to)
    desk.carry("ReturnAssistance", request)


@assistance.command("check")
@_at_desk("clerk")
@click.option("--second", required=True, help="Staff number of the second person who checked.")
@click.option("--fact", "fact_type", required=True, help="The type of fact that was checked.")
@click.option("--method", type=click.Choice([*_METHODS]), required=True,
              help="paper 书面核查, network 网络核验, on-site 实地调查, public-notice 公示核查.")  # fmt: skip
@_OUTCOME
@_BASIS
@_ATTACHMENTS
@click.option("--contractor", default="", help="Where a third party checked: its unified social credit code.")
@click.option("--contract", default="", help="The number of its contract.")
@click.option("--data-agreement", default="", help="The number of its agreement about personal data.")
@click.option("--fee-fen", type=click.IntRange(0), default=0, help="Its fee, in fen.")
@click.argument("verification")
def check(
    desk: _Desk,
    *,
    second: str,
    fact_type: str,
    method: str,
    outcome: str,
    basis: str,
    files: Sequence[Path],
    contractor: str,
    contract: str,
    data_agreement: str,
    fee_fen: int,
    verification: str,
) -> None:
    """Record what two people of the own unit checked, of one type of fact, for the answer VERIFICATION (a record)."""
    from gateway.v1 import assistance_pb2

    request = assistance_pb2.RecordCheckRequest(
        **desk.act(), verification=verification, fact_type=fact_type, outcome=_word(outcome), basis=basis,
        method=assistance_pb2.CheckMethod.Value(f"CHECK_METHOD_{_METHODS[method]}"),
        second_operator=desk.colleague(second), attachments=_attachments(files),
    )  # fmt: skip
    if contractor or contract or data_agreement or fee_fen:
        request.commission.contractor, request.commission.contract_number = contractor, contract
        request.commission.data_agreement, request.commission.fee_fen = data_agreement, fee_fen
    done: pb.RecordCheckResponse = desk.call("RecordCheck", request)
    told = {"check": done.record, "verification": done.verification, "entry": done.receipt.index}
    shown = f"核查结果已登记:{done.record};新的核验答复:{done.verification}(台账第 {done.receipt.index} 条)"
    click.echo(jsonlib.dumps(told) if desk.as_json else shown)


def _word(outcome: str) -> str:
    return outcome.upper().replace("-", "_")


def _attachments(files: Sequence[Path]) -> list[pb.Attachment]:
    from gateway.v1 import assistance_pb2

    found = []
    for file in files:
        with file.open("rb") as content:
            found.append(
                assistance_pb2.Attachment(title=file.name, digest=hashlib.file_digest(content, "sha256").digest())
            )
    return found


def _day(one: pb.Assistance) -> str:
    from gateway.rules.clocks import CHINA

    return one.due_at.ToDatetime(tzinfo=CHINA).strftime("%Y-%m-%d")


def _tell(one: pb.Assistance, receipt: ledger_pb2.Receipt | None, as_json: bool) -> None:
    from google.protobuf import json_format

    from gateway.v1 import assistance_pb2

    if as_json:
        told = json_format.MessageToDict(one)
        if receipt is not None:
            told["entry"] = receipt.index
        click.echo(jsonlib.dumps(told, ensure_ascii=False))
        return
    state = ASSISTANCE[assistance_pb2.AssistanceState.Name(one.state).removeprefix("ASSISTANCE_STATE_")]
    found = f" 申请人就此类事实所述:{_OUTCOMES[one.outcome]}" if one.outcome else ""
    entry = f" 台账第 {receipt.index} 条" if receipt is not None else ""
    click.echo(
        f"{one.record} {state}{found} 期限 {_day(one)} 事项 {one.item} 事实 {one.fact_type} 单位 {one.unit}{entry}"
    )
