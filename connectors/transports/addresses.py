"""Addresses of the form `host:port`, read in one way everywhere, and which of them are of this machine."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.I | re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_HIGHEST_PORT = 65_535
_LOOPBACK = re.compile(r"localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1", re.ASCII)


def parse_address(text: object) -> tuple[str, int]:
    """Read an address such as `127.0.0.1:8443`, `[::1]:8443` or `localhost:8443` as host, without brackets, and port.

    Raises:
        ValueError: it is none; the message says what it must be.
    """
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if not _PORT.fullmatch(port) or int(port) > _HIGHEST_PORT or not _is_host(host):
        raise ValueError('must be an address and a port from 0 to 65535 such as "127.0.0.1:8443" or "[::1]:8443"')
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_reachable(address: str) -> bool:
    """Say whether a text is an address at which somebody can be asked: one with a port of its own."""
    try:
        return parse_address(address)[1] > 0
    except ValueError:
        return False


def is_loopback(address: str) -> bool:
    """Say whether an address is of this machine and of no network."""
    try:
        return _LOOPBACK.fullmatch(parse_address(address)[0]) is not None
    except ValueError:
        return False


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
