"""`witness.toml`, read strictly: unknown keys refused, every mistake told at once, keys only as files.

A relative path is relative to the file that names it. `chengxin witness init` writes a complete, commented example.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import StanzaError
from connectors.stanza import Stanza
from gateway.config.address import read_address
from gateway.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSettings:
    """Everything a witness is told; port 0 lets the system choose."""

    name: str
    host: str
    port: int
    prefix: str
    key_files: tuple[Path, ...]
    state_file: Path
    logs_file: Path
    certificate_file: Path | None
    key_file: Path | None


def load_witness_settings(path: Path) -> WitnessSettings:
    """Read a witness's configuration.

    Raises:
        ConfigurationError: names every mistake.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(str(path), ["there is no such file (`chengxin witness init` writes one)"]) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error}"]) from error
    root, home = Stanza(str(path), table), path.parent.resolve()
    host, port = _address(root)
    certificate, key = _optional(root, "certificate_file"), _optional(root, "key_file")
    if bool(certificate) != bool(key):
        root.mistake("certificate_file", "goes together with key_file")
    settings = WitnessSettings(
        name=root.text("name"),
        host=host,
        port=port,
        prefix=_prefix(root),
        key_files=_keys(root, home),
        state_file=home / root.text("state_file"),
        logs_file=home / root.text("logs_file"),
        certificate_file=home / certificate if certificate else None,
        key_file=home / key if key else None,
    )
    try:
        root.finish()
    except StanzaError as error:
        raise ConfigurationError(str(path), error.mistakes) from error
    return settings


def _address(part: Stanza) -> tuple[str, int]:
    try:
        address = read_address(part.text("listen", "127.0.0.1:8490"))
    except ValueError as error:
        part.mistake("listen", str(error))
        return "", 0
    return address.host, address.port


def _prefix(part: Stanza) -> str:
    prefix = _optional(part, "prefix")
    if prefix and (not prefix.startswith("/") or prefix.endswith("/") or any(c in prefix for c in "{}?#")):
        part.mistake("prefix", "must be a path that begins with / and does not end in it")
    return prefix


def _keys(part: Stanza, home: Path) -> tuple[Path, ...]:
    names = part.texts("key_files", None)
    if not names and "key_files" in part:
        part.mistake("key_files", "must name at least one key")
    return tuple(home / name for name in names)


def _optional(part: Stanza, key: str) -> str:
    """Read a text that may be empty."""
    value = part.anything(key)
    if value is None or isinstance(value, str):
        return value or ""
    part.mistake(key, "must be a text")
    return ""
