"""`chengxin evidence export` and `verify`: everything that proves one commitment, as one file that verifies offline."""

from __future__ import annotations

import hashlib
import json as jsonlib
import sys
from pathlib import Path

import click

from gateway.commands.options import CONFIG, JSON, read_config
from gateway.commands.private_file import write_private

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def evidence() -> None:
    """Write and verify evidence packs of commitments."""


@evidence.command("export")
@CONFIG
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@click.argument("record")
@JSON
def export(config: Path, out: Path, record: str, as_json: bool) -> None:
    """Write the evidence pack of a recorded commitment (RECORD: 32 hexadecimal digits). It holds personal data."""
    from gateway.bootstrap.flows import pack_circumstances
    from gateway.bootstrap.ledger import open_master_keys
    from gateway.evidence_pack.collecting import collect
    from ledger.commands import RecordReader

    try:
        identity = bytes.fromhex(record)
    except ValueError:
        identity = b""
    if len(identity) != 16:
        raise click.BadParameter("a record has 32 hexadecimal digits", param_hint="RECORD")
    settings = read_config(config)
    keys = open_master_keys(settings.ledger)
    circumstances = pack_circumstances(settings)
    log = settings.ledger
    with RecordReader(
        log.url, origin=log.origin, master_keys=keys, verifiers=circumstances.keys().verifiers
    ) as reader:  # fmt: skip
        pack = collect(reader, identity, circumstances)
    write_private(out, pack)
    told = {"file": str(out), "bytes": len(pack), "sha256": hashlib.sha256(pack).hexdigest()}
    click.echo(jsonlib.dumps(told) if as_json else f"wrote {out}: {len(pack)} bytes")


@evidence.command("verify")
@click.argument("file", type=_FILE)
@click.option("--vkey", type=_FILE, required=True, help="The log's public key file; the first one, if it has changed.")
@click.option("--anchors", type=_FILE, multiple=True, help="Believe these authorities (PEM), not the one in the pack.")
@click.option("--crl", "lists", type=_FILE, multiple=True, help="A revocation list that came later; repeatable.")
@JSON
def verify(*, file: Path, vkey: Path, anchors: tuple[Path, ...], lists: tuple[Path, ...], as_json: bool) -> None:
    """Verify an evidence pack offline and name every check that fails; the exit status is then 1."""
    from gateway.evidence_pack.check import printable
    from gateway.evidence_pack.checking import Believed, check_pack
    from gateway.signatures.certificates import load_anchors

    believed = Believed(
        vkey=vkey.read_text("utf-8").strip(),
        anchors=load_anchors(anchors),
        lists=tuple(path.read_bytes() for path in lists),
    )
    report = check_pack(file.read_bytes(), believed)
    if as_json:
        checks = {check.name: check.failure or "ok" for check in report.checks}
        told = {"ok": not report.failures, "checks": checks, "told": dict(report.told), "not_proved": report.not_proved}
        click.echo(jsonlib.dumps(told))
    else:
        for check in report.checks:
            click.echo(printable(f"FAILED {check.name}: {check.failure}" if check.failure else f"ok     {check.name}"))
        for name, value in report.told.items():
            click.echo(printable(f"{name}: {value}"))
        for sentence in report.not_proved:
            click.echo(printable(f"NOT PROVED: {sentence}"))
    if report.failures:
        sys.exit(1)
