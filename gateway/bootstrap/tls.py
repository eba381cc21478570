"""The files of the server's TLS, read and judged before anything is bound, and again whenever they changed."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.bootstrap.chores import Chore
from gateway.bootstrap.opening import now_utc
from gateway.config import ServerSettings
from gateway.errors import ConfigurationError, SignatureRefused
from gateway.rpc.certificates import Tls, ends_at
from gateway.signatures.certificates import Certificate, parse_certificate
from gateway.signatures.lists import RevocationList, UnusableStatus, read_list
from gateway.tls_files import Named, TlsFilesWrong, read_tls_files
from ledger.secret_file import read_secret

_log = structlog.get_logger()
_LOOK = timedelta(seconds=5)
"""How often it is looked whether the files changed."""
_SKEW = timedelta(minutes=5)
_LIST = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


def open_tls(
    settings: ServerSettings, *, now: Callable[[], datetime] = now_utc, earlier: Sequence[RevocationList] = ()
) -> Tls | None:
    """Read what the server shows, which authorities its callers must come from, and their lists; None without TLS.

    A list that is one of `earlier`, in the same place, is not parsed again.

    Raises:
        ConfigurationError: names every file that cannot be used, a key that is not that of the certificate, and every
            list that is not of the authorities, or not in force.
    """
    if settings.plaintext:
        return None
    mistakes: list[str] = []
    revocations = _revocations(settings, mistakes, now(), earlier)
    try:
        files = read_tls_files(
            certificate=Named(name="server.certificate_file", path=settings.certificate_file),
            key=Named(name="server.key_file", path=settings.key_file),
            authority=Named(name="server.client_authority_file", path=settings.client_authority_file),
            read_key=read_secret,
        )
    except TlsFilesWrong as wrong:
        raise ConfigurationError("server", [*wrong.mistakes, *mistakes]) from None
    if mistakes:
        raise ConfigurationError("server", mistakes)
    return Tls(certificate=files.certificate, key=files.key, client_authority=files.authority, revocations=revocations)


def _revocations(
    settings: ServerSettings, mistakes: list[str], now: datetime, earlier: Sequence[RevocationList]
) -> tuple[RevocationList, ...] | None:
    path = settings.client_revocation_file
    if path is None:
        return None
    where = f"server.client_revocation_file: {path}"
    found: list[RevocationList] = []
    try:
        content = path.read_bytes()
    except OSError as error:
        mistakes.append(f"{where} cannot be read ({error.strerror})")
        return None
    authorities = list(_authorities(settings.client_authority_file))
    for number, written in enumerate(_LIST.findall(content) or [content], start=1):
        try:
            crl = read_list(written, earlier=earlier[number - 1] if number <= len(earlier) else None)
            _require_in_force(crl, authorities, now)
            found.append(crl)
        except UnusableStatus as error:
            mistakes.append(f"{where}: list {number}: {error}")
    return tuple(found)


def _require_in_force(crl: RevocationList, authorities: Sequence[Certificate], now: datetime) -> None:
    """Require that a list tells, now, of certificates that an authority issued; raises `UnusableStatus`."""
    ends = ends_at(crl)
    if authorities and not any([crl.is_of(authority) for authority in authorities]):  # noqa: C419  each is remembered
        raise UnusableStatus("is not signed by an authority of server.client_authority_file")
    if crl.parsed.last_update_utc > now + _SKEW:
        raise UnusableStatus(f"begins only at {crl.parsed.last_update_utc.isoformat()}")
    if ends is None:
        raise UnusableStatus("does not say until when it is in force")
    if ends < now:
        raise UnusableStatus(f"is over since {ends.isoformat()}")


def _authorities(path: Path) -> Iterator[Certificate]:
    """Read the authorities as those who sign lists; what is wrong with the file is told where it is judged for TLS."""
    try:
        loaded = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return
    for one in loaded:
        try:
            yield parse_certificate(one.public_bytes(Encoding.DER))
        except SignatureRefused:
            continue


class TlsWatch:
    """Puts the files of TLS in force again whenever they changed; those that cannot be used change nothing.

    `renewed` are told what is in force from then on. Blocks, and may be called from any thread.
    """

    def __init__(
        self,
        settings: ServerSettings,
        tls: Tls,
        renewed: Sequence[Callable[[Tls], None]],
        *,
        now: Callable[[], datetime] = now_utc,
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._renewed = renewed
        self._now = now
        self._one_at_a_time = threading.Lock()
        self._seen: tuple[object, ...] | None = None  # they may have changed since they were read for the first time
        self._told: Sequence[str] = ()
        self._over = False

    def chore(self) -> Chore:
        """Give what looks at the files now and then."""
        return Chore(name="tls-files", act=self.look, every=_LOOK, first=_LOOK, retry=_LOOK)

    def look(self) -> None:
        """Read the files again if they are not those that were read last; files that could not be used are tried again
        each time."""
        with self._one_at_a_time:
            if self._stats() != self._seen:
                self._read()
            self._tell_if_over()

    def read(self) -> None:
        """Read the files again, whether they changed or not, and say what came of it."""
        with self._one_at_a_time:
            self._told = ()
            if not self._read() and not self._told:
                _log.info("TLS files unchanged")

    def _read(self) -> bool:
        stats = self._stats()
        try:
            tls = open_tls(self._settings, now=self._now, earlier=self._tls.revocations or ())
        except ConfigurationError as error:
            self._tell(error.mistakes)
            return False
        self._seen, self._told = stats, ()
        if tls is None or _contents(tls) == _contents(self._tls):
            return False
        for renew in self._renewed:
            renew(tls)
        self._tls, self._over = tls, False
        _log.info("TLS files in force", count=sum(len(one.revoked) for one in tls.revocations or ()))
        return True

    def _tell(self, mistakes: Sequence[str]) -> None:
        """Name every mistake, once as long as they are the same."""
        if list(mistakes) == list(self._told):
            return
        self._told = mistakes
        for mistake in mistakes:
            _log.error("TLS file mistake", error=mistake)
        _log.error("TLS files not renewed: those before stay in force", count=len(mistakes))

    def _tell_if_over(self) -> None:
        """Say once that a list in force is over: its authority's callers are refused from then on."""
        over = any((end := ends_at(one)) is not None and end < self._now() for one in self._tls.revocations or ())
        if over and not self._over:
            _log.error("a client revocation list is over: its authority's callers are refused")
        self._over = over

    def _stats(self) -> tuple[object, ...]:
        one = self._settings
        files = (one.certificate_file, one.key_file, one.client_authority_file, one.client_revocation_file)
        return tuple(_stat(path) for path in files if path is not None)


def _stat(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev


def _contents(tls: Tls) -> tuple[object, ...]:
    lists = None if tls.revocations is None else tuple(one.digest for one in tls.revocations)
    return tls.certificate, tls.key, tls.client_authority, lists
