"""The files of the server's TLS, read and judged before anything is bound."""

from __future__ import annotations

from gateway.config import ServerSettings
from gateway.errors import ConfigurationError
from gateway.rpc.server import Tls
from gateway.tls_files import Named, TlsFilesWrong, read_tls_files
from ledger.secret_file import read_secret


def open_tls(settings: ServerSettings) -> Tls | None:
    """Read what the server shows and which authority its callers must come from; None without TLS.

    Raises:
        ConfigurationError: names every file that cannot be used, and a key that is not that of the certificate.
    """
    if settings.plaintext:
        return None
    try:
        files = read_tls_files(
            certificate=Named(name="server.certificate_file", path=settings.certificate_file),
            key=Named(name="server.key_file", path=settings.key_file),
            authority=Named(name="server.client_authority_file", path=settings.client_authority_file),
            read_key=read_secret,
        )
    except TlsFilesWrong as wrong:
        raise ConfigurationError("server", wrong.mistakes) from None
    return Tls(certificate=files.certificate, key=files.key, client_authority=files.authority)
