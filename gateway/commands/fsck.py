"""`chengxin ledger fsck`: check a whole ledger, or compute its projections again."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from gateway.commands.options import CONFIG, FILE, JSON, progress, read_config, read_log_keys, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config import LedgerSettings
    from ledger import KeyHistory, MasterKeys, Verifier
    from ledger.fsck import FsckReport
    from ledger.log.vkey import PublicKey


class _Log(NamedTuple):
    url: str
    origin: str
    verifiers: Sequence[Verifier] | KeyHistory
    further: Sequence[PublicKey]
    """The configured keys of further lines, and of witnesses."""
    inline: bool = False


@click.command()
@CONFIG
@click.option("--url", help="Another database than the configured one, such as a copy.")
@click.option(
    "--key",
    type=FILE,
    help="The log's public key file; with --url, no configuration and no secret is needed then.",
)
@click.option("--history", type=FILE, help="With --key: the published key history.")
@click.option(
    "--witness-key",
    "witness_keys",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A file of verifier keys, one a line: of witnesses, or of the log's further lines; repeatable. With the "
    "configuration, its keys of further lines and of the witness policy are known already.",
)
@click.option("--without-vault", is_flag=True, help="Do not open documents (no master key needed).")
@click.option("--leaves-from-tiles", is_flag=True, help="Check hashes and signatures only; no entry is read.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes (as many as cores by default).")
@click.option(
    "--resume",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep in this file how far the check came, and skip what it says was verified.",
)
@click.option(
    "--rebuild-projections",
    is_flag=True,
    help="Before the check, compute the projection and the index again from the entries. Repairs nothing else.",
)
@JSON
def fsck(
    *,
    config: Path,
    url: str | None,
    key: Path | None,
    history: Path | None,
    witness_keys: tuple[Path, ...],
    without_vault: bool,
    leaves_from_tiles: bool,
    workers: int | None,
    resume: Path | None,
    rebuild_projections: bool,
    as_json: bool,
) -> None:
    """Recompute everything from the entries and name the first bad one; the exit status is 1 if anything is wrong."""
    from ledger import parse_vkeys
    from ledger.commands import fsck as check
    from ledger.commands import rebuild

    given = [one for path in witness_keys for one in parse_vkeys(read_text(path))]
    log = _log(config, url, key, history)
    keys = None if without_vault or key is not None else _master_keys(config)
    if rebuild_projections:
        if keys is None:
            raise click.UsageError("--rebuild-projections needs the master keys: the facts stand in the documents")
        with progress("rebuilding") as advance:
            rebuild(log.url, origin=log.origin, master_keys=keys, progress=advance)
    with progress("checking") as advance:
        report = check(
            log.url,
            verifiers=log.verifiers,
            origin=log.origin,
            master_keys=keys,
            witnesses=[*log.further, *given],
            progress=advance,
            workers=workers,
            resume=resume,
            leaves_from_tiles=leaves_from_tiles,
            inline=log.inline,
        )
    _tell(report, as_json=as_json)
    if not report.sound:
        sys.exit(1)


def _log(config: Path, url: str | None, key: Path | None, history: Path | None) -> _Log:
    from ledger import Signing

    if key is not None:
        if url is None:
            raise click.UsageError("--key goes with --url")
        log = read_log_keys(key, history)
        return _Log(url, log.origin, log.keys, [])
    if history is not None:
        raise click.UsageError("--history goes with --key")
    from gateway.bootstrap.ledger import key_history

    settings = read_config(config).ledger
    inline = settings.signing is Signing.INLINE
    return _Log(url or settings.url, settings.origin, key_history(settings), _further_keys(settings), inline)


def _further_keys(settings: LedgerSettings) -> list[PublicKey]:
    from gateway.bootstrap.opening import now_utc
    from ledger import load_further_signer
    from ledger.witness.policy_file import load_policy

    paths, policy = settings.cosigner_key_files, settings.witness_policy_file
    own = [load_further_signer(path, settings.origin, now=now_utc).verifier for path in paths]
    return own if policy is None else [*own, *(witness.key for witness in load_policy(policy).witnesses)]


def _master_keys(config: Path) -> MasterKeys:
    from gateway.bootstrap.ledger import open_master_keys

    return open_master_keys(read_config(config).ledger)


def _tell(report: FsckReport, *, as_json: bool) -> None:
    damages = [{"index": damage.index, "what": damage.what} for damage in report.damages]
    counts = {
        "size": report.size,
        "checkpoints": report.checkpoints,
        "records": report.records,
        "indexes": report.indexes,
        "skipped": report.skipped,
        "unverified": report.unverified,
        "remnants": report.remnants,
    }
    if as_json:
        click.echo(jsonlib.dumps({"ok": report.sound, **counts, "damages": damages}, ensure_ascii=False))
        return
    for damage in report.damages:
        where = f"entry {damage.index}" if damage.index is not None else "ledger"
        click.echo(f"{where}: {damage.what}")
    checked = ", ".join(
        f"{count} {name}" for name, count in counts.items() if name not in ("size", "unverified", "remnants") and count
    )
    click.echo(f"{report.size} entries" + (f" ({checked})" if checked else ""))
    if report.unverified:
        click.echo(f"{report.unverified} signature lines of unknown keys were not verified: give them by --witness-key")
    if report.remnants:
        click.echo(f"digests of {report.remnants} erased requests are left: clear them by `chengxin vault clear`")
    click.echo("the ledger is sound" if report.sound else f"{len(report.damages)} damages")
