"""`chengxin vault erase …`, `hold …` and `retention`: what destroys documents, and what keeps them.

An SQLite ledger has one writer: stop the gateway first, but for what only reads (`show`, `list`, `--dry-run`). On
PostgreSQL all of it runs beside the gateway.
"""

from __future__ import annotations

import json as jsonlib
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.options import CONFIG, JSON, progress, read_config
from gateway.commands.private_file import PUBLIC, create_all
from gateway.commands.vault import REWRITE, ledger_settings, open_vault, tell, told_if_locked
from gateway.commands.writing import Unpublished, writing_ledger

if TYPE_CHECKING:
    from gateway.config import LedgerSettings, Settings
    from gateway.flows.administration.retain import RetentionReport
    from gateway.rules.retention import Kept
    from ledger import Appended, Ledger, Submission
    from ledger.log.store import Store
    from ledger.vault.erasure import Doomed, Proposal
    from ledger.vault.officers import Officers, OfficerSigner
    from ledger.vault.remnants import Rewrite

_RECORDS = click.option("--record", "records", multiple=True, metavar="HEX", help="A record's id; repeatable.")
_SUBJECT = click.option(
    "--subject-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='JSON such as {"id_type":"resident-id","id_number":"…"}: all records of this person.',
)
_BASIS = click.option("--basis", required=True, help="The rule that orders or allows it.")
_NUMBER = click.option("--document-number", required=True, help="The number of the signed order (文号).")
_OFFICER = click.option("--officer", required=True, metavar="NUMBER", help="Staff number of who acts.")
_KEY = click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="The officer's own private key.",
)
_PERSON = click.option("--person", required=True, help="Staff number of who orders it.")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command("officer-key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--passphrase/--no-passphrase", default=True, show_default=True, help="Ask for one to close the key.")
def officer_key(file: Path, passphrase: bool) -> None:
    """Make a key for an officer: FILE is for the officer alone, FILE.pub is named in [[erasure.officers]]."""
    from ledger.vault.officers import write_officer_key

    shown = file.with_name(file.name + ".pub")
    if shown.exists():
        raise click.ClickException(f"{shown} exists; nothing is overwritten")
    secret = click.prompt("passphrase", hide_input=True, confirmation_prompt=True, err=True) if passphrase else None
    public = write_officer_key(file, secret.encode() if secret else None)
    try:
        create_all([(shown, public, PUBLIC)])
    except BaseException:
        file.unlink()
        raise
    click.echo(f"wrote {file} and {shown}")


@click.group()
def erase() -> None:
    """Erasure by order: one officer proposes, another carries it out; every proof stays valid."""


@erase.command("propose")
@CONFIG
@_RECORDS
@_SUBJECT
@_OFFICER
@_KEY
@_BASIS
@_NUMBER
@click.option("--dry-run", is_flag=True, help="Only tell what would be erased.")
@_YES
@JSON
def propose(
    *,
    config: Path,
    records: tuple[str, ...],
    subject_file: Path | None,
    officer: str,
    key: Path,
    basis: str,
    document_number: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Propose to destroy the documents of records; nothing is destroyed yet. Prints the proposal and its receipt."""
    from ledger.vault.erasure import ErasureOrder, examine_order, propose_erasure

    settings = read_config(config)
    with open_vault(settings.ledger) as store:
        chosen = _records(store, settings.ledger, records, subject_file)
        order = ErasureOrder(records=chosen, basis=basis, document_number=document_number)
        with _told_what_must_end(store, chosen):
            doomed = examine_order(store, order)
    _show(doomed)
    if dry_run:
        tell({"records": len(doomed), "documents": sum(one.documents for one in doomed)}, as_json)
        return
    signer = _signer(_officers(settings), officer, key)
    _ask("Propose to destroy", doomed, yes)
    record = os.urandom(16)
    submission = propose_erasure(
        order, doomed, by=signer, origin=settings.ledger.origin, record=record, at=datetime.now(UTC)
    )
    _told(_append(settings.ledger, submission, as_json=as_json), {"proposal": record.hex()}, as_json)


@erase.command("show")
@CONFIG
@click.argument("proposal", metavar="HEX")
@JSON
def show(config: Path, proposal: str, as_json: bool) -> None:
    """Show a proposal that waits: who ordered it, on what ground, and which records; beside a running gateway too."""
    read = _proposal(read_config(config).ledger, proposal)
    told = {
        "proposal": read.record.hex(),
        "basis": read.order.basis,
        "document_number": read.order.document_number,
        "officer": read.signed.officer.number,
        "records": [one.hex() for one in sorted(read.newest)],
    }
    tell(told, as_json)


@erase.command("approve")
@CONFIG
@click.argument("proposal", metavar="HEX")
@_OFFICER
@_KEY
@REWRITE
@_YES
@JSON
def approve(
    *, config: Path, proposal: str, officer: str, key: Path, rewrite: Rewrite, yes: bool, as_json: bool
) -> None:
    """Carry out what another officer proposed. This cannot be undone. Prints the receipt.

    Run again after an interruption, it finishes what makes the database forget, and prints the receipt again.
    """
    from ledger.vault.remnants import clear_remnants

    settings = read_config(config)
    officers = _officers(settings)
    signer = _signer(officers, officer, key)
    try:
        done, erased = _carry_out(settings, officers, signer, proposal, yes=yes, as_json=as_json)
        _told(done, {"erased": erased}, as_json)
    except Unpublished:  # carried out all the same
        clear_remnants(settings.ledger.url, rewrite=rewrite)
        raise
    clear_remnants(settings.ledger.url, rewrite=rewrite)


def _carry_out(
    settings: Settings, officers: Officers, signer: OfficerSigner, proposal: str, *, yes: bool, as_json: bool
) -> tuple[Appended, list[str]]:
    """Append what carries a proposal out, unless that was done; returns it, and which records it erased."""
    from gateway.flows.commitments.documents import claims_of
    from ledger.records.register import Register
    from ledger.vault.erasure import approve_erasure, erased_records, examine_order

    with _opened(settings.ledger, as_json=as_json) as ledger:
        done = _carried_out(ledger, proposal)
        if done is None:
            read = _proposal(settings.ledger, proposal)
            with open_vault(settings.ledger) as store:
                # Read first: a record that goes on in between is refused for it.
                rows = Register(store).many([*read.order.records])
                with _told_what_must_end(store, read.order.records):
                    doomed = examine_order(store, read.order)
            submission = approve_erasure(
                read, doomed, by=signer, officers=officers, origin=settings.ledger.origin, at=datetime.now(UTC),
                releases=claims_of(rows.values()),
            )  # fmt: skip
            _show(doomed)
            _ask("Destroy", doomed, yes)
            with open_vault(settings.ledger) as store, _told_what_must_end(store, read.order.records):
                done = ledger.append_blocking(submission)
        return done, erased_records(ledger.document(done.entries[0].index))


@erase.command("reject")
@CONFIG
@click.argument("proposal", metavar="HEX")
@_OFFICER
@_KEY
@JSON
def reject(config: Path, proposal: str, officer: str, key: Path, as_json: bool) -> None:
    """Reject a proposal; nothing is destroyed."""
    from ledger.vault.erasure import reject_erasure

    settings = read_config(config)
    officers = _officers(settings)
    signer = _signer(officers, officer, key)
    with _opened(settings.ledger, as_json=as_json) as ledger:
        read = _proposal(settings.ledger, proposal)
        submission = reject_erasure(
            read, by=signer, officers=officers, origin=settings.ledger.origin, at=datetime.now(UTC)
        )
        done = ledger.append_blocking(submission)
    _told(done, {"rejected": read.record.hex()}, as_json)


@click.group()
def hold() -> None:
    """Legal holds: what is held is not erased, neither by order nor at the end of its retention."""


@hold.command("place")
@CONFIG
@click.option("--record", metavar="HEX", help="The record that is held.")
@_SUBJECT
@_PERSON
@_BASIS
@_NUMBER
@JSON
def place(
    *,
    config: Path,
    record: str | None,
    subject_file: Path | None,
    person: str,
    basis: str,
    document_number: str,
    as_json: bool,
) -> None:
    """Hold a record, or everything of a person. Prints the hold, how many documents it keeps, and its receipt."""
    from ledger.vault.holds import HoldOrder, count_held, place_hold

    settings = read_config(config).ledger
    if bool(record) == bool(subject_file):
        raise click.UsageError("give either --record or --subject-file")
    with open_vault(settings) as store:
        held = _known(store, record) if record else None
    subject = _subject(settings, subject_file) if subject_file else None
    made = os.urandom(16)
    order = HoldOrder(basis=basis, document_number=document_number, person=person)
    placed = place_hold(order, record=made, at=datetime.now(UTC), held=held, subject=subject)
    done = _append(settings, placed, as_json=as_json)
    with open_vault(settings) as store:  # after the append: what was erased before it, it cannot keep
        documents = count_held(store, made)
    _told(done, {"hold": made.hex(), "documents": documents}, as_json)


@hold.command("release")
@CONFIG
@click.argument("held", metavar="HEX")
@_PERSON
@_BASIS
@_NUMBER
@JSON
def release(*, config: Path, held: str, person: str, basis: str, document_number: str, as_json: bool) -> None:
    """End a hold."""
    from ledger.vault.holds import HoldOrder, release_hold

    settings = read_config(config).ledger
    with open_vault(settings) as store:
        known = _known(store, held)
    order = HoldOrder(basis=basis, document_number=document_number, person=person)
    released = release_hold(order, known, datetime.now(UTC))
    _told(_append(settings, released, as_json=as_json), {"released": held}, as_json)


@hold.command("list")
@CONFIG
@JSON
def list_holds(config: Path, as_json: bool) -> None:
    """List the holds in force."""
    from ledger.records.register import Register
    from ledger.vault.holds import held_rows

    with open_vault(ledger_settings(config)) as store:
        rows = held_rows(Register(store))
    for row in rows:
        told = {
            "hold": row.record.hex(),
            "since": row.opened_at.isoformat(timespec="seconds"),
            "record": row.parent.hex() if row.parent else None,
            "person": row.subject is not None,
        }
        tell(told, as_json)
    if not rows and not as_json:
        click.echo("nothing is held")


@click.command("retention")
@CONFIG
@click.option("--dry-run/--run", default=None, help="Tell what is due, or erase it.")
@click.option("--person", help="Staff number of who runs it; needed with --run.")
@REWRITE
@JSON
def retention(*, config: Path, dry_run: bool | None, person: str | None, rewrite: Rewrite, as_json: bool) -> None:
    """Erase the documents whose period has ended ([retention]), and tell what is kept and why.

    Can be interrupted at any moment, and continues when run again. A dry run may be made beside a running gateway.
    """
    from connectors.names import is_blank
    from gateway.flows.administration.retain import Retain
    from ledger import Level, Register
    from ledger.vault.remnants import clear_remnants

    if dry_run is None:
        raise click.UsageError("give either --dry-run or --run")
    if not dry_run and is_blank(person or ""):
        raise click.UsageError("--run needs --person")
    settings = read_config(config)

    def retain(register: Register) -> Retain:
        return Retain(
            register=register, rules=settings.retention, now=lambda: datetime.now(UTC), entropy=os.urandom
        )  # fmt: skip

    if dry_run:  # reads only: an SQLite ledger may have its writer meanwhile
        with open_vault(settings.ledger) as store, progress("looking") as advance:
            report = retain(Register(store)).look(advance)
    else:
        with _opened(settings.ledger, as_json=as_json) as ledger, progress("erasing") as advance:
            # Nobody is given a receipt here, and each batch would wait for its own.
            append = partial(ledger.append_blocking, level=Level.SEQUENCED)
            report = retain(ledger.register()).run(person or "", append, advance)
        # Also where nothing was due: a run that was killed has left it to this one.
        clear_remnants(settings.ledger.url, rewrite=rewrite)
    _report(report, dry_run=dry_run, as_json=as_json)


def _report(report: RetentionReport, *, dry_run: bool, as_json: bool) -> None:
    done = "due" if dry_run else "erased"
    tallies = [(matter, family, tally) for (matter, family), tally in sorted(report.tallies.items())]
    if as_json:
        lines = [
            {
                "matter": matter,
                "family": family,
                "cases": tally.records,
                done: tally.erased,
                "oldest": tally.oldest_day,
                "kept": {reason.value: count for reason, count in tally.reasons},
            }
            for matter, family, tally in tallies
        ]
        told = {"dry_run": dry_run, "records": report.erased_records, "entries": report.entries, "matters": lines}
        click.echo(jsonlib.dumps(told, ensure_ascii=False))
        return
    for matter, family, tally in tallies:
        kept = ", ".join(f"{_words(reason)} {count}" for reason, count in tally.reasons)
        click.echo(
            f"{matter or '-'} {family}: {tally.records} cases, {done} {tally.erased}, oldest {tally.oldest_day}"
            + (f"; kept: {kept}" if kept else "")
        )
    click.echo(f"{'would erase' if dry_run else 'erased'} the documents of {report.erased_records} records")


def _words(reason: Kept) -> str:
    return reason.value.lower().replace("_", " ")


def _records(
    store: Store, settings: LedgerSettings, given: Sequence[str], subject_file: Path | None
) -> tuple[bytes, ...]:
    if bool(given) == bool(subject_file):
        raise click.UsageError("give either --record or --subject-file")
    if subject_file is None:
        return tuple(_hex(one) for one in given)
    from ledger.vault.erasure import related_records

    found = related_records(store, _subject(settings, subject_file))
    if not found:
        raise click.ClickException(
            "no record is about this person under the present index key; documents about others may name this person "
            "(a relative, an agent), and are erased by --record"
        )
    return found


def _subject(settings: LedgerSettings, subject_file: Path) -> bytes:
    from gateway.bootstrap.opening import open_index
    from gateway.rules.clocks import legal_day
    from gateway.rules.identifiers import IdentifierRefused, parse_identifier

    try:
        about = jsonlib.loads(subject_file.read_text("utf-8"))
        subject = parse_identifier(about["id_type"], about["id_number"], today=legal_day(datetime.now(UTC)))
    except IdentifierRefused as refusal:
        raise click.ClickException(f"the subject file: {refusal}") from None
    except (OSError, ValueError, TypeError, KeyError):
        raise click.ClickException("the subject file is not JSON with id_type and id_number") from None
    return open_index(settings).of(subject.id_type, subject.number)


def _known(store: Store, given: str) -> bytes:
    from ledger.records.register import Register

    record = _hex(given)
    if Register(store).get(record) is None:
        raise click.ClickException(f"record {given} is unknown")
    return record


def _hex(given: str) -> bytes:
    try:
        record = bytes.fromhex(given)
    except ValueError:
        record = b""
    if len(record) != 16:
        raise click.UsageError("a record's id is 32 hex digits")
    return record


def _proposal(settings: LedgerSettings, given: str) -> Proposal:
    """Read a proposal that waits, beside whoever writes the ledger."""
    from gateway.bootstrap.ledger import open_master_keys
    from ledger.commands import RecordReader

    keys = open_master_keys(settings)
    with RecordReader(settings.url, origin=settings.origin, master_keys=keys) as reader:
        return reader.proposal(_hex(given))


def _carried_out(ledger: Ledger, given: str) -> Appended | None:
    """Give the entry that carried a proposal out, with its receipt; None if none did."""
    from ledger import Replay

    row = ledger.register().get(_hex(given))
    kinds = [line.kind for line in ledger.register().history(row.record)] if row else []
    if row is None or kinds != ["ErasureProposed", "DocumentErased"]:
        return None
    return ledger.await_receipts(ledger.replay(Replay(body_digest=b"", first_idx=row.last_idx, count=1)))


def _officers(settings: Settings) -> Officers:
    from gateway.bootstrap.opening import open_officer
    from ledger.vault.officers import Officers

    return Officers(map(open_officer, settings.erasure_officers))


def _signer(officers: Officers, number: str, key: Path) -> OfficerSigner:
    from ledger.vault.officers import OfficerSigner

    officer = officers.named(number)
    encrypted = b"ENCRYPTED" in key.read_bytes()
    passphrase = click.prompt("passphrase", hide_input=True, err=True).encode() if encrypted else None
    return OfficerSigner.load(key, officer, passphrase)


_MUST_END = {
    "finding": "认定 {} 尚未办结({}):须先办结(澄清、更正、无法认定、不予认定,或者决定生效)",
    "report": "信用报送 {} 尚未结束({}):须先经信用修复,或者待效力届满,由信用平台终止展示",
}


@contextmanager
def _told_what_must_end(store: Store, records: Collection[bytes]) -> Iterator[None]:
    """Tell in Chinese, too, what keeps each record of an order that is refused for what has still to end."""
    from ledger.errors import ErasureRefused
    from ledger.records.register import Register

    try:
        yield
    except ErasureRefused as refusal:
        told = [
            f"记录 {record.hex()} 暂不能删除,与之相关的{_MUST_END[one.family].format(one.record.hex(), one.state)}。"
            for record, waiting in sorted(Register(store).unfinished(set(records)).items())
            for one in waiting
        ]
        if not told:
            raise
        raise click.ClickException("\n".join([str(refusal), *told])) from None


def _show(doomed: Sequence[Doomed]) -> None:
    for one in doomed:
        click.echo(f"{one.record.hex()}  {one.family} {one.state}: {one.documents} documents", err=True)


def _ask(what: str, doomed: Sequence[Doomed], yes: bool) -> None:
    if not yes:
        total = sum(one.documents for one in doomed)
        click.confirm(f"{what} {total} documents of {len(doomed)} records for ever?", abort=True, err=True)


@contextmanager
def _opened(settings: LedgerSettings, *, as_json: bool) -> Iterator[Ledger]:
    with told_if_locked(), writing_ledger(settings, as_json=as_json) as ledger:
        yield ledger


def _append(settings: LedgerSettings, submission: Submission, *, as_json: bool) -> Appended:
    with _opened(settings, as_json=as_json) as ledger:
        return ledger.append_blocking(submission)


def _told(done: Appended, told: dict[str, object], as_json: bool) -> None:
    receipt = done.receipts[0].decode()
    if as_json:
        click.echo(jsonlib.dumps({"index": done.entries[0].index, **told, "receipt": receipt}, ensure_ascii=False))
        return
    for name, value in told.items():
        click.echo(f"{name} {value}", err=True)
    click.echo(receipt, nl=False)
