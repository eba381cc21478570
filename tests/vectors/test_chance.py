"""Whatever bytes chance offers, the verifiers refuse with a typed error; not one bit of what is signed can change."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import LedgerError, parse_vkey, verify_receipt
from ledger.log.checkpoint import open_checkpoint, parse_checkpoint, read_checkpoint
from ledger.log.note import open_note, split_note
from ledger.publication.bundle import format_bundle, parse_bundle
from ledger.publication.paths import parse_path
from ledger.receipt import parse_receipt
from ledger.records.codec import decode_entry
from tests.vectors.keys import LOG, ORIGIN, VKEY
from tests.vectors.receipts import grown

TREE = grown()
RECEIPT, NOTE = TREE.receipt(9, 23), TREE.note(23)
KEYS = [LOG.verifier]

ALPHABET = b"\n\n\n =+/0159AZaz.\r\t\x00\xff\xe2\x80\x94extraindex"
NEAR = st.lists(st.sampled_from(ALPHABET), max_size=200).map(bytes)
ANY = st.binary(max_size=400) | NEAR | NEAR.map(lambda tail: RECEIPT[: len(tail)] + tail) | NEAR.map(NOTE.__add__)

PARSERS: list[Callable[[bytes], object]] = [
    parse_receipt,
    lambda data: verify_receipt(data, KEYS, ORIGIN),
    split_note,
    lambda data: open_note(data, KEYS),
    lambda data: open_checkpoint(data, KEYS, ORIGIN),
    read_checkpoint,
    lambda data: parse_checkpoint(data.decode("utf-8", "replace")),
    lambda data: parse_vkey(data.decode("utf-8", "replace")),
    lambda data: parse_path(data.decode("utf-8", "replace")),
    lambda data: parse_bundle(data, len(data) % 5),
    decode_entry,
]


@settings(max_examples=300)
@given(ANY)
def test_no_bytes_make_a_parser_fail_otherwise_than_by_refusing(data: bytes) -> None:
    for parse in PARSERS:
        with suppress(LedgerError):
            parse(data)


@settings(max_examples=100)
@given(st.text(max_size=60) | st.text(alphabet="vectors.example/log+ABab01=/\n ", max_size=90))
def test_no_text_makes_a_parser_of_texts_fail_otherwise_than_by_refusing(text: str) -> None:
    for parse in (parse_vkey, parse_path, parse_checkpoint):
        with suppress(LedgerError):
            parse(text)


def flips(data: bytes) -> list[bytes]:
    return [data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :] for at in range(len(data)) for bit in range(8)]


def test_no_single_bit_of_a_receipt_can_change() -> None:
    verify_receipt(RECEIPT, KEYS, ORIGIN)
    for changed in flips(RECEIPT):
        with pytest.raises(LedgerError):
            verify_receipt(changed, KEYS, ORIGIN)


def test_no_single_bit_of_a_checkpoint_can_change() -> None:
    open_checkpoint(NOTE, KEYS, ORIGIN)
    for changed in flips(NOTE):
        with pytest.raises(LedgerError):
            open_checkpoint(changed, KEYS, ORIGIN)


def test_no_single_bit_of_a_vkey_gives_the_same_key() -> None:
    for changed in flips(VKEY.encode()):
        with suppress(LedgerError, UnicodeDecodeError):
            read = parse_vkey(changed.decode())
            assert (read.name, read.key_id) != (LOG.name, LOG.key_id)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_a_bundle_is_read_as_it_was_written(entries: list[bytes]) -> None:
    bundle = format_bundle(entries)
    assert parse_bundle(bundle, len(entries)) == entries
    for count in (len(entries) - 1, len(entries) + 1):
        with pytest.raises(LedgerError):
            parse_bundle(bundle, count)


@given(st.binary(max_size=300), st.integers(0, 6))
def test_what_is_read_as_a_bundle_is_written_as_the_same_bytes(data: bytes, count: int) -> None:
    with suppress(LedgerError):
        assert format_bundle(parse_bundle(data, count)) == data


@given(st.integers(0, 22), st.integers(0, 23), st.integers(0, 22))
def test_a_proof_proves_no_other_place(index: int, size: int, claimed: int) -> None:
    if index >= size or claimed == index:
        return
    head, _, note = TREE.receipt(index, size).partition(b"\n\n")
    moved = head.replace(b"\nindex %d" % index, b"\nindex %d" % claimed) + b"\n\n" + note
    with pytest.raises(LedgerError):
        verify_receipt(moved, KEYS, ORIGIN)


def test_the_entry_of_a_receipt_is_what_its_extra_line_carries() -> None:
    proved = verify_receipt(RECEIPT, KEYS, ORIGIN)
    assert base64.b64encode(proved.leaf) in RECEIPT
    assert proved.leaf == TREE.leaves[9]
