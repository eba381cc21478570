"""Check a letter against its receipt, offline, with only the log's public keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gateway.errors import LetterDisagrees
from gateway.letters.document import DOCUMENT
from gateway.letters.reference import Reference
from ledger import KeyHistory, VerifiedReceipt, Verifier, verify_receipt
from ledger.canonical import canonical
from ledger.disclosure import verify_disclosure_by
from ledger.keyring.history import require_ranges
from ledger.merkle import hash_leaf

_KINDS = ("CommitmentRecorded", "CommitmentPrepared")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLetter:
    """What holds of a letter: the receipt it agrees with, and whether the log was shown to be about its document."""

    receipt: VerifiedReceipt
    document_proved: bool

    @property
    def signed(self) -> bool:
        """Whether the receipt proves a signed commitment, and not only that notice was given."""
        return self.receipt.entry.kind == "CommitmentRecorded"


def verify_letter(
    reference: Reference,
    receipt: bytes,
    keys: Sequence[Verifier] | KeyHistory,
    document: bytes | None = None,
    disclosure: bytes | None = None,
) -> CheckedLetter:
    """Verify that the receipt proves what the QR code of a letter says, and that its document is the recorded one.

    The latter takes the disclosure that is attached to the letter: it opens what the first entry of the commitment
    commits to. A document without it is only compared with the digest in the code, which anybody can write.

    `keys` are the log's public keys: of a log whose key has changed, their history.

    Raises:
        ledger.LedgerError: the receipt does not hold, or several keys of a log come without their history.
        LetterDisagrees: the letter says something else; every disagreement is named.
    """
    mistakes = []
    verify = _verifying(keys, reference.origin)
    verified = verify(receipt)
    if isinstance(keys, KeyHistory) and keys.origin != reference.origin:
        mistakes.append(f"the letter is of the log {reference.origin}, the keys are of {keys.origin}")
    if verified.entry.kind not in _KINDS:
        mistakes.append(f"the receipt proves a {verified.entry.kind}, which is no commitment's")
    if verified.entry.record != reference.record:
        mistakes.append("the receipt is of another record")
    if verified.index != reference.index:
        mistakes.append(f"the receipt is of entry {verified.index}, the letter names {reference.index}")
    if hash_leaf(verified.leaf) != reference.leaf:
        mistakes.append("the entry that the receipt proves has another hash")
    if document is not None and hashlib.sha256(document).digest() != reference.document:
        mistakes.append("the document is not the one that the letter was made of")
    if disclosure is not None:
        mistakes += _disagreements(reference, disclosure, verify)
    if mistakes:
        raise LetterDisagrees(mistakes)
    return CheckedLetter(receipt=verified, document_proved=disclosure is not None)


def _verifying(keys: Sequence[Verifier] | KeyHistory, origin: str) -> Callable[[bytes], VerifiedReceipt]:
    if isinstance(keys, KeyHistory):
        return keys.verify_receipt
    require_ranges(keys)
    return lambda receipt: verify_receipt(receipt, keys, origin)


def _disagreements(
    reference: Reference, disclosure: bytes, verify: Callable[[bytes], VerifiedReceipt]
) -> Iterator[str]:
    """Say why a disclosure does not show that the log is about the document of a letter; nothing if it does."""
    shown = verify_disclosure_by(disclosure, verify)
    entry = shown.receipt.entry
    if entry.kind != "CommitmentPrepared" or shown.group != DOCUMENT:
        yield f"the disclosure is of {shown.group!r} of a {entry.kind}, which is no document of a commitment"
    if entry.record != reference.record:
        yield "the disclosure is of another record"
    if hashlib.sha256(canonical(shown.value)).digest() != reference.document:
        yield "the document that was recorded is not the one that the letter names"
