"""An append-only, signed Merkle log of what was decided, and an encrypted vault for what it was about.

Public names are loaded when first used: importing `ledger.merkle` or `ledger.errors` must not load a database driver.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger.appends.publishing import Publishing as Publishing
    from ledger.appends.publishing import SignAfter as SignAfter
    from ledger.appends.publishing import Signing as Signing
    from ledger.appends.values import Appended as Appended
    from ledger.appends.values import Draft as Draft
    from ledger.appends.values import Idempotency as Idempotency
    from ledger.appends.values import Level as Level
    from ledger.appends.values import Replay as Replay
    from ledger.appends.values import Sequenced as Sequenced
    from ledger.appends.values import Submission as Submission
    from ledger.blind import BlindIndex as BlindIndex
    from ledger.completeness.commits import CommittedIndex as CommittedIndex
    from ledger.completeness.proof import CompleteHistory as CompleteHistory
    from ledger.completeness.proof import verify_completeness as verify_completeness
    from ledger.disclosure import VerifiedDisclosure as VerifiedDisclosure
    from ledger.disclosure import disclose as disclose
    from ledger.disclosure import verify_disclosure as verify_disclosure
    from ledger.errors import *  # noqa: F403
    from ledger.fsck import Damage as Damage
    from ledger.fsck import FsckReport as FsckReport
    from ledger.keyring.history import KeyHistory as KeyHistory
    from ledger.keyring.published import format_key_history as format_key_history
    from ledger.keyring.published import verify_key_history as verify_key_history
    from ledger.log.algorithms.ed25519 import Ed25519Signer as Ed25519Signer
    from ledger.log.algorithms.ed25519 import Ed25519Verifier as Ed25519Verifier
    from ledger.log.checkpoint import Checkpoint as Checkpoint
    from ledger.log.key_file import load_further_signer as load_further_signer
    from ledger.log.key_file import load_signer as load_signer
    from ledger.log.key_file import write_key as write_key
    from ledger.log.key_file import write_signing_key as write_signing_key
    from ledger.log.note import Signer as Signer
    from ledger.log.note import Verifier as Verifier
    from ledger.log.remembered import Remembered as Remembered
    from ledger.log.store import create_store as create_store
    from ledger.log.store import open_store as open_store
    from ledger.log.vkey import parse_vkey as parse_vkey
    from ledger.log.vkey import parse_vkeys as parse_vkeys
    from ledger.receipt import VerifiedReceipt as VerifiedReceipt
    from ledger.receipt import verify_receipt as verify_receipt
    from ledger.records.codec import Entry as Entry
    from ledger.records.codec import Json as Json
    from ledger.records.codec import canonical as canonical
    from ledger.records.codec import decode_entry as decode_entry
    from ledger.records.codec import parse_canonical as parse_canonical
    from ledger.records.commitments import Opening as Opening
    from ledger.records.identity import new_record as new_record
    from ledger.records.projections import RecordRow as RecordRow
    from ledger.records.register import HistoryLine as HistoryLine
    from ledger.records.register import Register as Register
    from ledger.service import Ledger as Ledger
    from ledger.vault import Erased as Erased
    from ledger.vault import FileMasterKeys as FileMasterKeys
    from ledger.vault import MasterKeys as MasterKeys
    from ledger.vault import VaultGroup as VaultGroup
    from ledger.vault import write_master_key as write_master_key
    from ledger.witness.client import Cosigners as Cosigners
    from ledger.witness.client import WitnessCosigners as WitnessCosigners
    from ledger.witness.policy import Policy as Policy
    from ledger.witness.policy import verify_witnessed as verify_witnessed
    from ledger.witness.policy_file import load_policy as load_policy

_ERRORS = (
    "AlgorithmUnavailable AlreadyClaimed AnchorError AnchorUnavailable AppendRefused CanonicalError "
    "CompletenessError DisclosureError EntryError EntryMissing EntryUnpublished ErasureRefused ExportRefused "
    "ExtraMissing HsmUnavailable IdempotencyConflict IndexMissing KeyFileError KeyHistoryError KeyNotInForce "
    "KeysRetired LedgerClosed LedgerDamaged LedgerError LedgerLocked LedgerOverloaded LedgerUnavailable LogShrunk "
    "NoteError PathMalformed PolicyError ProofError PublicationDamaged PublicationError PublicationUnavailable "
    "QuorumMissing ReceiptError ReceiptLate RecordChanged RecordErased RememberedUnusable RemnantsLeft "
    "ResourceMissing ResumeRefused SchemaNewer SchemaOlder SplitView StoreError StoreExists StoreMissing StoreUnfit "
    "SubmissionError TransitionRefused VaultError "
    "WitnessError WitnessStateError WrongKey WrongOrigin"
)
_HOME = {
    **dict.fromkeys(_ERRORS.split(), "ledger.errors"),
    "BlindIndex": "ledger.blind",
    **dict.fromkeys(["Publishing", "SignAfter", "Signing"], "ledger.appends.publishing"),
    **dict.fromkeys(
        ["Appended", "Draft", "Idempotency", "Level", "Replay", "Sequenced", "Submission"], "ledger.appends.values"
    ),
    "KeyHistory": "ledger.keyring.history",
    **dict.fromkeys(["format_key_history", "verify_key_history"], "ledger.keyring.published"),
    "Checkpoint": "ledger.log.checkpoint",
    **dict.fromkeys(["VerifiedDisclosure", "disclose", "verify_disclosure"], "ledger.disclosure"),
    "Remembered": "ledger.log.remembered",
    "CommittedIndex": "ledger.completeness.commits",
    **dict.fromkeys(["CompleteHistory", "verify_completeness"], "ledger.completeness.proof"),
    **dict.fromkeys(["Damage", "FsckReport"], "ledger.fsck"),
    **dict.fromkeys(["Ed25519Signer", "Ed25519Verifier"], "ledger.log.algorithms.ed25519"),
    **dict.fromkeys(["load_further_signer", "load_signer", "write_key", "write_signing_key"], "ledger.log.key_file"),
    **dict.fromkeys(["Signer", "Verifier"], "ledger.log.note"),
    **dict.fromkeys(["parse_vkey", "parse_vkeys"], "ledger.log.vkey"),
    **dict.fromkeys(["VerifiedReceipt", "verify_receipt"], "ledger.receipt"),
    **dict.fromkeys(["create_store", "open_store"], "ledger.log.store"),
    **dict.fromkeys(["Entry", "Json", "canonical", "decode_entry", "parse_canonical"], "ledger.records.codec"),
    "Opening": "ledger.records.commitments",
    "RecordRow": "ledger.records.projections",
    "new_record": "ledger.records.identity",
    **dict.fromkeys(["HistoryLine", "Register"], "ledger.records.register"),
    "Ledger": "ledger.service",
    **dict.fromkeys(["Erased", "FileMasterKeys", "MasterKeys", "VaultGroup", "write_master_key"], "ledger.vault"),
    **dict.fromkeys(["Cosigners", "WitnessCosigners"], "ledger.witness.client"),
    **dict.fromkeys(["Policy", "verify_witnessed"], "ledger.witness.policy"),
    "load_policy": "ledger.witness.policy_file",
}

__all__ = sorted(_HOME)  # noqa: PLE0605  the table above is the one list of public names


def __getattr__(name: str) -> object:
    """Load a public name from its home when it is first asked for."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'ledger' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
