"""What the QR code of a letter holds: where the commitment stands in which ledger, to be checked against a receipt.

`chengxin:letter?v=1&o=ORIGIN&r=RECORD&i=INDEX&n=SIZE&l=LEAF&d=DOCUMENT[&u=WHERE]`: origin of the log, record (32
hexadecimal digits), index of the entry, size of a checkpoint that covers it, leaf hash (RFC 6962) and SHA-256 of the
document (base64url without padding), and the address where the log is published. The code alone proves nothing:
whoever has the receipt, or the published log, and the log's public key, finds with it that it is this commitment that
stands there.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

_SCHEME = "chengxin:letter?"
_REQUIRED = ("v", "o", "r", "i", "n", "l", "d")
_RECORD = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_LONGEST = 2048


class ReferenceMalformed(ValueError):
    """The text is not what a letter's QR code holds; the message names every mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where a commitment stands: `leaf` and `document` are SHA-256 hashes of 32 bytes, `where` an address or empty."""

    origin: str
    record: bytes
    index: int
    size: int
    leaf: bytes
    document: bytes
    where: str = ""

    def uri(self) -> str:
        """Write it as the QR code holds it."""
        fields = {
            "v": "1",
            "o": self.origin,
            "r": self.record.hex(),
            "i": str(self.index),
            "n": str(self.size),
            "l": _encoded(self.leaf),
            "d": _encoded(self.document),
        }
        if self.where:
            fields["u"] = self.where
        return _SCHEME + urlencode(fields, safe="/:", quote_via=quote)


def parse_reference(uri: str) -> Reference:
    """Read what a QR code holds.

    Raises:
        ReferenceMalformed: it is none of ours, or not whole; every mistake is named.
    """
    if len(uri) > _LONGEST or not uri.startswith(_SCHEME):
        raise ReferenceMalformed("is not the code of a letter: it begins with " + _SCHEME)
    try:
        pairs = parse_qsl(uri.removeprefix(_SCHEME), keep_blank_values=True, strict_parsing=True, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise ReferenceMalformed("is not the code of a letter: its fields cannot be read") from None
    fields = dict(pairs)
    mistakes = [f"{key!r} is there twice" for key in fields if sum(key == other for other, _ in pairs) > 1]
    mistakes += [f"{key!r} is missing" for key in _REQUIRED if not fields.get(key)]
    mistakes += [f"{key!r} is not known" for key in fields if key not in (*_REQUIRED, "u")]
    mistakes += _malformed(fields)
    if mistakes:
        raise ReferenceMalformed("; ".join(mistakes))
    return Reference(
        origin=fields["o"],
        record=bytes.fromhex(fields["r"]),
        index=int(fields["i"]),
        size=int(fields["n"]),
        leaf=_decoded(fields["l"]) or b"",
        document=_decoded(fields["d"]) or b"",
        where=fields.get("u", ""),
    )


def _malformed(fields: dict[str, str]) -> list[str]:
    mistakes = []
    if fields.get("v", "1") != "1":
        mistakes.append("'v' is not a version that is known here")
    if "r" in fields and not _RECORD.fullmatch(fields["r"]):
        mistakes.append("'r' is not a record of 32 hexadecimal digits")
    numbers = {key: fields[key] for key in ("i", "n") if key in fields}
    mistakes += [f"{key!r} is not a number" for key, value in numbers.items() if not _NUMBER.fullmatch(value)]
    if not mistakes and len(numbers) == 2 and int(numbers["i"]) >= int(numbers["n"]):
        mistakes.append("'i' is beyond the checkpoint")
    mistakes += [f"{key!r} is not a hash" for key in ("l", "d") if key in fields and _decoded(fields[key]) is None]
    return mistakes


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _decoded(text: str) -> bytes | None:
    """Decode a hash of 32 bytes in its one spelling; None for anything else."""
    try:
        digest = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == 32 and _encoded(digest) == text else None
