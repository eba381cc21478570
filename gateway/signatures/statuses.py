"""Where revocation lists and OCSP answers come from: a folder, and addresses that the configuration names.

An address inside a certificate is never asked: a forged certificate would make the gateway call wherever it likes.
Every list that is read is kept by its SHA-256, so that the one a signature was accepted by can be shown later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from gateway.signatures.certificates import Certificate
from gateway.signatures.revocation import (
    LONGEST_ANSWER,
    LONGEST_LIST,
    RevocationList,
    UnusableStatus,
    question,
    read_list,
)
from ledger.durable_file import replace_file
from ledger.exchange import ExchangeFailed, exchange

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """Lists and answers that were read."""

    lists: tuple[RevocationList, ...] = ()
    answers: tuple[bytes, ...] = field(default=(), repr=False)


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

    def read(self) -> Statuses:
        """Read the folder and ask the addresses of lists; blocks."""
        contents = [*self._files(".crl"), *((url, self._fetch(url)) for url in self.list_urls)]
        lists = [found for name, content in contents if content and (found := self._list(name, content))]
        answers = []
        for name, content in self._files(".ocsp"):
            try:
                ocsp.load_der_ocsp_response(content)
            except ValueError:
                _log.warning("no OCSP answer", file=name)
                continue
            answers.append(content)
        return Statuses(lists=tuple(lists), answers=tuple(answers))

    def ask(self, unknown: Sequence[tuple[Certificate, Certificate]]) -> list[bytes]:
        """Ask the configured OCSP responder about certificates, each with its issuer; blocks."""
        if not self.ocsp_url:
            return []
        answers = []
        for one, issuer in unknown:
            asked = question(one, issuer, hashes.SHA1())  # noqa: S303  RFC 5019: what every responder understands
            if answer := self._post(self.ocsp_url, asked.public_bytes(Encoding.DER)):
                answers.append(answer)
        return answers

    def kept_list(self, digest: str) -> bytes | None:
        """Give a list that was read before, by its SHA-256 in hexadecimal; None if it is not kept here."""
        try:
            return None if self.kept is None else (self.kept / f"{digest}.crl").read_bytes()
        except FileNotFoundError:
            return None

    def _files(self, suffix: str) -> list[tuple[str, bytes]]:
        if self.folder is None:
            return []
        try:
            return [(path.name, path.read_bytes()) for path in sorted(self.folder.iterdir()) if path.suffix == suffix]
        except OSError as error:
            _log.warning("revocations cannot be read", file=self.folder.name, error=type(error).__name__)
            return []

    def _list(self, name: str, content: bytes) -> RevocationList | None:
        try:
            found = read_list(content)
        except UnusableStatus as error:
            _log.warning("no usable revocation list", file=name, error=type(error).__name__)
            return None
        self._keep(found)
        return found

    def _keep(self, found: RevocationList) -> None:
        if self.kept is None:
            return
        path = self.kept / f"{found.digest}.crl"
        if not path.exists():
            self.kept.mkdir(parents=True, exist_ok=True)
            replace_file(path, found.content)

    def _fetch(self, url: str) -> bytes | None:
        return self._asked(url, None, LONGEST_LIST)

    def _post(self, url: str, content: bytes) -> bytes | None:
        return self._asked(url, content, LONGEST_ANSWER)

    def _asked(self, url: str, content: bytes | None, longest: int) -> bytes | None:
        headers = {} if content is None else {"Content-Type": "application/ocsp-request"}
        failed = ""
        try:
            reply = exchange(url, content=content, headers=headers, seconds=self.timeout, longest=longest)
        except ExchangeFailed as failure:
            failed = str(failure)
        else:
            if reply.status == 200:
                return reply.body
            failed = f"status {reply.status}"
        _log.warning("revocations cannot be fetched", address=urlsplit(url).hostname, error=failed)
        return None
