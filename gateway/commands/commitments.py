"""`chengxin commitments …`: what a running gateway holds of commitments, as a file."""

from __future__ import annotations

import json as jsonlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.options import (
    CONFIG,
    JSON,
    SERVER,
    house_of,
    in_both,
    pair_to_show,
    progress,
    read_config,
    require_readable,
    shown_as,
    tell_tls_fault,
)
from gateway.commands.private_file import creating_private

if TYPE_CHECKING:
    from gateway.client import Person


@click.group()
def commitments() -> None:
    """Commitments (告知承诺), through the running gateway."""


@commitments.command("export")
@CONFIG
@SERVER
@shown_as("officer")
@click.option("--person", required=True, help="Staff number of who exports.")
@click.option("--purpose", required=True, help="Why; it is recorded.")
@click.option("--format", "form", type=click.Choice(["csv", "xlsx", "jsonl"]), help="By the file's ending by default.")
@click.option("--state", default="", help="Only in this state, such as IN_FORCE.")
@click.option("--matter", default="", help="Only of this matter.")
@click.option("--item", default="", help="Only of this item.")
@click.option("--case", "case_id", default="", help="Only of this case; needs --matter.")
@click.option("--due-before", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Only due before (UTC).")
@click.option("--subject-file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help='JSON such as {"id_type":"resident-id","id_number":"…","name":"…"}: only this person.')  # fmt: skip
@click.option("--unit", default="", help="Another unit's; for auditors.")
@click.option("--all-units", is_flag=True, help="Every unit's, erased ones included; for auditors.")
@JSON
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
def export(
    *,
    config: Path,
    server: str | None,
    system: str,
    person: str,
    purpose: str,
    form: str | None,
    state: str,
    matter: str,
    item: str,
    case_id: str,
    due_before: datetime | None,
    subject_file: Path | None,
    unit: str,
    all_units: bool,
    as_json: bool,
    target: Path,
) -> None:
    """Write commitments into the file TARGET, masked. The export itself is recorded; a file that is there is kept."""
    from gateway.client import (
        Acting,
        BlockingGatewayClient,
        CommitmentSelection,
        CredentialsWrong,
        ExportIncomplete,
        GatewayRefusal,
    )

    chosen = form or target.suffix.removeprefix(".").lower()
    if chosen not in ("csv", "xlsx", "jsonl"):
        raise click.UsageError("the file ends in .csv, .xlsx or .jsonl, or --format says what it is")
    if target.exists():
        raise click.UsageError(f"{target} is there already")
    selection = CommitmentSelection(
        state=_known_state(state), matter=matter, item=item, case_id=case_id, unit=unit, all_units=all_units,
        due_before=due_before.replace(tzinfo=UTC) if due_before else None,
        subject=_subject(subject_file), purpose=purpose,
    )  # fmt: skip
    house = house_of(config, system)
    certificate, key = pair_to_show(house, system)
    require_readable(house.vkey)
    acting = Acting(person=person, unit=house.unit(system))
    address = server or read_config(config).server.listen
    try:
        with (
            creating_private(target) as file,
            BlockingGatewayClient.connect(
                address, authority=house.authority, certificate=certificate, key=key, log_keys=house.vkey
            ) as gateway,
            progress("exporting") as advance,
        ):
            done = gateway.export_commitments(
                selection, file, form=chosen, acting=acting, purpose=purpose, progress=advance
            )
    except CredentialsWrong as wrong:
        raise click.ClickException(f"{wrong}\n{wrong.chinese}") from wrong
    except GatewayRefusal as refusal:
        if refusal.code == "UNAVAILABLE" and not refusal.reason:
            tell_tls_fault(house, address, system)
        raise click.ClickException(in_both(refusal)) from refusal
    except ExportIncomplete as failure:
        raise click.ClickException(f"{failure}; nothing was kept") from failure
    told = {"file": str(target), "rows": done.rows, "sha256": done.digest.hex(), "entry": done.receipt.index}
    click.echo(jsonlib.dumps(told) if as_json else ", ".join(f"{name} {value}" for name, value in told.items()))


def _known_state(state: str) -> str:
    from gateway.v1 import commitment_pb2

    if state and f"COMMITMENT_STATE_{state}" not in commitment_pb2.CommitmentState.keys():  # noqa: SIM118
        raise click.UsageError(f"{state!r} is not a state of a commitment")
    return state


def _subject(file: Path | None) -> Person | None:
    from gateway.client import Person

    if file is None:
        return None
    try:
        about = jsonlib.loads(file.read_text("utf-8"))
        return Person(id_type=about["id_type"], id_number=about["id_number"], name=about["name"])
    except (OSError, ValueError, TypeError, KeyError):
        raise click.ClickException("the subject file is not JSON with id_type, id_number and name") from None
