"""Check a letter against its receipt, offline, with only the log's public keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import LetterDisagrees
from gateway.letters.reference import Reference
from ledger import KeyHistory, VerifiedReceipt, Verifier, verify_receipt
from ledger.keyring.history import require_ranges
from ledger.merkle import hash_leaf

_KINDS = ("CommitmentRecorded", "CommitmentPrepared")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLetter:
    """What holds of a letter: the receipt it agrees with, and whether a document was compared too."""

    receipt: VerifiedReceipt
    document_compared: bool

    @property
    def signed(self) -> bool:
        """Whether the receipt proves a signed commitment, and not only that notice was given."""
        return self.receipt.entry.kind == "CommitmentRecorded"


def verify_letter(
    reference: Reference, receipt: bytes, keys: Sequence[Verifier] | KeyHistory, document: bytes | None = None
) -> CheckedLetter:
    """Verify that the receipt proves what the QR code of a letter says, and that a document is the letter's.

    That the entry is about this very document is proved by a disclosure (`chengxin ledger disclose`), for which the
    document's salt is needed; here the document is compared with the digest that the code holds.

    `keys` are the log's public keys: of a log whose key has changed, their history.

    Raises:
        ledger.LedgerError: the receipt does not hold, or several keys of a log come without their history.
        LetterDisagrees: the letter says something else; every disagreement is named.
    """
    mistakes = []
    if isinstance(keys, KeyHistory):
        verified = keys.verify_receipt(receipt)
        if keys.origin != reference.origin:
            mistakes.append(f"the letter is of the log {reference.origin}, the keys are of {keys.origin}")
    else:
        require_ranges(keys)
        verified = verify_receipt(receipt, keys, reference.origin)
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
    if mistakes:
        raise LetterDisagrees(mistakes)
    return CheckedLetter(receipt=verified, document_compared=document is not None)
