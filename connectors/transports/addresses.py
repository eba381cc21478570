"""Addresses of the form `host:port`, and which of them are of this machine."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", re.ASCII)
_LOOPBACK = re.compile(r"(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]):\d+", re.ASCII)


def is_address(text: str) -> bool:
    """Say whether a text is a host (or an IPv6 address in brackets) and a port from 1 to 65535."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and 0 < int(found[1]) < 65_536


def is_loopback(address: str) -> bool:
    """Say whether an address is of this machine and of no network."""
    return _LOOPBACK.fullmatch(address) is not None
