"""Read one drop: a file that a department left in a folder, with its manifest; all agrees or none is taken."""

from __future__ import annotations

import base64
import binascii
import hashlib
from codecs import BOM_UTF8
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connectors.compare import Unreadable, bare
from connectors.connector import Coverage
from connectors.coverage import COMPLETE, read_places
from connectors.drop_rows import FORMATS, read_rows
from connectors.errors import DropRefused
from connectors.record import Record, moment

MANIFEST_SUFFIX = ".manifest.json"
CHARSETS = ("utf-8", "gb18030")
_MOST_BYTES = 1024 * 1024
"""Of a manifest or a signature."""
_FIELDS = {"schema", "fact_type", "file", "sha256", "rows", "as_of", "charset", "key", "columns"}
_OPTIONAL = {"coverage", "empty", "format"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DropManifest:
    """What a department declares of a drop; `sha256` is that of the file, in hexadecimal."""

    fact_type: str
    file: str
    sha256: str
    rows: int
    as_of: datetime
    coverage: Coverage | None
    format: str
    charset: str
    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A drop taken over: its rows by identity number, never changed, replaced as a whole."""

    manifest: DropManifest
    rows: Mapping[str, Sequence[tuple[object, ...]]]

    def records(self, *keys: str) -> list[Record]:
        """Give the records under any of some identity numbers."""
        found = (row for key in keys for row in self.rows.get(key, ()))
        return [dict(zip(self.manifest.columns, row, strict=True)) for row in found]


def read_file(path: Path, what: str, most_bytes: int = _MOST_BYTES) -> bytes:
    """Read a file of a drop, and never more of it than it may hold.

    Raises:
        DropRefused: it cannot be read (or have such a name), or is longer.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise DropRefused(f"{what} is not there") from None
    except (OSError, ValueError) as error:
        raise DropRefused(f"{what} cannot be read ({type(error).__name__})") from None
    if len(octets) > most_bytes:
        raise DropRefused(f"{what} has more than {most_bytes} bytes")
    return octets


def read_manifest(octets: bytes, zone: ZoneInfo) -> DropManifest:
    """Read a manifest (JSON, schema 1), naming every mistake at once.

    Raises:
        DropRefused: it is not JSON, or not of schema 1.
    """
    try:
        read = orjson.loads(octets)
    except orjson.JSONDecodeError:
        mark = ": it begins with a byte order mark (BOM)" if octets.startswith(BOM_UTF8) else ""
        raise DropRefused(f"the manifest is not JSON{mark}") from None
    if not isinstance(read, dict):
        raise DropRefused("the manifest is no object")
    fields = _FIELDS - {"charset"} if read.get("format") == "xlsx" else _FIELDS
    mistakes = [f"{name} is not known" for name in sorted(set(read) - fields - _OPTIONAL)]
    mistakes += [f"{name} is missing" for name in sorted(fields - set(read))]
    if not mistakes:
        mistakes = _mistakes(read)
    if mistakes:
        raise DropRefused("manifest: " + "; ".join(mistakes))
    return _manifest(read, zone)


def _mistakes(read: Mapping[str, object]) -> list[str]:
    columns: Any = read["columns"]
    file = read["file"]
    is_hash = isinstance(read["sha256"], str) and len(read["sha256"]) == 64
    is_empty = read.get("empty") is True
    is_list = isinstance(columns, list) and all(isinstance(one, str) and one for one in columns)
    checks = {
        "schema must be 1": type(read["schema"]) is int and read["schema"] == 1,
        "fact_type must be a text": isinstance(read["fact_type"], str),
        "file must be a name in the same folder": isinstance(file, str) and Path(file).name == file and bool(file),
        "sha256 must be 64 hexadecimal digits": is_hash,
        "rows must be a whole number": type(read["rows"]) is int,
        'rows is 0, which must be said by "empty": true where the holding is empty': read["rows"] != 0 or is_empty,
        "empty must be true, of 0 rows, or be left out": "empty" not in read or (is_empty and read["rows"] == 0),
        f"format must be one of {', '.join(FORMATS)}": read.get("format", FORMATS[0]) in FORMATS,
        f"charset must be one of {', '.join(CHARSETS)}": read.get("charset", CHARSETS[0]) in CHARSETS,
        "columns must be a list of different texts": is_list and len(set(columns)) == len(columns),
        "key must be one of the columns": is_list and read["key"] in columns,
    }
    return [mistake for mistake, holds in checks.items() if not holds]


def _manifest(read: Mapping[str, object], zone: ZoneInfo) -> DropManifest:
    try:
        as_of = moment(read["as_of"], zone)
    except Unreadable as error:
        raise DropRefused(f"manifest: as_of: {error}") from None
    columns = read["columns"]
    return DropManifest(
        fact_type=str(read["fact_type"]),
        file=str(read["file"]),
        sha256=str(read["sha256"]).lower(),
        rows=int(str(read["rows"])),
        as_of=as_of,
        coverage=None if read.get("coverage") is None else _coverage(read["coverage"]),
        format=str(read.get("format", FORMATS[0])),
        charset=str(read.get("charset", CHARSETS[0])),
        key=str(read["key"]),
        columns=tuple(columns) if isinstance(columns, list) else (),
    )


def _coverage(read: object) -> Coverage:
    """Read a coverage as a stanza's: what says nothing is a mistake, so that nobody declares by it what is not."""
    if read == COMPLETE:
        return Coverage()
    if not isinstance(read, dict) or not read or set(read) - {"places", "since", "until"}:
        raise DropRefused(f'manifest: coverage must be "{COMPLETE}", or have places, since and until, one at least')
    if None in read.values():
        raise DropRefused("manifest: coverage: what has no bound is left out, and not null")
    places, since, until = read.get("places", ()), _day(read.get("since")), _day(read.get("until"))
    if "places" in read and not (isinstance(places, list) and all(isinstance(one, str) for one in places)):
        raise DropRefused("manifest: coverage: places must be a list of texts")
    if since and until and until < since:
        raise DropRefused("manifest: coverage: until lies before since")
    try:
        return Coverage(places=read_places(places) if "places" in read else (), since=since, until=until)
    except ValueError as error:
        raise DropRefused(f"manifest: coverage: places {error}") from None


def _day(read: object) -> date | None:
    try:
        return None if read is None else date.fromisoformat(read if isinstance(read, str) else "")
    except ValueError:
        raise DropRefused("manifest: coverage: since and until must be days") from None


def verify_signature(manifest: bytes, signature: bytes, key: Ed25519PublicKey) -> None:
    """Check the Ed25519 signature (64 bytes, or those in Base64) over a manifest's exact bytes.

    Raises:
        DropRefused: it does not hold.
    """
    try:
        raw = signature if len(signature) == 64 else base64.b64decode(signature.strip(), validate=True)
        key.verify(raw, manifest)
    except (InvalidSignature, binascii.Error, ValueError):
        raise DropRefused("the signature does not hold") from None


def take(folder: Path, manifest: DropManifest, *, most_bytes: int, is_key: Callable[[str], bool]) -> Snapshot:
    """Read a drop's file once, and take it over if hash, charset, columns, row count and keys all agree.

    What is hashed is what is read: the file may be replaced at any moment without harm. `is_key` says of a bare number
    whether a row can be found by it.

    Raises:
        DropRefused: something does not agree, or the file is not there.
    """
    octets = read_file(folder / manifest.file, "the file", most_bytes)
    if hashlib.sha256(octets).hexdigest() != manifest.sha256:
        raise DropRefused("the file does not have the SHA-256 of its manifest")
    rows = read_rows(
        octets, manifest.format, manifest.charset, manifest.columns, rows=manifest.rows, most_bytes=most_bytes
    )
    return Snapshot(manifest=manifest, rows=_by_key(rows, manifest, is_key))


def _by_key(
    rows: Iterable[tuple[object, ...]], manifest: DropManifest, is_key: Callable[[str], bool]
) -> Mapping[str, Sequence[tuple[object, ...]]]:
    found: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    place, count = manifest.columns.index(manifest.key), 0
    for count, row in enumerate(rows, 1):
        held = row[place]
        if held is not None and not isinstance(held, str):
            raise DropRefused(f"row {count} has a key that is no text: numbers lose digits and zeros")
        if not held or not (key := bare(held)):
            raise DropRefused(f"row {count} has no key")
        if not is_key(key):
            raise DropRefused(
                f"row {count} has a key that is damaged, hidden or undeclared (old_numbers, other_numbers)"
            )
        found[key].append(row)
    if count != manifest.rows:
        raise DropRefused("the file does not have the number of rows of its manifest")
    return MappingProxyType(dict(found))
