"""Where revocation lists and OCSP answers come from: a folder, and addresses that the configuration names.

An address inside a certificate is never asked: a forged certificate would make the gateway call wherever it likes.
Every list that is read is kept by its SHA-256, so that the one a signature was accepted by can be shown later.
A list that is there and cannot be used is named in the log and counted, and its issuer's name is given, where it can be
told: that it says nothing is no good news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from gateway.signatures.certificates import Certificate
from gateway.signatures.lists import (
    LONGEST_LIST,
    ListTooLong,
    PartialList,
    RevocationList,
    UnusableStatus,
    issuer_of,
    most_written,
    read_list,
)
from gateway.signatures.revocation import LONGEST_ANSWER, question
from ledger.durable_file import replace_file
from ledger.exchange import AnswerTooLong, ExchangeFailed, exchange

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """Lists, by the file or address they came from, and answers that were read."""

    lists: Mapping[str, RevocationList] = field(default_factory=dict)
    answers: tuple[bytes, ...] = field(default=(), repr=False)
    unusable: frozenset[bytes] = frozenset()
    """The names (DER) of authorities of which there is a list that cannot be used."""


def unnoticed(_why: str) -> None:
    """Count nothing: where nobody asks for metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSources:
    """The configured sources; what one of them fails to give is logged and left out, never guessed."""

    folder: Path | None = None
    """`*.crl` are lists (DER or PEM), `*.ocsp` OCSP answers (DER)."""
    list_urls: tuple[str, ...] = ()
    ocsp_url: str = ""
    kept: Path | None = None
    """Where every list that was read is kept."""
    timeout: float = 5.0
    """Seconds for one address."""
    longest_list: int = LONGEST_LIST
    """Bytes of a list (DER)."""
    count: Callable[[str], None] = unnoticed
    """Counts what cannot be used, by why: `too-long`, `unreadable`, `partial`, `not-kept` or `not-fetched`."""

    def read(self, earlier: Mapping[str, RevocationList] | None = None) -> Statuses:
        """Read the folder and ask the addresses of lists; blocks.

        `earlier` are the lists that were read before: one that has not changed is not parsed again, and one of an
        address that gives none that can be used is believed as long as it is fresh.
        """
        earlier, unusable = earlier or {}, set[bytes | None]()
        lists = self._lists(self._files(".crl"), earlier, unusable)
        for url in self.list_urls:
            fetched = self._lists(self._fetched(url, unusable), earlier, unusable)
            lists |= fetched or {name: one for name, one in earlier.items() if name == url}
        answers = []
        for name, content in self._files(".ocsp"):
            try:
                ocsp.load_der_ocsp_response(content)
            except ValueError:
                _log.warning("no OCSP answer", file=name)
                continue
            answers.append(content)
        return Statuses(lists=lists, answers=tuple(answers), unusable=frozenset(filter(None, unusable)))

    def ask(self, unknown: Sequence[tuple[Certificate, Certificate]]) -> list[bytes]:
        """Ask the configured OCSP responder about certificates, each with its issuer; blocks."""
        if not self.ocsp_url:
            return []
        answers = []
        for one, issuer in unknown:
            asked = question(one, issuer, hashes.SHA1())  # noqa: S303  RFC 5019: what every responder understands
            try:
                answers.append(self._asked(self.ocsp_url, asked.public_bytes(Encoding.DER), LONGEST_ANSWER))
            except ExchangeFailed as failure:
                _log.warning("revocations cannot be fetched", address=_host(self.ocsp_url), error=str(failure))
        return answers

    def kept_list(self, digest: str) -> bytes | None:
        """Give a list that was read before, by its SHA-256 in hexadecimal; None if it is not kept here."""
        try:
            return None if self.kept is None else (self.kept / f"{digest}.crl").read_bytes()
        except FileNotFoundError:
            return None

    def _files(self, suffix: str) -> Iterator[tuple[str, bytes]]:
        if self.folder is None:
            return
        try:
            paths = sorted(path for path in self.folder.iterdir() if path.suffix == suffix)
        except OSError as error:
            _log.warning("revocations cannot be read", file=self.folder.name, error=type(error).__name__)
            return
        for path in paths:
            try:
                content = path.read_bytes()
            except OSError as error:
                self._note(path.name, "unreadable", type(error).__name__)
                continue
            yield path.name, content

    def _lists(
        self, contents: Iterable[tuple[str, bytes]], earlier: Mapping[str, RevocationList], unusable: set[bytes | None]
    ) -> dict[str, RevocationList]:
        found = {}
        for name, content in contents:
            try:
                one = read_list(content, longest=self.longest_list, earlier=earlier.get(name))
                self._keep(one)
                found[name] = one
            except PartialList as error:  # says nothing, as is right: others of its issuer may
                self._note(name, "partial", str(error))
            except UnusableStatus as error:
                self._note(name, "too-long" if isinstance(error, ListTooLong) else "unreadable", str(error))
                unusable.add(issuer_of(content))
            except OSError as error:  # what was accepted by it could not be shown later
                self._note(name, "not-kept", type(error).__name__)
                unusable.add(issuer_of(content))
        return found

    def _note(self, name: str, why: str, error: str) -> None:
        self.count(why)
        _log.error("no usable revocation list", file=_host(name) or name, cause=why, error=error)

    def _keep(self, found: RevocationList) -> None:
        if self.kept is None:
            return
        path = self.kept / f"{found.digest}.crl"
        if not path.exists():
            self.kept.mkdir(parents=True, exist_ok=True)
            replace_file(path, found.content)

    def _fetched(self, url: str, unusable: set[bytes | None]) -> Iterator[tuple[str, bytes]]:
        try:
            yield url, self._asked(url, None, most_written(self.longest_list))
        except AnswerTooLong as failure:
            self._note(url, "too-long", str(failure))
            unusable.add(issuer_of(failure.head))
        except ExchangeFailed as failure:
            self._note(url, "not-fetched", str(failure))

    def _asked(self, url: str, content: bytes | None, longest: int) -> bytes:
        headers = {} if content is None else {"Content-Type": "application/ocsp-request"}
        reply = exchange(url, content=content, headers=headers, seconds=self.timeout, longest=longest)
        if reply.status != 200:
            raise ExchangeFailed(f"status {reply.status}")
        return reply.body


def _host(url: str) -> str | None:
    """Name an address in the log: paths of some carry a password."""
    return urlsplit(url).hostname if "://" in url else None
