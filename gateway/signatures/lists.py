"""Revocation lists (RFC 5280, section 5), however long, read without holding up what else the process does.

To give one field of a list, the library writes all of it anew, and no other thread runs meanwhile: seconds for a long
one. So the library reads a list without its entries, and the entries are walked here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import TypeVar

import structlog
from cryptography import x509

from gateway.signatures.certificates import Certificate
from gateway.signatures.issuing import NotIssued, algorithms_named, verify_list_issued
from gateway.signatures.scope import OutOfScope, Scope, scope_of
from ledger.der import SEQUENCE, element, elements

LONGEST_LIST = 128 << 20
"""Bytes (DER) of the longest that may be configured, and so of what was accepted anywhere."""
HEAD = 64 << 10
"""So many bytes of a list name its issuer."""
_ARMOUR = re.compile(rb"\s*-----BEGIN X509 CRL-----\s([A-Za-z0-9+/=\s]*)-----END X509 CRL-----\s*")
_BEGIN = re.compile(rb"\s*-----BEGIN X509 CRL-----\s")
_INTEGER, _BOOLEAN, _OCTETS, _OID, _UTC_TIME, _TIME = 0x02, 0x01, 0x04, 0x06, 0x17, 0x18
_FAR = 1 << 62
_REASON, _INVALIDITY_DATE = b"\x55\x1d\x15", b"\x55\x1d\x18"
"""Extensions of an entry: 2.5.29.21 and 2.5.29.24."""

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)
_log = structlog.get_logger()


class UnusableStatus(ValueError):
    """A revocation list or OCSP answer that does not parse, or cannot say anything about whole certificates."""


class ListTooLong(UnusableStatus):
    """A revocation list is longer than what is taken; the message tells both."""


class PartialList(UnusableStatus):
    """A list that is well-formed, and never says anything about whole certificates (`OutOfScope`)."""


@dataclass(slots=True, kw_only=True, eq=False)
class RevocationList:
    """A parsed revocation list: since when each serial number is revoked."""

    content: bytes = field(repr=False)
    digest: str
    """SHA-256 of the list, hexadecimal."""
    parsed: x509.CertificateRevocationList = field(repr=False)
    """The list without its entries: its signature is not of this."""
    signed: slice
    """Where the bytes are that the signature is of."""
    issuer: bytes = field(repr=False)
    revoked: Mapping[int, datetime] = field(repr=False)
    scope: Scope = field(repr=False)
    verified: dict[bytes, bool] = field(default_factory=dict, repr=False)
    """By digest of an issuer's certificate: whether the list is signed by it."""

    def is_of(self, issuer: Certificate) -> bool:
        """Tell whether the list is issued and signed by an authority."""
        known = self.verified.get(issuer.digest)
        if known is None:
            named = self.names(issuer)
            known = self.verified[issuer.digest] = named and self._signed_by(issuer)
            if named and not known:
                told = {"list": self.digest, "authority": issuer.digest.hex()}
                _log.warning("a revocation list is not signed by the authority it names", **told)
        return known

    def names(self, issuer: Certificate) -> bool:
        """Tell whether the list names an authority as its issuer, and not another key of it (RFC 5280, 5.2.1)."""
        if self.issuer != issuer.subject:
            return False
        of_list = _extension(self.parsed.extensions, x509.AuthorityKeyIdentifier)
        of_issuer = _extension(issuer.parsed.extensions, x509.SubjectKeyIdentifier)
        given = None if of_list is None else of_list.key_identifier
        return given is None or of_issuer is None or given == of_issuer.key_identifier

    def _signed_by(self, issuer: Certificate) -> bool:
        if issuer.usage is not None and not issuer.usage.crl_sign:
            return False
        try:
            verify_list_issued(self.parsed, self.content[self.signed], issuer.key)
        except NotIssued:
            return False
        return True


def _extension(extensions: x509.Extensions, kind: type[_Kind]) -> _Kind | None:
    return next((one.value for one in extensions if isinstance(one.value, kind)), None)


def read_list(content: bytes, *, longest: int = LONGEST_LIST, earlier: RevocationList | None = None) -> RevocationList:
    """Read a revocation list, DER or PEM; gives `earlier` where that is the same list.

    Raises:
        UnusableStatus: it does not parse, is too long, or is a delta, indirect or partial list.
    """
    try:
        der = _der(content, longest)
        digest = hashlib.sha256(der).hexdigest()
        return earlier if earlier is not None and earlier.digest == digest else _read(der, digest)
    except UnusableStatus:
        raise
    except OutOfScope as error:
        raise PartialList(str(error)) from error
    except Exception as error:  # the parser raises whatever it likes on hostile bytes: none of them is a list
        raise UnusableStatus(f"not a usable revocation list ({type(error).__name__})") from error


def most_written(longest: int) -> int:
    """Give how many bytes a list of so many bytes (DER) may have where it is PEM: four for three, and line ends."""
    return longest + longest // 2 + 1024


def _der(content: bytes, longest: int) -> bytes:
    pem = _ARMOUR.fullmatch(content) if _BEGIN.match(content) and len(content) <= most_written(longest) else None
    der = content if pem is None else base64.b64decode(b"".join(pem[1].split()), validate=True)
    if len(der) > longest:
        raise ListTooLong(f"{len(der)} bytes; a revocation list may have {longest}")
    return der


def _read(der: bytes, digest: str) -> RevocationList:
    outline, signed, entries = _parts(der)
    parsed = x509.load_der_x509_crl(outline)
    if not der.endswith(b"\x00" + parsed.signature):  # unused bits: a second spelling
        raise UnusableStatus("a list that is not spelled as DER is")
    inner, outer = algorithms_named(outline)
    if inner != outer:
        raise UnusableStatus("a list that names two algorithms")
    scope = scope_of(parsed.issuer, parsed.extensions)
    revoked = _revoked(der, entries)
    return RevocationList(
        content=der, digest=digest, parsed=parsed, signed=signed, issuer=parsed.issuer.public_bytes(),
        revoked=revoked, scope=scope,
    )  # fmt: skip


def _parts(der: bytes) -> tuple[bytes, slice, slice]:
    """Give a list without its entries, where its signed part is, and where the entries are within that."""
    start, end = _sequence(der, 0, len(der))
    at, signed_end = _sequence(der, start, end)
    if end != len(der):
        raise UnusableStatus("something behind the list")
    signed, entries, kept, sequences = slice(start, signed_end), slice(0, 0), [], 0
    while at < signed_end:
        tag, _, after = element(der, at, signed_end)
        sequences += tag == SEQUENCE
        if tag == SEQUENCE and sequences == 3:  # after the algorithm and the issuer
            entries = slice(*_sequence(der, at, signed_end))
        else:
            kept.append(der[at:after])
        at = after
    return _written(_written(b"".join(kept)) + der[signed_end:]), signed, entries


def _sequence(der: bytes, at: int, end: int) -> tuple[int, int]:
    """Give where the content of a sequence is, whose length is written in the one way that DER has."""
    tag, start, after = element(der, at, end)
    if tag != SEQUENCE or der[at:start] != _header(after - start):
        raise UnusableStatus("a list that is not spelled as DER is")
    return start, after


def _header(length: int) -> bytes:
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([SEQUENCE, length]) if length < 0x80 else bytes([SEQUENCE, 0x80 | len(octets)]) + octets


def _written(content: bytes) -> bytes:
    return _header(len(content)) + content


def _revoked(der: bytes, entries: slice) -> dict[int, datetime]:
    """Read since when each certificate is not to be believed; of a serial number that comes twice, the earliest."""
    revoked: dict[int, datetime] = {}
    at, end = entries.start, entries.stop
    while at < end:
        outer, start, after = element(der, at, end)
        first, number, number_end = element(der, start, after)
        second, moment, moment_end = element(der, number_end, after)
        if (outer, first) != (SEQUENCE, _INTEGER):
            raise UnusableStatus("an entry of another form")
        serial = int.from_bytes(der[number:number_end], "big", signed=True)
        since = _moment(second, der[moment:moment_end])
        if moment_end < after:  # its key may have been lost before it was revoked
            since = min(since, _lost(der[moment_end:after]) or since)
        revoked[serial] = min(since, revoked.get(serial, since))
        at = after
    return revoked


@lru_cache(maxsize=1 << 16)
def _moment(tag: int, written: bytes) -> datetime:
    """Read a time as RFC 5280, 4.1.2.5, has them."""
    digits = written[:-1]
    if tag == _UTC_TIME and len(digits) == 12:
        digits = (b"19" if digits >= b"50" else b"20") + digits
    elif tag != _TIME:
        raise UnusableStatus("a time of another form")
    if len(digits) != 14 or not digits.isdigit() or written[-1:] != b"Z":
        raise UnusableStatus("a time of another form")
    year, *others = int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2))
    month, day, hour, minute, second = others
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


@lru_cache(maxsize=1 << 10)
def _lost(extensions: bytes) -> datetime | None:
    """Read from the extensions of an entry since when the key was lost, where that is told."""
    lost = None
    if element(extensions, 0, len(extensions))[0::2] != (SEQUENCE, len(extensions)):
        raise UnusableStatus("an entry of another form")
    for tag, extension in elements(extensions):
        kind, critical, value = _extension_of(tag, extension)
        if kind == _INVALIDITY_DATE:
            form, start, end = element(value, 0, len(value))
            lost = _moment(form, value[start:end])
        elif critical and kind != _REASON:
            raise UnusableStatus("an entry with a critical extension that is not understood")
    return lost


def _extension_of(tag: int, extension: bytes) -> tuple[bytes, bool, bytes]:
    parts = [(one, _content(whole)) for one, whole in elements(extension)]
    critical = len(parts) == 3 and parts[1][0] == _BOOLEAN and parts.pop(1)[1] != b"\x00"
    (kind, name), (last, value) = parts
    if (tag, kind, last) != (SEQUENCE, _OID, _OCTETS):
        raise UnusableStatus("an entry of another form")
    return name, critical, value


def _content(whole: bytes) -> bytes:
    _, start, end = element(whole, 0, len(whole))
    return whole[start:end]


def issuer_of(head: bytes) -> bytes | None:
    """Read the issuer's name (DER) from the first bytes of a list that cannot be used; None where there is none."""
    try:
        der = _begun(head[:HEAD])
        _, at, _ = element(der, 0, _FAR)
        _, at, _ = element(der, at, _FAR)
        _, name = islice((whole for tag, whole in _whole(der, at) if tag == SEQUENCE), 2)  # after the algorithm
        return name
    except (ValueError, IndexError):
        return None


def _begun(head: bytes) -> bytes:
    begin = _BEGIN.match(head)
    if begin is None:
        return head
    text = b"".join(head[begin.end() :].partition(b"-")[0].split())
    try:
        return base64.b64decode(text[: len(text) // 4 * 4], validate=True)
    except binascii.Error:
        return b""


def _whole(der: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Give the elements that lie, one after the other, wholly in the bytes at hand."""
    while at < len(der):
        tag, _, after = element(der, at, len(der))
        yield tag, der[at:after]
        at = after
