"""`chengxin witness …`: run a witness for other people's logs; it knows nothing of the gateway and its configuration.

A witness is a folder: `witness.toml`, its private keys, its state, `logs.vkeys`, a log's first verifier key a line, and
`histories/`, the published key histories of logs whose key has changed.
"""

from __future__ import annotations

import json as jsonlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.commands.options import FILE, JSON, LogKeys, read_text
from ledger.durable_file import replace_file

if TYPE_CHECKING:
    from gateway.config.witness import WitnessSettings
    from ledger import KeyHistory
    from ledger.log.key_file import KeyedSigner
    from ledger.log.vkey import PublicKey
    from ledger.witness.state import WitnessState

_CONFIG = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path),
    default=Path("witness.toml"),
    show_default=True,
    help="The witness's configuration file.",
)
_EXAMPLE = """\
# A witness of transparency logs (https://c2sp.org/tlog-witness). Paths are relative to this file.

name = {name}
listen = "127.0.0.1:8490"
prefix = ""                              # the path before /add-checkpoint, such as "/w1"; empty: none
key_files = {keys}
state_file = "state.sqlite3"             # the witness's memory: never delete it, never restore it from a backup
logs_file = "logs.vkeys"                 # the logs it knows, a verifier key a line: `chengxin witness add-log`
certificate_file = ""                    # PEM; with key_file: serve over TLS; both empty: plain HTTP, behind a proxy
key_file = ""
"""


@click.group()
def witness() -> None:
    """Witness other people's logs: cosign what extends what was cosigned before."""


@witness.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", required=True, help="The witness's name for ever, such as witness.example.gov.cn/w1.")
@JSON
def witness_init(directory: Path, name: str, as_json: bool) -> None:
    """Found a witness in a new folder: keys (Ed25519 and ML-DSA-44), empty memory, configuration. Prints its vkeys."""
    from gateway.errors import ConfigurationError
    from ledger.log.note import require_key_name

    require_key_name(name)
    if directory.exists():
        raise ConfigurationError(str(directory), ["exists already; nothing was changed"])
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}."))
    try:
        vkeys = _found(made, name)
        made.rename(directory)
    except BaseException:
        shutil.rmtree(made)
        raise
    click.echo(jsonlib.dumps({"name": name, "vkeys": vkeys}) if as_json else "\n".join(vkeys))


def _found(directory: Path, name: str) -> list[str]:
    from ledger.log.key_file import write_cosigner_key
    from ledger.witness.state import create_state

    signers = [
        write_cosigner_key(directory / "ed25519.key", name, "ed25519"),
        write_cosigner_key(directory / "ml-dsa-44.key", name, "ml-dsa-44"),
    ]
    create_state(directory / "state.sqlite3", [signer.key_id for signer in signers])
    (directory / "logs.vkeys").touch()
    keys = '["ed25519.key", "ml-dsa-44.key"]'
    (directory / "witness.toml").write_text(_EXAMPLE.format(name=jsonlib.dumps(name), keys=keys), "utf-8")
    return [signer.verifier.vkey for signer in signers]


@witness.command("add-log")
@click.argument("vkey")
@click.option(
    "--history",
    metavar="FILE_OR_URL",
    help="The published key history of a log whose key has changed, as a file, or where the log is published; VKEY is "
    "its first key. Give the newest one after each change: only that makes the witness distrust a retired key.",
)
@_CONFIG
def witness_add_log(vkey: str, history: str | None, config: Path) -> None:
    """Cosign a log from the next start on: VKEY is its verifier key, which must come from the log's operator itself."""
    from gateway.errors import ConfigurationError
    from ledger.keyring.history import require_ranges
    from ledger.log.algorithms.ed25519 import Ed25519Verifier
    from ledger.witness.witness import require_sure

    settings = _settings(config)
    key, listed = _log_key(vkey, settings), _logs(settings)
    known = key.vkey in {one.vkey for one in listed}
    own = [one for one in listed if one.name == key.name] + ([] if known else [key])
    if history is None:
        if known:
            raise ConfigurationError(str(settings.logs_file), [f"log {key.name} is there already with this key"])
        if isinstance(key, Ed25519Verifier):
            require_ranges(own)  # even beside a history, which tells of no key that is added by hand
        found = _history(settings, key.name)
    else:
        found = _newer_history(settings, key, history)
    require_sure(own, {} if found is None else {key.name: found})
    if history is not None and found is not None:
        _keep_history(settings, found)
    if not known:
        text = settings.logs_file.read_text("utf-8")
        text += ("" if not text or text.endswith("\n") else "\n") + key.vkey + "\n"
        replace_file(settings.logs_file, text.encode())
    click.echo(f"log {key.name} is {'brought up to date' if known else 'added'}; restart the witness")


def _newer_history(settings: WitnessSettings, key: PublicKey, place: str) -> KeyHistory:
    """Read a log's published key history, once it is proved and continues the one that is kept already."""
    from ledger import verify_key_history
    from ledger.errors import KeyHistoryError
    from ledger.publication.client import published_key_history

    if "://" in place:
        text = published_key_history(place)
        if text is None:
            raise click.ClickException(f"no key history is published at {place}")
    else:
        text = read_text(Path(place))
    found = verify_key_history(text, key.vkey, key.name)
    kept = _history(settings, key.name)
    if kept is not None and not found.continues(kept):
        raise KeyHistoryError(f"the history does not continue the one kept of {key.name}: it is older, or another one")
    return found


def _keep_history(settings: WitnessSettings, history: KeyHistory) -> None:
    from ledger import format_key_history

    file = _history_file(settings, history.origin)
    file.parent.mkdir(exist_ok=True)
    replace_file(file, format_key_history(history).encode())


def _history_file(settings: WitnessSettings, origin: str) -> Path:
    from ledger.witness.protocol import origin_hash

    return settings.logs_file.parent / "histories" / f"{origin_hash(origin)}.history"


def _history(settings: WitnessSettings, origin: str) -> KeyHistory | None:
    """Read the key history kept of a log; whether the key it begins with is listed is for the witness to look at."""
    from ledger import verify_key_history
    from ledger.keyring.published import first_key

    file = _history_file(settings, origin)
    if not file.exists():
        return None
    text = read_text(file)
    return verify_key_history(text, first_key(text, origin), origin)


def _histories(settings: WitnessSettings, keys: list[PublicKey]) -> list[KeyHistory]:
    """Read the key histories kept of the logs of some keys."""
    from ledger.log.algorithms.ed25519 import Ed25519Verifier

    origins = dict.fromkeys(key.name for key in keys if isinstance(key, Ed25519Verifier))
    return [history for history in (_history(settings, origin) for origin in origins) if history is not None]


@witness.command("serve")
@_CONFIG
def witness_serve(config: Path) -> None:
    """Serve until SIGTERM. Prints `ready PORT` on standard output when it answers; logs go to standard error."""
    import structlog

    from gateway.logs import configure
    from ledger.secret_file import read_secret
    from ledger.witness.server import application, serve
    from ledger.witness.witness import Witness

    settings = _settings(config)
    if settings.key_file is not None:
        read_secret(settings.key_file)
    configure()
    log = structlog.get_logger()
    with _state(settings) as (state, cosigners):
        known = _logs(settings)
        histories = _histories(settings, known)
        judge = Witness(cosigners=cosigners, logs=known, histories=histories, state=state, now=_now)

        def tell(status: int, reason: str) -> None:
            log.info("answered", code=status, reason=reason)

        serve(
            application(judge, prefix=settings.prefix, tell=tell),
            host=settings.host,
            port=settings.port,
            ready=lambda port: click.echo(f"ready {port}"),
            certificate_file=settings.certificate_file,
            key_file=settings.key_file,
        )


@witness.command("status")
@_CONFIG
@JSON
def witness_status(config: Path, as_json: bool) -> None:
    """Show the keys, what was cosigned of each log, and the evidence kept against logs that signed two histories.

    Refused checkpoints that prove nothing, for anybody can send them, are only counted.
    """
    from ledger.witness.state import MOST_UNPROVEN

    settings = _settings(config)
    with _state(settings) as (state, cosigners):
        newest, evidence = {one.origin: one for one in state.all()}, state.evidence()
        unproven = state.unproven()
    origins = dict.fromkeys([*newest, *(key.name for key in _logs(settings))])
    told = {
        "vkeys": [signer.verifier.vkey for signer in cosigners],
        "logs": [
            {
                "origin": origin,
                "size": newest[origin].size if origin in newest else 0,
                "root": newest[origin].root.hex() if origin in newest else None,
                "cosigned_at": newest[origin].cosigned_at if origin in newest else None,
                "unproven": unproven.get(origin, 0),
            }
            for origin in origins
        ],
        "evidence": [
            {
                "origin": one.origin,
                "at": one.at,
                "reason": one.reason,
                "refused": one.note.decode(),
                "cosigned": one.known.decode(),
            }
            for one in evidence
        ],
    }
    if as_json:
        click.echo(jsonlib.dumps(told, ensure_ascii=False))
        return
    click.echo("\n".join(signer.verifier.vkey for signer in cosigners))
    for origin in origins:
        click.echo(f"{origin}: " + (f"cosigned size {newest[origin].size}" if origin in newest else "nothing yet"))
    for origin, count in unproven.items():
        many = f"{count} or more" if count == MOST_UNPROVEN else str(count)
        click.echo(f"{origin}: {many} refused without a proof of growth, which is evidence of nothing")
    for one in evidence:
        click.echo(f"EVIDENCE against {one.origin}: signed two roots for size {one.size}")


@witness.command("trust-clock")
@_CONFIG
def witness_trust_clock(config: Path) -> None:
    """Forget when the last cosignatures were made, after this machine's clock ran ahead and was set right."""
    with _state(_settings(config)) as (state, _):
        state.trust_clock()
    click.echo("the clock is trusted again")


@witness.command("verify")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="The trust policy (C2SP tlog-policy): logs, witnesses, quorum.",
)
@click.option(
    "--history", "history_file", type=FILE,
    help="The published key history, for a log whose key has changed; the policy lists its first key.",
)  # fmt: skip
@click.option("--origin", help="The log's origin; that of the policy's only log by default.")
@JSON
def witness_verify(
    *, file: Any, policy_file: Path, history_file: Path | None, origin: str | None, as_json: bool
) -> None:
    """Verify that a receipt's checkpoint, or a checkpoint alone, is witnessed as a policy asks; offline."""
    from ledger import verify_key_history
    from ledger.keyring.published import first_key
    from ledger.receipt import is_receipt, parse_receipt
    from ledger.witness.policy import log_keys, verify_witnessed
    from ledger.witness.policy_file import load_policy

    policy, content = load_policy(policy_file), file.read()
    origins = {log.key.name for log in policy.logs} if origin is None else {origin}
    if len(origins) != 1:
        raise click.UsageError("the policy does not list the keys of exactly one log: name it with --origin")
    (log,) = origins
    note = parse_receipt(content).note if is_receipt(content) else content
    history: KeyHistory | None = None
    if history_file is not None:
        text = read_text(history_file)
        history = verify_key_history(text, first_key(text, log), log)  # the policy must list that key
    checkpoint = verify_witnessed(note, policy, log, history)
    told: dict[str, object] = {"origin": log, "size": checkpoint.size, "root": checkpoint.root.hex()}
    if is_receipt(content):
        keys = log_keys(policy, log) if history is None else history
        verified = LogKeys(origin=log, keys=keys).verify_receipt(content)
        told |= {"index": verified.index, "kind": verified.entry.kind, "record": verified.entry.record.hex()}
    click.echo(jsonlib.dumps(told) if as_json else "witnessed: " + ", ".join(f"{k} {v}" for k, v in told.items()))


def _settings(config: Path) -> WitnessSettings:
    from gateway.config.witness import load_witness_settings

    return load_witness_settings(config)


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _state(settings: WitnessSettings) -> Iterator[tuple[WitnessState, list[KeyedSigner]]]:
    """Lend the witness's memory, which is never made here, and its keys."""
    from ledger.log.key_file import load_cosigner
    from ledger.witness.state import WitnessState

    cosigners = [load_cosigner(path, settings.name, now=_now) for path in settings.key_files]
    state = WitnessState(settings.state_file, [signer.key_id for signer in cosigners])
    try:
        yield state, cosigners
    finally:
        state.close()


def _logs(settings: WitnessSettings) -> list[PublicKey]:
    from gateway.errors import ConfigurationError
    from ledger import NoteError, parse_vkeys

    try:
        keys = parse_vkeys(settings.logs_file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(str(settings.logs_file), [f"cannot be read ({error.strerror})"]) from error
    except (NoteError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(settings.logs_file), [str(error)]) from error
    return [_log_key(key.vkey, settings) for key in keys]


def _log_key(vkey: str, settings: WitnessSettings) -> PublicKey:
    from gateway.errors import ConfigurationError
    from ledger import parse_vkey
    from ledger.log.algorithms.cosignature import Ed25519CosignatureVerifier

    key = parse_vkey(vkey)
    if isinstance(key, Ed25519CosignatureVerifier) or key.name == settings.name:
        raise ConfigurationError(str(settings.logs_file), [f"{key.name} is the key of a witness, not of a log"])
    return key
