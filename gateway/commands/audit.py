"""`chengxin audit …`: look again at commitments, through the running gateway."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass
from gateway.commands.options import CONFIG, JSON, SERVER, acting, progress, running_gateway, shown_as


@click.group()
def audit() -> None:
    """Look again at commitments."""


@audit.command("requery")
@CONFIG
@SERVER
@shown_as("auditor")
@click.option("--person", required=True, help="Staff number of who orders it.")
@click.option("--matter", default="", help="Only this matter.")
@click.option("--all", "everything", is_flag=True, help="Also commitments whose audit is not due yet.")
@JSON
def audit_requery(
    *, config: Path, server: str | None, system: str, person: str, matter: str, everything: bool, as_json: bool
) -> None:
    """Ask the sources again about commitments in force, through the running gateway."""
    from gateway.v1 import audit_pb2, audit_pb2_grpc

    operator = acting(config, system, person)
    request = audit_pb2.RequeryCommitmentsRequest(operator=operator, matter=matter, all_in_force=everything)
    counts: dict[str, int] = {}
    with running_gateway(config, server, system) as channel, progress("asking again") as advance:
        for one in audit_pb2_grpc.AuditServiceStub(channel).RequeryCommitments(request, timeout=3600):
            result = audit_pb2.RequeryResult.Name(one.result).removeprefix("REQUERY_RESULT_")
            counts[result] = counts.get(result, 0) + 1
            advance(one.done, one.total)
            if as_json:
                line = {"commitment": one.commitment, "result": result, "finding": one.finding}
                click.echo(jsonlib.dumps(line))
    if not as_json:
        told = ", ".join(f"{result} {count}" for result, count in sorted(counts.items()))
        click.echo(told or "no commitment is due")
