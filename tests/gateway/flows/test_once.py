"""A request and its repeats: the first answer again, another body told, and nothing stored that names a person."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from gateway.errors import DocumentErased, RequestIdReused
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.rules.admission import Operator
from gateway.rules.roles import Caller, Role
from ledger import BlindIndex, Draft, Ledger, open_store
from ledger.canonical import Json, canonical
from ledger.log import schema
from ledger.vault.remnants import clear_remnants
from tests.ledger.house import START, House, answered, as_now, build, new_record, submission
from tests.ledger.vault.recorded import files_of, holds

INDEX = BlindIndex(key=bytes(range(32)), version=1)
CALLER = Caller(id="civil", unit="u", roles=frozenset({Role.CLERK}))
NUMBER = "230199198001010072"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    url = f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return build(url, tmp_path)


@pytest.fixture
def ledger(house: House) -> Iterator[Ledger]:
    with house.open() as opened:
        yield opened


def body(number: str = NUMBER) -> dict[str, Json]:
    return {"method": "Verify", "subject": {"id_type": "resident-id", "id_number": number, "name": "示例甲"}}


def request(asked: dict[str, Json], number: int = 1) -> Request:
    operator = Operator(person="clerk-01", unit="u")
    return Request(caller=CALLER, operator=operator, request_id=UUID(int=number << 80), body=asked)


async def record(ledger: Ledger, asked: Request) -> Recorded:
    draft = answered(new_record(), **{REQUEST: asked.body})
    return await Once(ledger, INDEX).record(asked, [draft], at=START)


def digests(house: House) -> list[bytes]:
    store = open_store(house.url, readers=1)
    try:
        with store.reading() as connection:
            return [bytes(one) for one in connection.execute(select(schema.idempotency.c.body_digest)).scalars()]
    finally:
        store.close()


async def test_what_is_stored_of_a_body_cannot_be_guessed_without_the_key(house: House, ledger: Ledger) -> None:
    await record(ledger, request(body()))
    (stored,) = digests(house)
    content = canonical(body())
    derived = hmac.digest(INDEX.key, b"chengxin/ledger/v1/digest-key", "sha256")
    assert stored == hmac.digest(derived, content, "sha256")
    assert stored not in (hashlib.sha256(content).digest(), hmac.digest(INDEX.key, content, "sha256"))


async def test_a_repeat_has_the_first_answer_and_another_body_is_told_by_field(ledger: Ledger) -> None:
    first = await record(ledger, request(body()))
    once = Once(ledger, INDEX)
    repeated = await once.replay(request(body()))
    assert repeated is not None
    assert (repeated.first, repeated.entries, repeated.replayed) == (first.first, first.entries, True)
    with pytest.raises(RequestIdReused) as reused:
        await once.replay(request(body("230199198001010080")))
    assert reused.value.fields == ("subject.id_number",)
    with pytest.raises(RequestIdReused):
        await record(ledger, request(body("230199198001010080")))
    assert await once.replay(request(body(), 2)) is None


async def test_of_an_erased_request_no_digest_is_left_and_every_repeat_is_told(house: House) -> None:
    with house.open() as ledger:
        erased, kept = [await record(ledger, request(body(), number)) for number in (1, 2)]
        await ledger.append(
            submission(Draft(kind="DocumentErased", record=new_record()), erase=as_now(ledger, erased.record))
        )
        gone, left = digests(house)
    assert gone == left == INDEX.digest(canonical(body()))
    clear_remnants(house.url)
    assert sorted(digests(house)) == [b"", left]
    with house.open() as ledger:
        once = Once(ledger, INDEX)
        for asked in (body(), body("230199198001010080")):
            with pytest.raises(DocumentErased):
                await once.replay(request(asked, 1))
        repeated = await once.replay(request(body(), 2))
        assert repeated is not None
        assert repeated.entries == kept.entries


async def test_clearing_takes_unkeyed_digests_of_what_was_erased_from_every_file(tmp_path: Path) -> None:
    """An older version wrote digests that can be guessed: they go with the documents that were erased."""
    house = build(f"sqlite:///{tmp_path}/ledger.db", tmp_path)
    with house.open() as ledger:
        gone, left = (new_record() for _ in range(2))
        for number, one in enumerate((gone, left)):
            asked = canonical(body(f"{number}"))
            await ledger.append(submission(answered(one, **{REQUEST: "x"}), key=bytes([number]) * 22, body=asked))
        await ledger.append(submission(Draft(kind="DocumentErased", record=new_record()), erase=as_now(ledger, gone)))
    clear_remnants(house.url)
    first, second = (hashlib.sha256(canonical(body(f"{number}"))).digest() for number in range(2))
    assert not any(holds(file, first) for file in files_of(house))
    assert any(holds(file, second) for file in files_of(house))
