"""Where something listens, as configuration writes it: a host and a port, read in one way everywhere."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from gateway.config.model import HttpSettings

_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.I | re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_HIGHEST_PORT = 65_535


def read_address(text: object) -> HttpSettings:
    """Read an address such as `127.0.0.1:8443`, `[::1]:8443` or `localhost:8443`; port 0 lets the system choose.

    Raises:
        ValueError: it is none; the message says what it must be.
    """
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if not _PORT.fullmatch(port) or int(port) > _HIGHEST_PORT or not _is_host(host):
        raise ValueError('must be an address and a port from 0 to 65535 such as "127.0.0.1:8443" or "[::1]:8443"')
    return HttpSettings(host=host.removeprefix("[").removesuffix("]"), port=int(port))


def listen_mistake(text: str) -> str | None:
    """Say what is wrong with where the gateway is to listen: an address, or the path of a socket file (`unix:/…`)."""
    if text.startswith("unix:/"):
        return None
    try:
        read_address(text)
    except ValueError as error:
        return str(error)
    return None


def _is_host(host: str) -> bool:
    """A name of digits and dots alone is an address or a mistake: its last label must begin with a letter."""
    try:
        if host.startswith("[") and host.endswith("]"):
            IPv6Address(host[1:-1])
        elif not _NAME.fullmatch(host):
            IPv4Address(host)
    except AddressValueError:
        return False
    return True
