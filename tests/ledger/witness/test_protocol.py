"""The messages of the witness protocol: written as specified, read strictly."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import WitnessError
from ledger.witness.protocol import (
    LONGEST_REQUEST,
    Request,
    format_answer,
    format_request,
    format_size,
    parse_answer,
    parse_request,
    parse_size,
)

NOTE = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— a AAAAAAAA\n".encode()
HASH = base64.b64encode(bytes(range(32)))
GOOD = b"old 20852014\n" + HASH + b"\n" + HASH + b"\n\n" + NOTE
LINE = "— witness.example/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"


def test_a_request_is_written_as_the_specification_shows_it() -> None:
    request = Request(old=20852014, proof=(bytes(range(32)),) * 2, note=NOTE)
    assert format_request(request) == GOOD
    assert parse_request(GOOD) == request


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.binary())
def test_a_request_is_read_as_it_was_written(old: int, proof: list[bytes], note: bytes) -> None:
    request = Request(old=old, proof=tuple(proof), note=note)
    assert parse_request(format_request(request)) == request


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 1\n",
        b"old 1\n" + NOTE.replace(b"\n\n", b"\n"),
        b"new 1\n\n" + NOTE,
        b"old  1\n\n" + NOTE,
        b"old 01\n\n" + NOTE,
        b"old +1\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"old\n\n" + NOTE,
        b"old 1 \n\n" + NOTE,
        b"old 9223372036854775808\n\n" + NOTE,
        "old ١\n\n".encode() + NOTE,
        b"old 1\r\n\n" + NOTE,
        b"old 1\n" + HASH[:-2] + b"\n\n" + NOTE,
        b"old 1\n" + HASH.replace(b"=", b"") + b"\n\n" + NOTE,
        b"old 1\n " + HASH + b"\n\n" + NOTE,
        b"old 1\n" + base64.b64encode(bytes(31)) + b"\n\n" + NOTE,
        b"old 1\n" + (HASH + b"\n") * 64 + b"\n" + NOTE,
        GOOD + b"x" * LONGEST_REQUEST,
    ],
)
def test_a_malformed_request_is_refused(body: bytes) -> None:
    with pytest.raises(WitnessError):
        parse_request(body)


def test_a_proof_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(WitnessError):
        format_request(Request(old=1, proof=(bytes(32),) * 64, note=NOTE))


def test_an_answer_is_read_as_it_was_written() -> None:
    assert parse_answer(format_answer([LINE, LINE])) == [LINE, LINE]


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", LINE.encode(), b"- " + LINE[2:].encode() + b"\n", f"{LINE}\n\n{LINE}\n".encode(),
     (LINE + "\n").encode() * 17, b"\xff\n", f"{LINE}\r\n".encode(), f"{LINE} x\n".encode()],
)  # fmt: skip
def test_a_malformed_answer_is_refused(body: bytes) -> None:
    with pytest.raises(WitnessError):
        parse_answer(body)


def test_the_size_of_a_conflict_is_read_as_it_was_written() -> None:
    assert parse_size(format_size(0)) == 0
    assert parse_size(format_size(2**63 - 1)) == 2**63 - 1
    for body in (b"", b"1", b"01\n", b"1\n\n", b" 1\n", b"-1\n", b"9223372036854775808\n", b"\xff\n", b"1\r\n"):
        with pytest.raises(WitnessError):
            parse_size(body)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_and_never_crash(junk: bytes) -> None:
    for read in (parse_request, parse_answer):
        with pytest.raises(WitnessError):
            read(junk)
