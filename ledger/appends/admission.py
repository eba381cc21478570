"""Admission: everything about a submission that can be judged without knowing the log. Runs on the caller's thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.appends.values import Draft, Submission
from ledger.canonical import Json, canonical, format_time
from ledger.errors import CanonicalError, SubmissionError
from ledger.records.codec import LONGEST_ENTRY, commit_value, is_group, is_policy
from ledger.records.lifecycle import FAMILY_OF
from ledger.records.projections import FACTS_GROUP, Facts, normalise_facts, read_facts

_MOST_DRAFTS = 1024
_MOST_GROUPS = 256
_LONGEST_DOCUMENT = 16 << 20

assert _MOST_GROUPS * 110 < LONGEST_ENTRY


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedDraft:
    """A draft with its commitments computed and its document encoded (None if it has none)."""

    draft: Draft
    commits: dict[str, str]
    document: bytes | None
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A submission that is well-formed."""

    submission: Submission
    drafts: tuple[AdmittedDraft, ...]


def admit(submission: Submission, entropy: Callable[[int], bytes]) -> Admitted:
    """Check a submission and commit to its documents under fresh salts.

    Raises:
        SubmissionError: naming every mistake, by field and never by value.
    """
    mistakes = _wrong_submission(submission)
    drafts: list[AdmittedDraft] = []
    for number, draft in enumerate(submission.drafts):
        admitted, wrong = _admit_draft(draft, entropy)
        mistakes += [f"draft {number}: {mistake}" for mistake in wrong]
        drafts.append(admitted)
    if mistakes:
        raise SubmissionError(mistakes)
    return Admitted(submission=submission, drafts=tuple(drafts))


def _wrong_submission(submission: Submission) -> list[str]:
    mistakes = []
    if not 0 < len(submission.drafts) <= _MOST_DRAFTS:
        mistakes.append(f"not 1 to {_MOST_DRAFTS} drafts")
    try:
        format_time(submission.at)
    except ValueError:
        mistakes.append("at has no zone")
    once = submission.idempotency
    if once is not None and not 0 < len(once.key) <= 32:
        mistakes.append("the idempotency key is not 1 to 32 bytes")
    if once is not None and len(once.body_digest) != 32:
        mistakes.append("the body digest is not 32 bytes")
    keys = (*(key for key, _ in submission.claim_keys), *submission.release_keys)
    if not all(0 < len(key) <= 64 for key in keys):
        mistakes.append("a uniqueness key is not 1 to 64 bytes")
    if not all(len(record) == 16 for record in (*(r for _, r in submission.claim_keys), *submission.erase)):
        mistakes.append("a record id is not 16 bytes")
    return mistakes


def _admit_draft(draft: Draft, entropy: Callable[[int], bytes]) -> tuple[AdmittedDraft, list[str]]:
    mistakes = []
    if draft.kind not in FAMILY_OF:
        mistakes.append("kind is unknown")
    if type(draft.record) is not bytes or len(draft.record) != 16:
        mistakes.append("record id is not 16 bytes")
    if not is_policy(draft.policy):
        mistakes.append("policy is neither empty nor 64 hex digits")
    if len(draft.groups) > _MOST_GROUPS:
        mistakes.append(f"more than {_MOST_GROUPS} groups")
    if not all(is_group(name) and name != FACTS_GROUP for name in draft.groups):
        mistakes.append("a group's name is malformed or reserved")
        return AdmittedDraft(draft=draft, commits={}, document=None, facts={}), mistakes
    facts, wrong_facts = normalise_facts(draft.facts)
    groups = {**draft.groups, FACTS_GROUP: facts} if facts else dict(draft.groups)
    commits, document, wrong_groups = _commit_groups(groups, entropy)
    admitted = AdmittedDraft(
        draft=draft, commits=commits, document=document, facts={} if wrong_facts else read_facts(facts)
    )
    return admitted, mistakes + wrong_facts + wrong_groups


def _commit_groups(
    groups: dict[str, Json], entropy: Callable[[int], bytes]
) -> tuple[dict[str, str], bytes | None, list[str]]:
    commits: dict[str, str] = {}
    parts: list[bytes] = []
    mistakes: list[str] = []
    salts = entropy(32 * len(groups))
    for number, name in enumerate(sorted(groups)):
        salt = salts[32 * number : 32 * number + 32]
        try:
            encoded = canonical(groups[name])
        except CanonicalError as failure:
            mistakes.append(f"group {name!r}: {failure}")
            continue
        commits[name] = commit_value(name, salt, encoded)
        # Group names sort by their bytes, so joining the parts gives the canonical form without encoding twice.
        parts.append(b'"%s":{"salt":"%s","value":%s}' % (name.encode(), salt.hex().encode(), encoded))
    document = b"{" + b",".join(parts) + b"}" if parts else None
    if document is not None and len(document) > _LONGEST_DOCUMENT:
        mistakes.append("the document is larger than 16 MiB")
    return commits, document, mistakes
