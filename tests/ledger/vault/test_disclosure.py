"""Disclosures: one field proved, the others unknown, and nothing that was changed accepted."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger import (
    CanonicalError,
    DisclosureError,
    Ed25519Signer,
    Entry,
    LedgerError,
    ProofError,
    ReceiptError,
    WrongKey,
    disclose,
    verify_disclosure,
)
from ledger.canonical import Json, canonical, parse_canonical
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.merkle import hash_leaf
from ledger.receipt import format_receipt
from ledger.records.codec import encode_entry
from ledger.records.commitments import VaultGroup, commit_groups, decode_document

ORIGIN = "example.gov.cn/ledger"
PERSON: dict[str, Json] = {"name": "王小明", "id-number": "230103199001011234", "town": "甲镇", "since": 20261123}
VERDICT: dict[str, Json] = {"verdict": "ESTABLISHED", "reasons": ["甲", 1]}


@dataclass(frozen=True)
class Recorded:
    """An entry, the receipt that proves it, and its document."""

    signer: Ed25519Signer
    receipt: bytes
    document: dict[str, VaultGroup]


def record(signer: Ed25519Signer) -> Recorded:
    """A log of one entry, signed."""
    commits, document, mistakes, _ = commit_groups({"verdict": VERDICT}, {"person": PERSON}, os.urandom)
    assert mistakes == []
    at = datetime(2026, 11, 23, tzinfo=UTC)
    entry = Entry(
        kind="VerificationAnswered", record=os.urandom(16), seq=0, prev=None, at=at, policy="", commits=commits
    )
    leaf = encode_entry(entry)
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=1, root=hash_leaf(leaf)), [signer])
    return Recorded(signer, format_receipt(leaf, 0, [], note), decode_document(document))


SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.generate())
RECORDED = record(SIGNER)
KEYS = [SIGNER.verifier]


def show(group: str, *fields: str) -> bytes:
    return disclose(RECORDED.receipt, RECORDED.document, group, fields or None)


def changed(disclosure: bytes, /, **parts: Json) -> bytes:
    value = parse_canonical(disclosure)
    assert isinstance(value, dict)
    return canonical({**value, **parts})


def test_a_whole_group_is_proved_offline() -> None:
    verified = verify_disclosure(show("verdict"), KEYS, ORIGIN)
    assert (verified.group, verified.value, verified.withheld) == ("verdict", VERDICT, None)
    assert verified.receipt.index == 0


def test_all_fields_of_a_group_are_proved_offline() -> None:
    verified = verify_disclosure(show("person"), KEYS, ORIGIN)
    assert (verified.value, verified.withheld) == (PERSON, ())


@given(fields=st.sets(st.sampled_from(sorted(PERSON)), min_size=1))
def test_some_fields_are_proved_and_the_others_are_not_in_the_file(fields: set[str]) -> None:
    disclosure = show("person", *fields)
    verified = verify_disclosure(disclosure, KEYS, ORIGIN)
    assert verified.value == {name: PERSON[name] for name in fields}
    assert verified.withheld == tuple(sorted(PERSON.keys() - fields))
    salts = RECORDED.document["person"].field_salts or {}
    for name in PERSON.keys() - fields:
        assert canonical(PERSON[name]) not in disclosure
        assert salts[name].hex().encode() not in disclosure
    assert RECORDED.document["verdict"].salt.hex().encode() not in disclosure


def test_a_withheld_field_cannot_be_found_by_guessing_its_value() -> None:
    """Whoever knows everything but a field's salt, the true value included, cannot tell that it is the true one."""
    value = parse_canonical(show("person", "name"))
    assert isinstance(value, dict)
    digests = value["digests"]
    assert isinstance(digests, dict)
    encoded = canonical(PERSON["id-number"])
    group_salt = bytes.fromhex(str(value["salt"]))
    for salt in (b"", bytes(32), group_salt, bytes.fromhex(str(digests["town"]))):
        guess = hashlib.sha256(b"chengxin/ledger/v1/field\0person\0id-number\0" + salt + encoded).hexdigest()
        assert guess != digests["id-number"]
    again = record(SIGNER)
    fields = parse_canonical(disclose(again.receipt, again.document, "person", ["name"]))
    assert isinstance(fields, dict)
    # The same value in another entry has another digest: disclosures cannot be linked by it.
    assert isinstance(fields["digests"], dict)
    assert fields["digests"]["id-number"] != digests["id-number"]


@given(data=st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    disclosure = bytearray(show(*data.draw(st.sampled_from([("verdict",), ("person", "name"), ("person",)]))))
    at = data.draw(st.integers(0, len(disclosure) - 1))
    disclosure[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LedgerError):
        verify_disclosure(bytes(disclosure), KEYS, ORIGIN)


@pytest.mark.parametrize("value", ["王小红", None, 1, {"name": "王小明"}])
def test_another_value_is_refused(value: Json) -> None:
    salts = RECORDED.document["person"].field_salts or {}
    shown: Json = {"name": {"salt": salts["name"].hex(), "value": value}}
    with pytest.raises(DisclosureError, match="does not commit"):
        verify_disclosure(changed(show("person", "name"), fields=shown), KEYS, ORIGIN)


def test_a_field_passed_off_as_another_is_refused() -> None:
    value = parse_canonical(show("person", "name"))
    assert isinstance(value, dict)
    shown, digests = value["fields"], value["digests"]
    assert isinstance(shown, dict)
    assert isinstance(digests, dict)
    moved = {**digests, "name": digests["town"]}
    del moved["town"]
    with pytest.raises(DisclosureError, match="does not commit"):
        verify_disclosure(changed(canonical(value), fields={"town": shown["name"]}, digests=moved), KEYS, ORIGIN)


def test_a_field_that_is_left_out_or_added_is_refused() -> None:
    value = parse_canonical(show("person", "name"))
    assert isinstance(value, dict)
    digests = value["digests"]
    assert isinstance(digests, dict)
    fewer = {name: digest for name, digest in digests.items() if name != "town"}
    for wrong in (fewer, {**digests, "criminal-record": "0" * 64}):
        with pytest.raises(DisclosureError, match="does not commit"):
            verify_disclosure(changed(canonical(value), digests=wrong), KEYS, ORIGIN)


def test_a_field_both_shown_and_withheld_is_refused() -> None:
    value = parse_canonical(show("person", "name"))
    assert isinstance(value, dict)
    digests = value["digests"]
    assert isinstance(digests, dict)
    with pytest.raises(DisclosureError, match="both shown and withheld"):
        verify_disclosure(changed(canonical(value), digests={**digests, "name": "0" * 64}), KEYS, ORIGIN)


def test_a_group_passed_off_as_another_is_refused() -> None:
    with pytest.raises(DisclosureError, match="does not commit"):
        verify_disclosure(changed(show("verdict"), group="person"), KEYS, ORIGIN)


def test_a_group_by_fields_is_not_proved_as_a_whole_one() -> None:
    """The digests of a group by fields, shown as if they were its value, are another commitment."""
    person = RECORDED.document["person"]
    fake = {"disclosure": "chengxin/disclosure@v1", "group": "person", "receipt": RECORDED.receipt.decode()}
    with pytest.raises(DisclosureError, match="does not commit"):
        verify_disclosure(canonical({**fake, "salt": person.salt.hex(), "value": person.value}), KEYS, ORIGIN)


def test_a_receipt_of_another_entry_is_refused() -> None:
    other = record(SIGNER)
    with pytest.raises(DisclosureError, match="does not commit"):
        verify_disclosure(changed(show("verdict"), receipt=other.receipt.decode()), KEYS, ORIGIN)
    with pytest.raises(DisclosureError, match="does not commit"):
        disclose(other.receipt, RECORDED.document, "verdict")


def test_a_receipt_by_another_key_or_of_another_log_is_refused() -> None:
    stranger = Ed25519Signer(ORIGIN, Ed25519PrivateKey.generate())
    with pytest.raises(WrongKey):
        verify_disclosure(show("verdict"), [stranger.verifier], ORIGIN)
    with pytest.raises(LedgerError):
        verify_disclosure(show("verdict"), KEYS, "example.gov.cn/other")


def test_a_receipt_that_does_not_prove_its_entry_is_refused() -> None:
    head, _, note = RECORDED.receipt.partition(b"\n\n")
    with pytest.raises(ProofError):
        verify_disclosure(
            changed(show("verdict"), receipt=(head + b"\n" + b"A" * 43 + b"=\n\n" + note).decode()), KEYS, ORIGIN
        )
    with pytest.raises(ReceiptError):
        verify_disclosure(changed(show("verdict"), receipt="no receipt"), KEYS, ORIGIN)


def test_asking_for_what_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(DisclosureError, match="no group 'verdicts'; it has person, verdict"):
        show("verdicts")
    with pytest.raises(DisclosureError, match="no field 'age'; it has id-number, name, since, town"):
        show("person", "age", "name")
    with pytest.raises(DisclosureError, match="committed to as a whole"):
        show("verdict", "reasons")
    with pytest.raises(DisclosureError, match="no field that was asked for"):
        disclose(RECORDED.receipt, RECORDED.document, "person", [])


@pytest.mark.parametrize(
    "parts",
    [
        {"disclosure": "chengxin/disclosure@v2"},
        {"extra": 1},
        {"group": 1},
        {"group": "Person"},
        {"receipt": None},
        {"salt": "00"},
        {"salt": "A" * 64},
        {"fields": []},
        {"fields": {}},
        {"fields": {"name": {"value": 1}}},
        {"fields": {"na me": {"salt": "0" * 64, "value": 1}}},
        {"digests": {"town": 5}},
        {"digests": "x"},
    ],
)
def test_a_malformed_disclosure_is_refused(parts: dict[str, Json]) -> None:
    with pytest.raises(DisclosureError):
        verify_disclosure(changed(show("person", "name"), **parts), KEYS, ORIGIN)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"\xff", b'{"disclosure":"chengxin/disclosure@v1"}', b"x" * (20 << 20)]
)
def test_what_is_not_a_disclosure_is_refused(text: bytes) -> None:
    with pytest.raises(DisclosureError):
        verify_disclosure(text, KEYS, ORIGIN)


def test_a_disclosure_not_in_its_one_spelling_is_refused() -> None:
    with pytest.raises((DisclosureError, CanonicalError)):
        verify_disclosure(show("verdict") + b"\n", KEYS, ORIGIN)
