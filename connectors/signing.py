"""Signatures by which a service knows who asks: keyed or plain digests over a text that the stanza composes.

A scheme that concatenates and hashes (MD5 over key and time, as provinces have it) proves little; it is what those
services ask for. TLS says whom we talk to, and `client_cert_file` who we are.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from connectors.connector import Value
from connectors.header import Unsendable
from connectors.stanza import Stanza
from connectors.template import check, fill, placeholders

_KEYED = ("hmac-sha256", "hmac-sm3", "hmac-sha1", "hmac-md5")
_PLAIN = ("sha256", "sm3", "sha1", "md5")
SCHEMES = (*_KEYED, *_PLAIN)
KEY_ENCODINGS = ("utf-8", "hex", "base64")
_FORMS = ("base64", "hex", "HEX")

_Spaces = Mapping[str, Mapping[str, Value]]


def read_key(text: str, encoding: str) -> bytes:
    """Read a key as a text gives it.

    Raises:
        ValueError: the text is not of that encoding; it is not told.
    """
    try:
        if encoding == "hex":
            return bytes.fromhex(text)
        return base64.b64decode(text, validate=True) if encoding == "base64" else text.encode()
    except (ValueError, binascii.Error):
        raise ValueError(f"a key that is not {encoding}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How one signature is made: `{signature.<name>}` stands for it."""

    scheme: str
    key: str
    key_encoding: str
    over: str
    form: str

    def make(self, spaces: _Spaces) -> str:
        """Sign.

        Raises:
            MissingAttribute: the claim lacks a value that is signed.
            Unsendable: the text that is signed is no Unicode, or the key that a service gave is none.
        """
        algorithm = self.scheme.removeprefix("hmac-")
        try:
            signed = str(fill(self.over, spaces)).encode()
            if self.scheme in _KEYED:
                key = read_key(str(fill(self.key, spaces)), self.key_encoding)
                digest = hmac.new(key, signed, algorithm).digest()
            else:
                digest = hashlib.new(algorithm, signed, usedforsecurity=False).digest()
        except ValueError as error:  # of which a text that is no Unicode is one
            raise Unsendable(f"a signature cannot be made ({type(error).__name__})") from None
        if self.form == "base64":
            return base64.b64encode(digest).decode()
        return digest.hex() if self.form == "hex" else digest.hex().upper()


def make_all(signatures: Mapping[str, Signature], spaces: _Spaces) -> dict[str, str]:
    """Make every signature of a request; raises as `Signature.make`."""
    return {name: signature.make(spaces) for name, signature in signatures.items()}


def signatures_for(
    part: Stanza, used: Collection[tuple[str, str]], signatures: Mapping[str, Signature], inner: Collection[str]
) -> dict[str, Signature]:
    """Pick the signatures that a request uses; note a mistake where one is over a document that it does not carry."""
    picked = {name: signatures[name] for space, name in sorted(used) if space == "signature" and name in signatures}
    for name, signature in picked.items():
        for space, document in sorted(placeholders(signature.over)):
            if space == "inner" and document not in inner:
                part.mistake("inner", f"has no {document}, over which {{signature.{name}}} is made")
    return picked


def read_signatures(root: Stanza, known: Mapping[str, Collection[str]]) -> dict[str, Signature]:
    """Read `signatures`, by name; `known` are the names of those spaces that a stanza fills itself.

    Which documents a request carries within its body, `signatures_for` knows.
    """
    tables = root.tables("signatures") if "signatures" in root else {}
    return {name: _read_one(part, known) for name, part in tables.items()}


def _read_one(part: Stanza, known: Mapping[str, Collection[str]]) -> Signature:
    scheme = part.choice("scheme", SCHEMES, SCHEMES[0])
    if scheme.removeprefix("hmac-") not in hashlib.algorithms_available:
        part.mistake("scheme", "is none that OpenSSL has here")
    key, over = part.text("key", ""), part.text("over")
    if (scheme in _KEYED) != bool(key):
        part.mistake("key", "is missing" if scheme in _KEYED else "belongs to hmac-…: what is hashed stands in `over`")
    spaces = {space for space, _ in placeholders(key)}
    if key and not (spaces and spaces <= {"secret", "session"}):
        part.mistake("key", "must be a {secret.…}, or of the {session.…}")
    documents = {name for space, name in placeholders(over) if space == "inner"}
    for one, tree in (("key", key), ("over", over)):
        check(part, one, tree, {**known, "inner": documents})
    encoding = part.choice("key_encoding", KEY_ENCODINGS, KEY_ENCODINGS[0])
    return Signature(
        scheme=scheme, key=key, key_encoding=encoding, over=over, form=part.choice("written", _FORMS, _FORMS[0])
    )
