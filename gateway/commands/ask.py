"""`chengxin ask`: one question to a running gateway."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.commands.options import CONFIG, JSON, SERVER, acting, running_gateway, shown_as


@click.command()
@CONFIG
@SERVER
@shown_as("clerk")
@click.option("--matter", default="230000-MSA-001", show_default=True, help="The matter (办理事项).")
@click.option("--item", default="business-premises", show_default=True, help="The item (证明事项).")
@click.option("--purpose", default="办理行政许可", show_default=True, help="One of the matter's purposes.")
@click.option("--case", "case_id", default="办-试-1", show_default=True, help="The case number (办件号).")
@click.option("--name", required=True, help="The applicant's name.")
@click.option("--id", "id_number", required=True, help="The applicant's resident id number.")
@click.option("--request-id", help="A UUID: that of an earlier run, to ask the same again; a new one by default.")
@click.option("--set", "parameters", multiple=True, metavar="NAME=TEXT", help="A parameter of the item; repeatable.")
@JSON
def ask(
    *,
    config: Path,
    server: str | None,
    system: str,
    matter: str,
    item: str,
    purpose: str,
    case_id: str,
    name: str,
    id_number: str,
    request_id: str | None,
    parameters: tuple[str, ...],
    as_json: bool,
) -> None:
    """Ask a running gateway one question, as an approval department's system would."""
    from google.protobuf import json_format, text_format

    from gateway.client import new_request_id
    from gateway.v1 import parties_pb2, verification_pb2, verification_pb2_grpc

    identity = request_id or new_request_id()
    operator = acting(config, system, f"{system}-01")
    request = verification_pb2.VerifyRequest(
        request_id=identity,
        context=parties_pb2.CaseContext(matter=matter, case_id=case_id, purpose=purpose, operator=operator),
        item=item,
        subject=parties_pb2.Subject(id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=id_number, name=name),
        parameters={key: parties_pb2.Value(text=text) for key, _, text in (one.partition("=") for one in parameters)},
    )
    try:
        with running_gateway(config, server, system) as channel:
            answer = verification_pb2_grpc.VerificationServiceStub(channel).Verify(request, timeout=10)
    except click.ClickException as refused:
        raise click.ClickException(f"{refused.message}\n请求编号 --request-id {identity}") from refused
    if as_json:
        click.echo(json_format.MessageToJson(answer, indent=None, ensure_ascii=False, preserving_proto_field_name=True))
        return
    click.echo(text_format.MessageToString(answer.verification, as_utf8=True), nl=False)
    click.echo(f"receipt: entry {answer.receipt.index} of {answer.receipt.size}")
