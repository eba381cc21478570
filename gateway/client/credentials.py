"""What a caller shows and believes, looked at before a channel is opened; and why TLS failed where it did."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from gateway.tls_files import Named, TlsFiles, TlsFilesWrong, read_tls_files


class CredentialsWrong(Exception):
    """The caller's own files cannot be used: `mistakes` names each file and what is wrong; `chinese` is for the window.

    Asking again does not help.
    """

    chinese = "本系统连接网关所用的证书、私钥或根证书文件有误,请联系系统管理员;重试无用。"

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class PeerRefused(Exception):
    """The two sides do not believe each other's certificates, or one speaks no TLS; asking again does not help.

    The message says which; `chinese` is for the window.
    """

    def __init__(self, message: str, chinese: str) -> None:
        super().__init__(message)
        self.chinese = chinese


def read_credentials(*, authority: Path, certificate: Path, key: Path) -> TlsFiles:
    """Read what a caller shows and believes; raises `CredentialsWrong`."""
    try:
        return read_tls_files(
            certificate=Named(name="certificate", path=certificate),
            key=Named(name="key", path=key),
            authority=Named(name="authority", path=authority),
        )
    except TlsFilesWrong as wrong:
        raise CredentialsWrong(wrong.mistakes) from None


def require_handshake(server: str, *, authority: Path, certificate: Path, key: Path, timeout: float = 3.0) -> None:
    """Make one plain TLS handshake with `server`, for whom a call has found unavailable, and tell what TLS says.

    Raises:
        PeerRefused: TLS fails, and not for want of a server. What else may be wrong is no matter of this.
    """
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    answered = shaken = False
    try:
        with (
            socket.create_connection((host, int(port)), timeout) as connected,
            context.wrap_socket(connected, server_hostname=host) as wrapped,
        ):
            # A server of TLS 1.3 looks at the client's certificate only now; one that takes it speaks first (HTTP/2).
            shaken = True
            answered = bool(wrapped.recv(1))
    except ssl.SSLCertVerificationError as error:
        raise PeerRefused(
            f"the certificate of {server} is not believed ({error.verify_message}): it must be from {authority}",
            "网关出示的证书不被本系统信任,请核对根证书与网关地址;重试无用。",
        ) from error
    except TimeoutError:
        return
    except ssl.SSLEOFError:  # ended without a word: during the handshake it says nothing, after it it does
        pass
    except ssl.SSLError as error:
        if error.reason == "WRONG_VERSION_NUMBER":
            raise PeerRefused(
                f"{server} does not speak TLS", "该地址不是以 TLS 提供服务的网关,请核对网关地址;重试无用。"
            ) from error
        shaken = True
    except (OSError, ValueError):
        pass
    if shaken and not answered:
        raise PeerRefused(
            f"{server} does not take the certificate in {certificate}: it ends the connection over it",
            "网关不接受本系统出示的证书,请联系系统管理员核对证书;重试无用。",
        )
