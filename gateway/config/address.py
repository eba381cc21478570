"""Where something listens, as configuration writes it (`connectors.transports.addresses`)."""

from __future__ import annotations

from connectors.transports.addresses import parse_address
from gateway.config.model import HttpSettings


def read_address(text: object) -> HttpSettings:
    """Read an address; port 0 lets the system choose.

    Raises:
        ValueError: it is none; the message says what it must be.
    """
    host, port = parse_address(text)
    return HttpSettings(host=host, port=port)


def listen_mistake(text: str) -> str | None:
    """Say what is wrong with where the gateway is to listen: an address, or the path of a socket file (`unix:/…`)."""
    if text.startswith("unix:/"):
        return None
    try:
        parse_address(text)
    except ValueError as error:
        return str(error)
    return None
