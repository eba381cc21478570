"""Verifier keys as text (https://c2sp.org/signed-note#verifier-keys): `name+<8 hex of key id>+<base64>`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ledger.errors import NoteError
from ledger.log.algorithms import cosignature, ed25519, mldsa44, sm2
from ledger.log.note import Verifier, decode_base64


class PublicKey(Verifier, Protocol):
    """A verifier that can be written as a line."""

    @property
    def public(self) -> bytes:
        """The encoded public key, without name and type."""
        ...

    @property
    def vkey(self) -> str:
        """The verifier key line."""
        ...


def parse_vkey(line: str) -> PublicKey:
    """Read a verifier key line of any algorithm that is known here, with or without the newline that ends it.

    Nothing else may stand around it: what is white space differs from language to language, and a key has one spelling.

    Raises:
        NoteError: the line is malformed, of an unknown algorithm, or its key id is not that of its key.
        AlgorithmUnavailable: its algorithm needs a library that is not installed.
    """
    parts = line.removesuffix("\n").split("+", 2)
    if len(parts) != 3:
        raise NoteError("a verifier key has the form name+id+base64")
    name, key_id, encoded = parts
    verifier = _verifier(name, decode_base64(encoded))
    if verifier.key_id.hex() != key_id:
        raise NoteError("the verifier key's id does not belong to its key")
    return verifier


def _verifier(name: str, material: bytes) -> PublicKey:
    kind, public = material[:1], material[1:]
    if kind == ed25519.TYPE:
        return ed25519.Ed25519Verifier(name, public)
    if kind == cosignature.TYPE:
        return cosignature.Ed25519CosignatureVerifier(name, public)
    if kind == mldsa44.TYPE:
        return mldsa44.MlDsa44Verifier(name, public)
    if material.startswith(sm2.TYPE):
        return sm2.Sm2Verifier(name, material.removeprefix(sm2.TYPE))
    raise NoteError("the verifier key is of an algorithm that is not known here")


def parse_vkeys(text: str) -> Sequence[PublicKey]:
    """Read one verifier key a line; empty lines and lines that begin with # are passed over.

    Raises:
        NoteError: names every line that is wrong.
        AlgorithmUnavailable: an algorithm needs a library that is not installed.
    """
    found: list[PublicKey] = []
    mistakes: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        try:
            found.append(parse_vkey(line))
        except NoteError as failure:
            mistakes.append(f"line {number}: {failure}")
    if mistakes:
        raise NoteError("; ".join(mistakes))
    return found
