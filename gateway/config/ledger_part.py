"""The part `[ledger]` of the configuration, read."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from connectors.stanza import Stanza, duration
from gateway.config.model import AnchorSettings, LedgerSettings, Pkcs11Settings
from ledger.appends.publishing import SignAfter, Signing
from ledger.errors import StoreMissing
from ledger.exchange import is_web
from ledger.log.databases import require_address

_LONGEST_SOCKET_PATH = 107


def read_ledger(part: Stanza, home: Path) -> LedgerSettings:
    """Read `[ledger]`; mistakes are noted in the part."""
    url = _url(part)
    signing = home / part.text("signing_key_file")
    return LedgerSettings(
        url=_database_url(url, home),
        origin=part.text("origin"),
        signing_key_file=signing,
        cosigner_key_files=tuple(home / name for name in part.texts("cosigner_key_files")),
        next_signing_key_file=_beside(part, "next_signing_key_file", home, signing.with_name("log.next.key")),
        key_history_file=_beside(part, "key_history_file", home, signing.with_name("log.history")),
        seen_checkpoint_file=_beside(part, "seen_checkpoint_file", home, signing.with_name("checkpoint.seen")),
        seen_every=part.duration("seen_every", "10s"),
        ask_published=tuple(_address(part, one, home) for one in part.texts("ask_published")),
        master_keys_file=home / part.text("master_keys_file"),
        pkcs11=_pkcs11(part, home),
        index_key_file=home / part.text("index_key_file"),
        queue=part.number("queue", 4096, least=1, most=1 << 20),
        owner_socket=_beside(part, "owner_socket", home, home / "owner.sock"),
        signing=Signing(part.choice("signing", tuple(one.value for one in Signing), "inline")),
        sign_after=_sign_after(part, url),
        standbys=_standbys(part),
        publish_every=part.duration("publish_every", "1s"),
        witness_policy_file=home / part.text("witness_policy_file") if "witness_policy_file" in part else None,
        witness_timeout=part.duration("witness_timeout", "10s"),
        index_every=_switched_duration(part, "index_every", "1h"),
        anchors=_anchors(part.table("anchors"), home) if "anchors" in part else None,
    )


def require_socket_path(part: Stanza, path: Path) -> None:
    """Note it as a mistake if no socket can be at a path."""
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        part.mistake("owner_socket", f"{path} is longer than the {_LONGEST_SOCKET_PATH} bytes that a socket allows")


def _sign_after(part: Stanza, url: str) -> SignAfter:
    chosen = SignAfter(part.choice("sign_after", tuple(one.value for one in SignAfter), "local"))
    if chosen is not SignAfter.LOCAL and part.choice("signing", ("inline", "interval"), "inline") == "inline":
        part.mistake("sign_after", 'needs signing = "interval": with "inline", signing is part of the commit')
    if chosen is SignAfter.STANDBY and url.startswith("sqlite"):
        part.mistake("sign_after", "an SQLite ledger has no standby")
    if chosen is SignAfter.WITNESS and "witness_policy_file" not in part:
        part.mistake("sign_after", "needs a witness_policy_file")
    return chosen


def _standbys(part: Stanza) -> tuple[str, ...]:
    names = part.texts("standbys")
    if names and part.choice("sign_after", tuple(one.value for one in SignAfter), "local") != "standby":
        part.mistake("standbys", 'needs sign_after = "standby"')
    return names


def _switched_duration(part: Stanza, key: str, default: str) -> timedelta | None:
    """Read a duration, or `"0"` for never."""
    text = part.text(key, default)
    try:
        return None if text == "0" else duration(text) or None
    except ValueError:
        part.mistake(key, 'must be a duration such as "1h", or "0" for never')
        return None


def _beside(part: Stanza, key: str, home: Path, default: Path) -> Path:
    name = part.text(key, str(default))
    return home / name


def _address(part: Stanza, text: str, home: Path) -> str:
    try:
        return text if is_web(text) else str(home / text)
    except ValueError as wrong:
        part.mistake("ask_published", f"{text!r} {wrong}")
        return text


def _anchors(part: Stanza, home: Path) -> AnchorSettings:
    return AnchorSettings(
        tsa_url=part.text("tsa_url"),
        tsa_root_file=home / part.text("tsa_root_file"),
        tsa_policy=part.text("tsa_policy", ""),
        every=part.duration("every", "1h"),
        timeout=part.duration("timeout", "10s"),
    )


def _pkcs11(part: Stanza, home: Path) -> Pkcs11Settings | None:
    keys = ("pkcs11_module", "pkcs11_token", "pkcs11_key_label", "pkcs11_pin_file")
    if part.choice("master_keys", ("file", "pkcs11"), "file") == "file":
        for key in keys:
            if key in part:
                part.text(key, "")
                part.mistake(key, 'goes with master_keys = "pkcs11" only')
        return None
    module, token, label, pin_file = (part.text(key) for key in keys)
    return Pkcs11Settings(module=home / module, token=token, key_label=label, pin_file=home / pin_file)


def _url(part: Stanza) -> str:
    url = part.text("url")
    try:
        if url:
            require_address(url)
    except StoreMissing as missing:
        part.mistake("url", str(missing))
    return url


def _database_url(url: str, home: Path) -> str:
    """Make the path of an SQLite URL absolute: `sqlite:///ledger.sqlite3` is beside the configuration file."""
    scheme, separator, path = url.partition(":///")
    if scheme == "sqlite" and separator:
        return f"sqlite:///{home / path}"
    return url
