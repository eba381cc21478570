"""Disclosures: one group of one entry's document, or single fields of it, proved offline; the rest stays unknown.

Canonical JSON, of a group that is committed to as a whole:

    {"disclosure":"chengxin/disclosure@v1","group":…,"receipt":…,"salt":…,"value":…}

and of one that is committed to field by field:

    {"digests":{field: digest, …},"disclosure":"chengxin/disclosure@v1",
     "fields":{field: {"salt":…,"value":…}, …},"group":…,"receipt":…,"salt":…}

`receipt` is the text of the entry's receipt (`ledger.receipt`), salts are 64 hex digits, `digests` are those of the
fields that are withheld. How the commitment follows from them: `ledger.records.commitments`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.canonical import Json, canonical, parse_canonical
from ledger.errors import CanonicalError, DisclosureError
from ledger.log.note import Verifier
from ledger.receipt import VerifiedReceipt, parse_receipt, verify_receipt
from ledger.records.codec import decode_entry
from ledger.records.commitments import (
    LONGEST_DOCUMENT,
    VaultGroup,
    commit_fields,
    commit_value,
    decode_salt,
    digest_field,
    is_field,
    is_group,
)

_FORMAT = "chengxin/disclosure@v1"
_LONGEST = LONGEST_DOCUMENT + (2 << 20)
_WHOLE = {"disclosure", "group", "receipt", "salt", "value"}
_BY_FIELDS = {"digests", "disclosure", "fields", "group", "receipt", "salt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDisclosure:
    """What a disclosure proves: the entry of `receipt` commits to this value of this group."""

    receipt: VerifiedReceipt
    group: str
    value: Json = field(repr=False)
    """The group's value, or an object of the disclosed fields."""
    withheld: tuple[str, ...] | None
    """The fields that are not shown; None for a group that is committed to as a whole."""


def disclose(
    receipt: bytes, document: Mapping[str, VaultGroup], group: str, fields: Collection[str] | None = None
) -> bytes:
    """Write the disclosure of a group of an opened document, or of some of its fields.

    Raises:
        DisclosureError: there is no such group or field, the group is committed to as a whole though fields are asked,
            or the document is not the one that the receipt's entry commits to.
        ReceiptError, EntryError: the receipt is not in the format.
    """
    opened = document.get(group)
    if opened is None:
        raise DisclosureError(f"the document has no group {group!r}; it has {', '.join(sorted(document))}")
    parts: dict[str, Json] = {"group": group, "salt": opened.salt.hex()}
    if opened.field_salts is not None:
        parts |= _show_fields(group, opened, opened.field_salts, fields)
    elif fields is None:
        parts["value"] = opened.value
    else:
        raise DisclosureError(f"group {group!r} is committed to as a whole: its fields cannot be shown singly")
    _require_committed(decode_entry(parse_receipt(receipt).leaf).commits, group, _commitment(group, parts))
    return canonical({"disclosure": _FORMAT, "receipt": receipt.decode(), **parts})


def _show_fields(
    group: str, opened: VaultGroup, salts: Mapping[str, bytes], fields: Collection[str] | None
) -> dict[str, Json]:
    shown = salts.keys() if fields is None else set(fields)
    unknown = sorted(shown - salts.keys())
    if unknown or not shown:
        told = f"no field {', '.join(map(repr, unknown))}" if unknown else "no field that was asked for"
        raise DisclosureError(f"group {group!r} has {told}; it has {', '.join(sorted(salts))}")
    values = opened.value if isinstance(opened.value, Mapping) else {}
    return {
        "fields": {name: {"salt": salts[name].hex(), "value": values[name]} for name in shown},
        "digests": {
            name: digest_field(group, name, salt, canonical(values[name]))
            for name, salt in salts.items()
            if name not in shown
        },
    }


def verify_disclosure(disclosure: bytes, verifiers: Sequence[Verifier], origin: str) -> VerifiedDisclosure:
    """Verify a disclosure offline, with only the log's public keys and origin.

    Raises:
        DisclosureError: it is not in the format, or the entry does not commit to what is shown.
        ReceiptError, NoteError, ProofError, EntryError: its receipt does not verify (`verify_receipt`).
    """
    return verify_disclosure_by(disclosure, lambda receipt: verify_receipt(receipt, verifiers, origin))


def verify_disclosure_by(disclosure: bytes, verify: Callable[[bytes], VerifiedReceipt]) -> VerifiedDisclosure:
    """Verify a disclosure whose receipt is verified by `verify`, such as by a history of the log's keys.

    Raises:
        DisclosureError: it is not in the format, or the entry does not commit to what is shown.
        LedgerError: what `verify` raises.
    """
    if len(disclosure) > _LONGEST:
        raise DisclosureError("the disclosure is too long")
    try:
        parts = parse_canonical(disclosure)
        if not isinstance(parts, dict) or parts.get("disclosure") != _FORMAT:
            raise DisclosureError(f"not a {_FORMAT}")
        if parts.keys() not in (_WHOLE, _BY_FIELDS):
            raise DisclosureError("the disclosure has a field too many or too few")
        group, receipt = parts["group"], parts["receipt"]
        if not isinstance(group, str) or not is_group(group) or not isinstance(receipt, str):
            raise DisclosureError("the disclosure's group or receipt is malformed")
        commitment = _commitment(group, parts)
    except CanonicalError as failure:
        raise DisclosureError(f"malformed disclosure: {failure}") from None
    verified = verify(receipt.encode())
    _require_committed(verified.entry.commits, group, commitment)
    shown, digests = parts.get("fields"), parts.get("digests")
    by_fields = isinstance(shown, dict) and isinstance(digests, dict)
    return VerifiedDisclosure(
        receipt=verified,
        group=group,
        value=_values(shown) if by_fields else parts["value"],
        withheld=tuple(sorted(_object(digests))) if by_fields else None,
    )


def _require_committed(commits: Mapping[str, str], group: str, commitment: str) -> None:
    if commits.get(group) != commitment:
        raise DisclosureError(f"the entry does not commit to this value of group {group!r}")


def _commitment(group: str, parts: Mapping[str, Json]) -> str:
    """Compute the commitment that what is shown and what is withheld lead to."""
    salt = decode_salt(parts["salt"])
    if "value" in parts:
        return commit_value(group, salt, canonical(parts["value"]))
    shown, withheld = _object(parts["fields"]), _object(parts["digests"])
    if not shown or not all(map(is_field, (*shown, *withheld))) or shown.keys() & withheld.keys():
        raise DisclosureError("the fields of the disclosure are malformed, or one is both shown and withheld")
    digests: dict[str, Json] = dict(withheld)
    for digest in withheld.values():
        decode_salt(digest)  # a digest has the form of a salt
    for name, one in shown.items():
        opened = _object(one)
        if opened.keys() != {"salt", "value"}:
            raise DisclosureError("a field of the disclosure is not a salt and a value")
        digests[name] = digest_field(group, name, decode_salt(opened["salt"]), canonical(opened["value"]))
    return commit_fields(group, salt, {name: str(digest) for name, digest in digests.items()})


def _values(shown: Json) -> dict[str, Json]:
    return {name: _object(one)["value"] for name, one in _object(shown).items()}


def _object(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise DisclosureError("a part of the disclosure is not an object")
    return value
