"""Admission: everything about a submission that can be judged, hashed and encrypted without knowing the log.

Runs on the caller's thread, so that the one commit thread has the least to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import NamedTuple

from ledger.appends.values import Draft, Submission
from ledger.canonical import stamp
from ledger.errors import SubmissionError
from ledger.records.codec import entry_parts, is_policy
from ledger.records.commitments import PUBLIC_GROUP, Opening, commit_groups
from ledger.records.lifecycle import FAMILY_OF, OPENS, PUBLIC_KINDS
from ledger.records.projections import FACTS_GROUP, Facts, normalise_facts, read_facts
from ledger.vault import SealedDocument, Vault

_MOST_DRAFTS = 1024
MOST_BYTES = 64 << 20
"""Bytes of what one submission writes; a batch of several is no larger either."""
_DRAFT, _KEY = 6 << 10, 96
"""The most bytes of facts and of an answer for each draft, and of each claim or erasure."""
_NO_FACTS: Facts = {}
_NO_COMMITS: Mapping[str, str] = {}
_NO_OPENINGS: Mapping[str, Opening] = {}
_NOTHING_WRONG: list[str] = []
"""Never changed: what is found wrong is added to a new list."""


class AdmittedDraft(NamedTuple):
    """A draft with its commitments computed and its document sealed; a tuple, because one is made for each append."""

    kind: str
    record: bytes
    expect_state: frozenset[str] | None
    expect_newest: int | None
    facts: Facts
    before: bytes
    """The entry's bytes up to the value of `prev`."""
    between: bytes
    """The entry's bytes from there to the value of `seq`."""
    opens: tuple[int, int] | None
    """Family and state if the entry is its record's first; None if no record begins with this kind."""
    first_leaf: bytes
    """The whole entry if it is its record's first."""
    first_hash: bytes
    sealed: SealedDocument | None


class Admitted(NamedTuple):
    """A submission that is well-formed."""

    drafts: tuple[AdmittedDraft, ...]
    at: int
    """Microseconds since 1970."""
    once: tuple[bytes, bytes] | None
    """The idempotency key and the digest of the body."""
    claim_keys: tuple[tuple[bytes, bytes], ...]
    release_keys: tuple[bytes, ...]
    erase: tuple[tuple[bytes, int], ...]
    weight: int = 0
    """About how many bytes it is, on its way and in the database; never less."""


def admit(
    submission: Submission, vault: Vault, entropy: Callable[[int], bytes]
) -> tuple[Admitted, tuple[Mapping[str, Opening], ...]]:
    """Check a submission, commit to its documents under fresh salts, and seal them.

    Returns also what opens the groups of each draft, apart from what is admitted: the salts concern nobody but the
    caller, and do not travel to the owner of a shared ledger.

    Raises:
        SubmissionError: naming every mistake, by field and never by value.
    """
    mistakes = _wrong_submission(submission)
    once = submission.idempotency
    at, at_text = (0, "") if mistakes else stamp(submission.at)
    drafts: list[AdmittedDraft] = []
    openings: list[Mapping[str, Opening]] = []
    weight = _KEY * (len(submission.claim_keys) + len(submission.release_keys) + len(submission.erase))
    for number, draft in enumerate(submission.drafts):
        wrong = _wrong_draft(draft)
        if not wrong:
            admitted, wrong, opened = _admit_draft(draft, at_text, vault, entropy)
            drafts.append(admitted)
            openings.append(opened)
            weight += _weigh(admitted)
        if wrong:
            mistakes = mistakes + [f"draft {number}: {mistake}" for mistake in wrong]
        if weight > MOST_BYTES:  # told at once: what comes after it would only cost more memory
            mistakes = [*mistakes, f"the submission is larger than {MOST_BYTES >> 20} MiB"]
            break
    if mistakes:
        raise SubmissionError(mistakes)
    admission = Admitted(
        tuple(drafts),
        at,
        None if once is None else (once.key, once.body_digest),
        submission.claim_keys,
        submission.release_keys,
        submission.erase,
        weight,
    )
    return admission, tuple(openings)


def _weigh(draft: AdmittedDraft) -> int:
    document = 0 if draft.sealed is None else len(draft.sealed.sealed)
    return document + len(draft.before) + len(draft.between) + len(draft.first_leaf) + _DRAFT


def _wrong_submission(submission: Submission) -> list[str]:
    mistakes: list[str] = []
    if not 0 < len(submission.drafts) <= _MOST_DRAFTS:
        mistakes.append(f"not 1 to {_MOST_DRAFTS} drafts")
    if submission.at.tzinfo is None:
        mistakes.append("at has no zone")
    once = submission.idempotency
    if once is not None and not 6 < len(once.key) <= 32:
        mistakes.append("the idempotency key is not 7 to 32 bytes, of which the first 6 are its time")
    if once is not None and len(once.body_digest) != 32:
        mistakes.append("the body digest is not 32 bytes")
    if submission.claim_keys or submission.release_keys or submission.erase:
        mistakes += _wrong_claims(submission)
    return mistakes


def _wrong_claims(submission: Submission) -> list[str]:
    mistakes = []
    keys = (*(key for key, _ in submission.claim_keys), *submission.release_keys)
    if not all(0 < len(key) <= 64 for key in keys):
        mistakes.append("a uniqueness key is not 1 to 64 bytes")
    records = (*(record for _, record in submission.claim_keys), *(record for record, _ in submission.erase))
    if not all(len(record) == 16 for record in records):
        mistakes.append("a record id is not 16 bytes")
    return mistakes


def _wrong_draft(draft: Draft) -> list[str]:
    if (
        draft.kind in FAMILY_OF
        and type(draft.record) is bytes
        and len(draft.record) == 16
        and is_policy(draft.policy)
        and FACTS_GROUP not in draft.groups
        and FACTS_GROUP not in draft.fields
        and (PUBLIC_GROUP not in draft.groups or draft.kind in PUBLIC_KINDS)
        and PUBLIC_GROUP not in draft.fields
    ):
        return _NOTHING_WRONG
    mistakes = []
    if draft.kind not in FAMILY_OF:
        mistakes.append("kind is unknown")
    if type(draft.record) is not bytes or len(draft.record) != 16:
        mistakes.append("record id is not 16 bytes")
    if not is_policy(draft.policy):
        mistakes.append("policy is neither empty nor 64 hex digits")
    if FACTS_GROUP in draft.groups or FACTS_GROUP in draft.fields:
        mistakes.append(f"the group {FACTS_GROUP!r} is reserved")
    if PUBLIC_GROUP in draft.fields or (PUBLIC_GROUP in draft.groups and draft.kind not in PUBLIC_KINDS):
        mistakes.append(f"an entry of this kind has no group {PUBLIC_GROUP!r}, or only as a whole")
    # Told here too, so that a caller hears of every mistake at once; nothing is kept of these salts of zeroes.
    return mistakes + normalise_facts(draft.facts)[1] + commit_groups(draft.groups, draft.fields, bytes)[2]


def _admit_draft(
    draft: Draft, at: str, vault: Vault, entropy: Callable[[int], bytes]
) -> tuple[AdmittedDraft, list[str], Mapping[str, Opening]]:
    kind, record = draft.kind, draft.record
    facts, mistakes, groups = _NO_FACTS, _NOTHING_WRONG, draft.groups
    if draft.facts:
        stored, mistakes = normalise_facts(draft.facts)
        groups = {**groups, FACTS_GROUP: stored}
        facts = _NO_FACTS if mistakes else read_facts(stored)
    commits, sealed, openings = _NO_COMMITS, None, _NO_OPENINGS
    if groups or draft.fields:
        commits, document, wrong, openings = commit_groups(groups, draft.fields, entropy)
        mistakes = mistakes + wrong
        if not mistakes:
            sealed = vault.seal(record, document)
    before, between = entry_parts(kind, record, at, draft.policy, commits)
    opens, first, first_hash = OPENS.get(kind), b"", b""
    if opens is not None:
        first = b'%snull%s0,"v":1}' % (before, between)
        first_hash = sha256(b"\x00" + first).digest()
    expected = (draft.expect_state, draft.expect_newest)
    admitted = AdmittedDraft(kind, record, *expected, facts, before, between, opens, first, first_hash, sealed)
    return admitted, mistakes, openings
