"""A request as a stanza writes it, and its headers and body once its placeholders are filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.connector import Value
from connectors.header import headers_of
from connectors.request_body import Body
from connectors.signing import Signature, make_all
from connectors.stanza import Stanza
from connectors.template import placeholders


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Where a request goes and what it carries, with placeholders; only the path has none."""

    method: str
    where: str
    headers: Mapping[str, str]
    body: Body
    signatures: Mapping[str, Signature]

    def fill(
        self, spaces: Mapping[str, Mapping[str, Value]], *, header_encoding: str
    ) -> tuple[dict[str, bytes], dict[str, Any]]:
        """Fill the headers and the body, as `WebClient.send` takes them, and sign it.

        The documents within come first, which signatures may be over, and then these, which the rest may carry.

        Raises:
            MissingAttribute: the claim lacks a value that the request needs.
            Unsendable: a value cannot stand where it is to.
        """
        spaces = {**spaces, "inner": self.body.write_inner(spaces)}
        spaces["signature"] = make_all(self.signatures, spaces)
        return headers_of(self.headers, spaces, encoding=header_encoding), self.body.fill(spaces)


def read_path(part: Stanza, default: str | None = None) -> str:
    """Read `path`, which personal data cannot get into."""
    where = part.text("path", default)
    if placeholders(where):
        part.mistake("path", "takes no placeholders: paths are written to access logs")
    return where
