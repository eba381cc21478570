"""The command `chengxin`. Commands import what they need when they run, so that help is quick."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.config import Settings

_CONFIG = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path),
    default=Path("var/gateway.toml"),
    show_default=True,
    help="The configuration file.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chengxin")
def cli() -> None:
    """Data-sharing verification gateway with a personal commitment ledger (数据共享核验网关与告知承诺台账)."""


def main() -> None:
    """Run the command; what is wrong is said in one place and ends with a non-zero status."""
    from connectors.errors import ConnectorError
    from gateway.errors import GatewayError
    from ledger.errors import LedgerError

    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (GatewayError, LedgerError, ConnectorError) as error:
        click.echo(f"chengxin: {error}", err=True)
        sys.exit(1)


@cli.command()
@click.option("--home", type=click.Path(path_type=Path), default=Path("var"), show_default=True, help="Where.")
@click.option("--sources", type=click.Path(path_type=Path, exists=True), help="TOML with the stanzas of the sources.")
@click.option("--url", default="sqlite:///ledger.sqlite3", show_default=True, help="The ledger's database.")
@click.option("--listen", default="127.0.0.1:8443", show_default=True, help="Where the gateway will listen.")
def init(home: Path, sources: Path | None, url: str, listen: str) -> None:
    """Found a house: development CA, a certificate for every role, keys, an empty ledger, gateway.toml."""
    from gateway.founding import found

    stanzas = sources.read_text("utf-8") if sources else "# Add at least one source: see connectors/README.md.\n"
    house = found(home, now=datetime.now(UTC), sources=stanzas, url=url, listen=listen)
    click.echo(f"founded {home}: configuration {house.config}, public key of the log {house.vkey}")


@cli.command("check-config")
@_CONFIG
def check_config(config: Path) -> None:
    """Read the configuration, the catalogue, the master keys and the sources' stanzas, which must fit the catalogue,
    and name every mistake.
    """
    from gateway.bootstrap import now_utc, open_catalogue, open_master_keys, open_printer, open_roots, open_sources
    from gateway.bootstrap_commitments import require_lists
    from gateway.flows.ask import Ask
    from gateway.signature_settings import open_signatures

    settings = _settings(config)
    open_master_keys(settings.ledger)
    if settings.ledger.anchors is not None:
        open_roots(settings.ledger.anchors)
    open_signatures(settings.signatures).close()
    open_printer(settings.commitments)
    catalogue = open_catalogue(settings)
    sources = open_sources(settings, catalogue)
    require_lists(settings.commitments, catalogue, Ask(sources, now=now_utc))
    click.echo(f"ok: {len(catalogue.items)} items, {len(catalogue.matters)} matters, {len(sources)} sources")


@cli.command()
@_CONFIG
@click.option("--part", hidden=True, help="Only this part of a gateway of several processes.")
@click.option("--listen", hidden=True, help="Instead of the configured address.")
def serve(config: Path, part: str | None, listen: str | None) -> None:
    """Serve until SIGTERM. Prints `ready PORT` on standard output when it answers; logs go to standard error.

    With `workers` above 1, so many processes answer at one address; a process that ends is started again.

    The exit status is 3 if the ledger is not what it must be: then starting again does not help, somebody has to look.
    """
    from dataclasses import replace

    from gateway import logs
    from gateway.bootstrap import Part, run
    from gateway.refusals import explained
    from gateway.workers import end_with_parent, run_workers

    def ready(port: int) -> None:
        click.echo(f"ready {port}")
        sys.stdout.flush()

    logs.configure()
    settings = _settings(config)
    if part is None and settings.server.workers > 1:
        sys.exit(run_workers(settings, config, ready))
    if listen is not None:
        settings = replace(settings, server=replace(settings.server, listen=listen))
    with explained():
        if part is not None:
            end_with_parent()
        run(settings, ready, Part.ALONE if part is None else Part(part))


@cli.group()
def ledger() -> None:
    """Check and read the ledger, offline."""


@ledger.command("prove")
@_CONFIG
@click.argument("index", type=click.IntRange(min=0))
@click.option("--size", type=click.IntRange(min=1), help="Against the checkpoint of this size (the newest by default).")
def ledger_prove(config: Path, index: int, size: int | None) -> None:
    """Print the receipt of an entry."""
    from ledger.commands import prove

    click.echo(prove(_settings(config).ledger.url, index, size), nl=False)


@ledger.command("show")
@_CONFIG
@click.argument("index", type=click.IntRange(min=0))
@click.option("--document", is_flag=True, help="Open the document too; it holds personal data.")
def ledger_show(config: Path, index: int, document: bool) -> None:
    """Print an entry, and on request the document behind it."""
    from gateway.bootstrap import open_master_keys
    from ledger import Erased
    from ledger.commands import show

    settings = _settings(config)
    keys = open_master_keys(settings.ledger) if document else None
    shown = show(settings.ledger.url, index, origin=settings.ledger.origin, master_keys=keys)
    click.echo(shown.leaf.decode())
    if isinstance(shown.document, Erased):
        click.echo("the document is erased")
    elif shown.document is not None:
        click.echo(jsonlib.dumps(shown.document, ensure_ascii=False, indent=1))


@ledger.command("verify")
@click.argument("receipt", type=click.File("rb"))
@click.option(
    "--key", "key", type=click.Path(path_type=Path, exists=True), required=True, help="The log's public key file."
)
@click.option(
    "--history",
    type=click.Path(path_type=Path, exists=True),
    help="The published key history, for a log whose key has changed; KEY is the first one.",
)
@_JSON
def ledger_verify(receipt: Any, key: Path, history: Path | None, as_json: bool) -> None:
    """Verify a receipt with nothing but the log's public key; no database, no network."""
    from ledger import parse_vkey, verify_key_history
    from ledger.commands import verify

    verifier = parse_vkey(key.read_text("utf-8"))
    if history is None:
        verified = verify(receipt.read(), verifiers=[verifier], origin=verifier.name)
    else:
        keys = verify_key_history(history.read_text("utf-8"), verifier.vkey, verifier.name)
        verified = keys.verify_receipt(receipt.read())
    entry = verified.entry
    told = {
        "index": verified.index,
        "size": verified.size,
        "kind": entry.kind,
        "record": entry.record.hex(),
        "at": entry.at.isoformat(),
    }
    click.echo(jsonlib.dumps(told) if as_json else "verified: " + ", ".join(f"{k} {v}" for k, v in told.items()))


@ledger.command("export")
@_CONFIG
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--url", help="Another database than the configured one, such as a copy.")
@_JSON
def ledger_export(config: Path, directory: Path, url: str | None, as_json: bool) -> None:
    """Write the log as a directory that any web server can publish; what is there already is not written again."""
    from dataclasses import asdict

    from gateway.bootstrap import key_history
    from ledger import format_key_history
    from ledger.commands import export

    settings = _settings(config)
    address, origin = url or settings.ledger.url, settings.ledger.origin
    history = key_history(settings.ledger)
    with _progress("exporting") as advance:
        done = export(
            address, directory, verifiers=history.verifiers, origin=origin,
            key_history=format_key_history(history), progress=advance,
        )  # fmt: skip
    if as_json:
        click.echo(jsonlib.dumps(asdict(done)))
    else:
        before = "nothing" if done.old_size is None else f"{done.old_size} entries"
        files = f"{done.written} files written, {done.kept} kept, {done.removed} superseded removed"
        click.echo(f"{directory} had {before} and has {done.size} entries: {files}")


@ledger.command("check-published")
@click.argument("place", metavar="URL_OR_DIR")
@click.option(
    "--key",
    "keys",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    multiple=True,
    help="A file of the log's public key, and of those of its further lines, one a line; repeat it for each file. With "
    "the log's first key alone, later ones are followed through the key history beside the log.",
)
@click.option("--origin", help="The log's origin; the name of the first key by default.")
@_JSON
def ledger_check_published(place: str, keys: tuple[Path, ...], origin: str | None, as_json: bool) -> None:
    """Check every tile and entry of a published log, as anybody can; the exit status is 1 if anything is wrong."""
    from ledger import parse_vkeys
    from ledger.commands import check_published, follow_published
    from ledger.keyring.history import require_ranges

    verifiers = [verifier for key in keys for verifier in parse_vkeys(key.read_text("utf-8"))]
    if not verifiers:
        raise click.ClickException("the key files hold no key")
    name = origin or verifiers[0].name
    with _progress("checking") as advance:
        if len(verifiers) == 1:
            report = follow_published(place, verifiers[0], name, progress=advance)
        else:
            require_ranges(verifiers)
            report = check_published(place, verifiers=verifiers, origin=name, progress=advance)
    damages = [{"index": damage.index, "what": damage.what} for damage in report.damages]
    if as_json:
        root = report.seen.root.hex()
        click.echo(jsonlib.dumps({"ok": report.sound, "size": report.seen.size, "root": root, "damages": damages}))
    else:
        for damage in report.damages:
            click.echo(f"entry {damage.index}: {damage.what}")
        told = "is sound" if report.sound else f"has {len(damages)} damages"
        click.echo(f"the published log of {report.seen.size} entries {told}")
    if not report.sound:
        sys.exit(1)


@cli.group()
def audit() -> None:
    """Look again at commitments."""


@audit.command("requery")
@_CONFIG
@click.option("--server", help="host:port; the configured address by default.")
@click.option("--as", "system", default="auditor", show_default=True, help="The certificate to show, from pki/.")
@click.option("--person", required=True, help="Staff number of who orders it.")
@click.option("--matter", default="", help="Only this matter.")
@click.option("--all", "everything", is_flag=True, help="Also commitments whose audit is not due yet.")
@_JSON
def audit_requery(
    *, config: Path, server: str | None, system: str, person: str, matter: str, everything: bool, as_json: bool
) -> None:
    """Ask the sources again about commitments in force, through the running gateway."""
    from gateway.client import open_blocking_channel
    from gateway.founding import House
    from gateway.v1 import audit_pb2, audit_pb2_grpc, parties_pb2

    settings = _settings(config)
    house = House(home=config.parent)
    certificate, key = house.pair(system)
    address = server or settings.server.listen
    request = audit_pb2.RequeryCommitmentsRequest(
        operator=parties_pb2.Operator(person=person, unit=house.unit(system)), matter=matter, all_in_force=everything
    )
    counts: dict[str, int] = {}
    with (
        open_blocking_channel(address, authority=house.authority, certificate=certificate, key=key) as channel,
        _progress("asking again") as advance,
    ):
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


@cli.command()
@_CONFIG
@click.option("--server", help="host:port; the configured address by default.")
@click.option("--as", "system", default="clerk", show_default=True, help="The certificate to show, from pki/.")
@click.option("--matter", default="230000-MSA-001", show_default=True, help="The matter (办理事项).")
@click.option("--item", default="business-premises", show_default=True, help="The item (证明事项).")
@click.option("--purpose", default="办理行政许可", show_default=True, help="One of the matter's purposes.")
@click.option("--case", "case_id", default="办-试-1", show_default=True, help="The case number (办件号).")
@click.option("--name", required=True, help="The applicant's name.")
@click.option("--id", "id_number", required=True, help="The applicant's resident id number.")
@click.option("--set", "parameters", multiple=True, metavar="NAME=TEXT", help="A parameter of the item; repeatable.")
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
    parameters: tuple[str, ...],
) -> None:
    """Ask a running gateway one question, as an approval department's system would."""
    import uuid

    import grpc
    from google.protobuf import text_format

    from gateway.client import explain, open_blocking_channel
    from gateway.founding import House
    from gateway.v1 import parties_pb2, verification_pb2, verification_pb2_grpc

    house = House(home=config.parent)
    certificate, key = house.pair(system)
    operator = parties_pb2.Operator(person=f"{system}-01", unit=house.unit(system))
    request = verification_pb2.VerifyRequest(
        request_id=str(uuid.uuid4()),
        context=parties_pb2.CaseContext(matter=matter, case_id=case_id, purpose=purpose, operator=operator),
        item=item,
        subject=parties_pb2.Subject(id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=id_number, name=name),
        parameters={key: parties_pb2.Value(text=text) for key, _, text in (one.partition("=") for one in parameters)},
    )
    address = server or _settings(config).server.listen
    with open_blocking_channel(address, authority=house.authority, certificate=certificate, key=key) as channel:
        try:
            answer = verification_pb2_grpc.VerificationServiceStub(channel).Verify(request, timeout=10)
        except grpc.RpcError as error:
            reason, chinese = explain(error)
            raise click.ClickException(f"{error.code().name} {reason}: {error.details()}\n{chinese}") from error
    click.echo(text_format.MessageToString(answer.verification, as_utf8=True), nl=False)
    click.echo(f"receipt: entry {answer.receipt.index} of {answer.receipt.size}")


@cli.command()
@click.option("--story", is_flag=True, help="Play the whole story once and end.")
@click.option("--home", type=click.Path(path_type=Path), help="Where to keep it (var/demo by default).")
@click.option("--people", type=click.IntRange(100, 1_000_000), default=3000, show_default=True, help="How many people.")
@click.option("--seed", type=int, default=20200904, show_default=True, help="The seed of the synthetic people.")
def demo(story: bool, home: Path | None, people: int, seed: int) -> None:
    """Start a demonstration province on this machine: departments, gateway, credit platform."""
    from gateway.demo.province import play, stay

    if story:
        sys.exit(play(people=people, seed=seed))
    sys.exit(stay(home or Path("var/demo"), people=people, seed=seed))


def _settings(config: Path) -> Settings:
    from gateway.config import load_settings

    return load_settings(config)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on standard error where a person looks on."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


from gateway import (  # noqa: E402  they add themselves
    anchor_commands,
    catalogue_commands,
    commitment_commands,
    connector_commands,
    disclosure_commands,
    evidence_commands,
    fsck_command,
    key_commands,
    key_creation,
    ledger_commands,
    letter_commands,
    staff_key_commands,
    template_commands,
    vault_commands,
    witness_commands,
)

key_commands.add_to(cli)
catalogue_commands.add_to(cli)
key_creation.add_to(cli)
witness_commands.add_to(cli)
vault_commands.add_to(cli)
disclosure_commands.add_to(ledger)
anchor_commands.add_to(ledger)
fsck_command.add_to(ledger)
ledger_commands.add_to(ledger)
connector_commands.add_to(cli)
commitment_commands.add_to(cli)
evidence_commands.add_to(cli)
template_commands.add_to(cli)
letter_commands.add_to(cli)
staff_key_commands.add_to(cli)
