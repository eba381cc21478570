"""Erasure by order: two people, everything legible gone from the files and from later backups, every proof valid."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.engine import URL, make_url

from ledger import (
    AlreadyClaimed,
    Draft,
    Erased,
    ErasureRefused,
    KeyFileError,
    Ledger,
    RemnantsLeft,
    Submission,
    TransitionRefused,
    verify_receipt,
)
from ledger.log import schema
from ledger.log.store import Store, open_store
from ledger.merkle import hash_leaf
from ledger.vault.erasure import (
    Doomed,
    ErasureOrder,
    Proposal,
    approve_erasure,
    examine_order,
    propose_erasure,
    read_proposal,
    reject_erasure,
    related_records,
)
from ledger.vault.holds import HoldOrder, count_held, place_hold, release_hold
from ledger.vault.officers import Officer, Officers, OfficerSigner, read_public_key, write_officer_key
from ledger.vault.remnants import clear_remnants
from tests import postgres
from tests.ledger.house import ORIGIN, START, House, as_now, build, erasing, new_record, submission
from tests.ledger.vault.recorded import (
    FIRST,
    FIRST_SIGNER,
    OFFICERS,
    SECOND,
    SECOND_SIGNER,
    dump,
    files_of,
    fill,
    holds,
    indices,
    order,
    secret,
)


def examine(house: House, asked: ErasureOrder) -> tuple[Doomed, ...]:
    store = open_store(house.url, readers=1)
    try:
        return examine_order(store, asked)
    finally:
        store.close()


def propose(
    ledger: Ledger, asked: ErasureOrder, doomed: tuple[Doomed, ...], *, by: OfficerSigner = FIRST_SIGNER
) -> Proposal:
    record = os.urandom(16)
    ledger.append_blocking(propose_erasure(asked, doomed, by=by, origin=ORIGIN, record=record, at=START))
    index = ledger.size() - 1
    return read_proposal(record, hash_leaf(ledger.entry(index)), ledger.document(index))


def approval(
    proposal: Proposal,
    doomed: tuple[Doomed, ...],
    *,
    by: OfficerSigner = SECOND_SIGNER,
    officers: Officers = OFFICERS,
    origin: str = ORIGIN,
) -> Submission:
    return approve_erasure(proposal, doomed, by=by, officers=officers, origin=origin, at=START)


def carry_out(house: House, ledger: Ledger, asked: ErasureOrder) -> bytes:
    doomed = examine(house, asked)
    return ledger.append_blocking(approval(propose(ledger, asked, doomed), doomed)).receipts[0]


@pytest.fixture
def store(house: House) -> Store:
    return open_store(house.url, readers=1)


def test_an_order_is_carried_out_and_every_proof_old_and_new_stays_valid(house: House, opened: Ledger) -> None:
    one, other = fill(opened, 2)
    old = [opened.receipt(idx) for idx in indices(opened, one)]
    receipt = carry_out(house, opened, order(one))
    entry = verify_receipt(receipt, [house.signer.verifier], ORIGIN).entry
    assert entry.kind == "DocumentErased"
    for text in ("张三", "李四", FIRST.number, "个人信息保护法", one.hex()):
        assert text.encode() not in opened.entry(opened.size() - 1)
    for proof in (*old, *(opened.receipt(idx) for idx in range(opened.size()))):
        verify_receipt(proof, [house.signer.verifier], ORIGIN)
    assert all(isinstance(opened.document(idx), Erased) for idx in indices(opened, one))
    assert not any(isinstance(opened.document(idx), Erased) for idx in indices(opened, other))
    document = opened.document(opened.size() - 1)
    assert not isinstance(document, Erased)
    assert document["erased"].value == [one.hex()]
    assert document["order"].value == {
        "basis": "《个人信息保护法》第四十七条",
        "document-number": "黑数删〔2026〕7号",
        "first-number": FIRST.number,
        "first-name": FIRST.name,
        "second-number": SECOND.number,
        "second-name": SECOND.name,
    }


def test_nothing_legible_is_left_in_the_sqlite_files_or_in_a_later_backup(sqlite_house: House) -> None:
    with sqlite_house.open() as ledger:
        records = fill(ledger, 40)
        secrets = [secret(sqlite_house.url, ledger, record) for record in records[::2]]
        kept = secret(sqlite_house.url, ledger, records[1])
        carry_out(sqlite_house, ledger, order(*(one.record for one in secrets)))
    clear_remnants(sqlite_house.url)
    path = str(make_url(sqlite_house.url).database)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(path + ".backup")) as backup:
        source.backup(backup)
    files = files_of(sqlite_house)
    assert any(file.name.endswith(".backup") for file in files)
    assert_gone(files, [needle for one in secrets for needle in one.needles])
    stored = (*kept.keys, *kept.texts[:-1])
    assert all(sum(holds(file, needle) for file in files) == 2 for needle in stored)
    assert not any(holds(file, kept.texts[-1]) for file in files)


def assert_gone(files: list[Path], needles: list[bytes]) -> None:
    contents = [file.read_bytes() for file in files]
    for needle in needles:
        for content in contents:
            assert needle not in content
            assert needle.hex().encode() not in content


@pytest.fixture
def new_postgres_url(postgres_server: URL) -> Iterator[str]:
    """The SQLAlchemy URL of a database that nobody had before."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.mark.postgres
def test_nothing_legible_is_left_in_the_postgresql_files_or_in_a_later_dump(
    new_postgres_url: str, tmp_path: Path
) -> None:
    house = build(new_postgres_url, tmp_path)
    with house.open() as ledger:
        records = fill(ledger, 40)
        secrets = [secret(house.url, ledger, record) for record in records[::2]]
        kept = secret(house.url, ledger, records[1])
        carry_out(house, ledger, order(*(one.record for one in secrets)))
    needles = [needle for one in secrets for needle in one.needles]
    clear_remnants(house.url)
    dumped = dump(house.url, tmp_path / "dump.sql")
    assert_gone([dumped], needles)
    assert all(holds(dumped, needle) for needle in (*kept.keys, *kept.texts[:-1]))
    if "host" not in make_url(new_postgres_url).query:
        pytest.skip("the files of a server given by TEST_POSTGRES_URL are not at hand")
    flush(new_postgres_url)
    assert_gone(files_of(house), [needle for one in secrets for needle in (*one.keys, one.texts[-1])])
    clear_remnants(house.url, rewrite="all")
    flush(new_postgres_url)
    assert_gone(files_of(house), needles)
    assert all(any(holds(file, needle) for file in files_of(house)) for needle in kept.keys)


def flush(url: str) -> None:
    """Have PostgreSQL write its pages to its files."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def test_an_order_that_is_wrong_in_every_way_is_refused_with_every_mistake(
    house: House, opened: Ledger, store: Store
) -> None:
    unknown = bytes(16)
    wrong = order(unknown, unknown, b"short", basis=" \u3164", document_number="")
    with pytest.raises(ErasureRefused) as caught:
        examine_order(store, wrong)
    assert caught.value.mistakes == [
        "a record is given twice",
        "the basis is empty or longer than 1000",
        "the document number is empty or longer than 1000",
        f"record {unknown.hex()} is unknown",
        f"record {b'short'.hex()} is unknown",
    ]
    assert opened.size() == 0
    store.close()


def test_a_proposal_destroys_nothing_and_stands_in_the_log(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    proposal = propose(opened, order(record), examine(house, order(record)))
    assert not any(isinstance(opened.document(idx), Erased) for idx in indices(opened, record))
    entry = verify_receipt(opened.receipt(opened.size() - 1), [house.signer.verifier], ORIGIN).entry
    assert (entry.kind, entry.record) == ("ErasureProposed", proposal.record)
    for text in (FIRST.name, FIRST.number, record.hex()):
        assert text.encode() not in opened.entry(opened.size() - 1)
    row = opened.register().get(proposal.record)
    assert row is not None
    assert row.state == "ERASURE_PROPOSED"


def test_who_proposed_cannot_carry_it_out(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    doomed = examine(house, order(record))
    with pytest.raises(ErasureRefused, match="one person cannot erase alone"):
        approval(propose(opened, order(record), doomed), doomed, by=FIRST_SIGNER)
    assert opened.size() == 4


def stranger(number: str = "230100-99", name: str = "王五") -> OfficerSigner:
    return OfficerSigner(Officer(number=number, name=name), Ed25519PrivateKey.generate())


@pytest.mark.parametrize("by", [stranger(), stranger(SECOND.number, SECOND.name)])
def test_a_key_that_is_not_registered_for_its_officer_cannot_carry_it_out(
    house: House, opened: Ledger, by: OfficerSigner
) -> None:
    (record,) = fill(opened, 1)
    doomed = examine(house, order(record))
    with pytest.raises(ErasureRefused, match="registered officer"):
        approval(propose(opened, order(record), doomed), doomed, by=by)


def test_a_proposal_by_a_stranger_is_worth_nothing(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    doomed = examine(house, order(record))
    for by in (stranger(), stranger(FIRST.number, FIRST.name)):
        proposal = propose(opened, order(record), doomed, by=by)
        with pytest.raises(ErasureRefused, match="registered officer"):
            approval(proposal, doomed)


@pytest.mark.parametrize(
    "change",
    [
        {"record": bytes(16)},
        {"newest": {bytes(16): 0}},
        {"order": order(b"", basis="另一依据")},
    ],
)
def test_a_proposal_that_is_not_what_was_signed_is_refused(
    house: House, opened: Ledger, change: dict[str, object]
) -> None:
    (record,) = fill(opened, 1)
    doomed = examine(house, order(record))
    proposal = propose(opened, order(record), doomed)
    with pytest.raises(ErasureRefused, match="signature does not hold"):
        approval(replace(proposal, **change), doomed)  # type: ignore[arg-type]
    with pytest.raises(ErasureRefused, match="signature does not hold"):
        approval(proposal, doomed, origin="another.example/log")


def test_a_record_that_went_on_since_it_was_proposed_is_refused(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    proposal = propose(opened, order(record), examine(house, order(record)))
    opened.append_blocking(submission(Draft(kind="CommitmentRequeried", record=record, groups={"again": "新"})))
    with pytest.raises(ErasureRefused, match="went on since"):
        approval(proposal, examine(house, order(record)))


def test_neither_more_nor_less_is_erased_than_was_proposed(house: House, opened: Ledger) -> None:
    one, other = fill(opened, 2)
    proposal = propose(opened, order(one, other), examine(house, order(one, other)))
    for doomed in (examine(house, order(one)), ()):
        with pytest.raises(ErasureRefused, match="other records than were proposed"):
            approval(proposal, doomed)


def test_a_rejected_proposal_cannot_be_carried_out(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    doomed = examine(house, order(record))
    proposal = propose(opened, order(record), doomed)
    opened.append_blocking(reject_erasure(proposal, by=SECOND_SIGNER, officers=OFFICERS, origin=ORIGIN, at=START))
    with pytest.raises(TransitionRefused):
        opened.append_blocking(approval(proposal, doomed))
    with pytest.raises(ErasureRefused, match="registered officer"):
        reject_erasure(proposal, by=stranger(), officers=OFFICERS, origin=ORIGIN, at=START)
    assert not any(isinstance(opened.document(idx), Erased) for idx in indices(opened, record))


def test_what_is_no_proposal_is_not_read_as_one(opened: Ledger) -> None:
    fill(opened, 1)
    with pytest.raises(ErasureRefused, match="no proposal"):
        read_proposal(bytes(16), bytes(32), opened.document(0))


@pytest.mark.parametrize(
    "others",
    [
        [(Officer(number=FIRST.number, name="李四"), b"\x01" * 32)],
        [(Officer(number="２３０１００-０７ ", name="李四"), b"\x01" * 32)],
        [(Officer(number="230100\u201007", name="李四"), b"\x01" * 32)],
        [(Officer(number="230100-\u200b07", name="李四"), b"\x01" * 32)],
        [(Officer(number="230100-99", name=" 张 三"), b"\x01" * 32)],
        [(SECOND, b"\x00" * 32)],
    ],
)
def test_officers_who_could_be_one_person_cannot_be_registered(others: list[tuple[Officer, bytes]]) -> None:
    with pytest.raises(ErasureRefused, match="the same number, name or key"):
        Officers([(FIRST, b"\x00" * 32), *others])


def test_an_officers_key_is_written_closed_and_opens_for_its_officer(tmp_path: Path) -> None:
    path = tmp_path / "07.key"
    (tmp_path / "07.pub").write_bytes(write_officer_key(path, "口令".encode()))
    assert path.stat().st_mode & 0o777 == 0o600
    signer = OfficerSigner.load(path, FIRST, "口令".encode())
    officers = Officers([(FIRST, read_public_key(tmp_path / "07.pub"))])
    officers.verify(signer.sign({"a": 1}), {"a": 1})
    with pytest.raises(ErasureRefused, match="does not hold"):
        officers.verify(signer.sign({"a": 1}), {"a": 2})
    for wrong in (None, b"x"):
        with pytest.raises(KeyFileError):
            OfficerSigner.load(path, FIRST, wrong)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="lets others in"):
        OfficerSigner.load(path, FIRST, "口令".encode())
    with pytest.raises(KeyFileError, match="public key"):
        read_public_key(path)
    with pytest.raises(KeyFileError, match="overwritten"):
        write_officer_key(path, None)
    with pytest.raises(ErasureRefused, match="not that of a registered officer"):
        officers.named("99")


HOLD = HoldOrder(basis="监察机关通知", document_number="监〔2026〕1号", person="07")


def test_what_is_held_is_not_erased_until_it_is_released(house: House, opened: Ledger) -> None:
    subject = b"\x01" * 33
    one, other, free = (os.urandom(16) for _ in range(3))
    for record, facts in ((one, {}), (other, {"subject": subject.hex()}), (free, {})):
        opened.append_blocking(
            submission(Draft(kind="VerificationAnswered", record=record, groups={"a": 1}, facts=facts))
        )
    held = [os.urandom(16), os.urandom(16)]
    opened.append_blocking(place_hold(HOLD, record=held[0], at=START, held=one))
    opened.append_blocking(place_hold(HOLD, record=held[1], at=START, subject=subject))
    with pytest.raises(ErasureRefused) as caught:
        examine(house, order(one, other, free))
    assert sorted(caught.value.mistakes) == sorted(
        f"record {record.hex()} is under a legal hold" for record in (one, other)
    )
    for hold in held:
        opened.append_blocking(release_hold(HOLD, hold, START))
    assert len(examine(house, order(one, other, free))) == 3
    with pytest.raises(TransitionRefused):
        opened.append_blocking(release_hold(HOLD, held[0], START))


def test_a_hold_placed_after_the_proposal_still_keeps_the_documents(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    propose(opened, order(record), examine(house, order(record)))
    opened.append_blocking(place_hold(HOLD, record=os.urandom(16), at=START, held=record))
    with pytest.raises(ErasureRefused, match="legal hold"):
        examine(house, order(record))


def case(ledger: Ledger) -> dict[str, bytes]:
    """A verification, two commitments upon it, and what came of the first: each record hangs on the one it names."""
    kinds = {
        "verification": ("VerificationAnswered", ""), "commitment": ("CommitmentPrepared", "verification"),
        "other": ("CommitmentPrepared", "verification"), "finding": ("DiscrepancyFound", "commitment"),
        "report": ("ReportIssued", "finding"), "stranger": ("VerificationAnswered", ""),
    }  # fmt: skip
    records: dict[str, bytes] = {}
    for name, (kind, parent) in kinds.items():
        records[name] = new_record()
        facts = {"parent": records[parent].hex()} if parent else {}
        if name == "commitment":
            facts["subject"] = PERSON.hex()
        draft = Draft(kind=kind, record=records[name], groups={"a": name}, facts=facts)  # type: ignore[arg-type]
        ledger.append_blocking(submission(draft))
    return records


PERSON = b"\x01" * 33
LINE = ("verification", "commitment", "finding", "report")
KEPT = {
    "verification": (*LINE, "other"),
    "commitment": LINE,
    "other": ("verification", "other"),
    "finding": LINE,
    "report": LINE,
    "the person": LINE,
}


@pytest.mark.parametrize("held", KEPT)
def test_a_hold_keeps_what_a_record_rests_on_and_what_came_of_it(
    house: House, opened: Ledger, store: Store, held: str
) -> None:
    records, hold = case(opened), new_record()
    on = hold_on(bytes(16), PERSON, hold=hold) if held == "the person" else hold_on(records[held], None, hold=hold)
    looked = {name: as_now(opened, record) for name, record in records.items()}
    opened.append_blocking(on)
    assert count_held(store, hold) == len(KEPT[held])
    store.close()
    for name, record in records.items():
        if name in KEPT[held]:
            with pytest.raises(ErasureRefused, match="legal hold"):
                examine(house, order(record))
            with pytest.raises(ErasureRefused, match=f"{record.hex()} is under a legal hold"):
                opened.append_blocking(submission(erase=looked[name]))
        else:
            assert len(examine(house, order(record))) == 1
            opened.append_blocking(erasing(opened, record))
    opened.append_blocking(release_hold(HOLD, hold, START))
    opened.append_blocking(erasing(opened, *(records[name] for name in KEPT[held])))


async def test_a_hold_upon_kin_that_is_made_at_the_same_moment_is_seen(house: House, opened: Ledger) -> None:
    record, finding = new_record(), new_record()
    opened.append_blocking(submission(Draft(kind="CommitmentPrepared", record=record, groups={"a": 1})))
    found = Draft(kind="DiscrepancyFound", record=finding, facts={"parent": record.hex()})
    erase = submission(erase=as_now(opened, record))

    answers = await asyncio.gather(
        opened.append(submission(found)), opened.append(hold_on(finding, None)), opened.append(erase),
        return_exceptions=True,
    )  # fmt: skip

    assert isinstance(answers[2], ErasureRefused)


CLAIM = {"case_key": "0c" * 32, "item": "i", "subject": PERSON.hex()}
RESTS = ("first", "request", "second", "check", "last", "commitment", "finding")
UNLIKE = {"other item": {"item": "j"}, "other person": {"subject": "02" * 33}, "other case": {"case_key": "0d" * 32}}


def helped(ledger: Ledger, *, committed: bool = True) -> dict[str, bytes]:
    """Answers about one claim, what people found after the earlier ones, and on request a commitment upon the last;
    beside them what people found about other claims."""
    kinds = {
        "first": ("VerificationAnswered", ""), "request": ("AssistanceSent", "first"),
        "second": ("VerificationAnswered", ""), "check": ("CheckRecorded", "second"),
        "last": ("VerificationAnswered", ""), "commitment": ("CommitmentPrepared", "last"),
        "finding": ("DiscrepancyFound", "commitment"),
    }  # fmt: skip
    records: dict[str, bytes] = {}
    for name, (kind, parent) in [*kinds.items(), *((name, ("CheckRecorded", "")) for name in UNLIKE)]:
        if committed or name not in ("commitment", "finding"):
            records[name] = new_record()
            facts = {**CLAIM, **UNLIKE.get(name, {}), **({"parent": records[parent].hex()} if parent else {})}
            draft = Draft(kind=kind, record=records[name], groups={"a": name}, facts=facts)  # type: ignore[arg-type]
            ledger.append_blocking(submission(draft))
    return records


def kept_by(house: House, ledger: Ledger, records: dict[str, bytes], hold: Submission) -> set[str]:
    """Place a hold, tell which records it keeps, and release it: who is told beforehand is refused then."""
    ledger.append_blocking(hold)
    told = {name for name, record in records.items() if is_held(lambda one=record: examine(house, order(one)))}
    refused = {name for name, record in records.items() if is_held(lambda one=record: erase_in_vain(ledger, one))}
    assert told == refused
    ledger.append_blocking(release_hold(HOLD, hold.drafts[0].record, START))
    return told


def is_held(act: Callable[[], object]) -> bool:
    try:
        act()
    except ErasureRefused as refusal:
        return "legal hold" in str(refusal)
    return False


def erase_in_vain(ledger: Ledger, record: bytes) -> None:
    """Try to erase a record together with one that went on: is the record refused too?"""
    with pytest.raises(ErasureRefused) as caught:
        ledger.append_blocking(submission(erase=(*as_now(ledger, record), (bytes(16), 0))))
    told = [mistake for mistake in caught.value.mistakes if record.hex() in mistake]
    if told:
        raise ErasureRefused(told)


@pytest.mark.parametrize("held", [*RESTS, "the person"])
def test_a_hold_keeps_what_people_found_for_a_commitment(house: House, opened: Ledger, held: str) -> None:
    records = helped(opened)
    if held == "the person":
        assert kept_by(house, opened, records, hold_on(b"", PERSON)) == {*RESTS, "other item", "other case"}
    else:
        assert kept_by(house, opened, records, hold_on(records[held], None)) == {*RESTS}


def test_a_hold_counts_what_people_found(opened: Ledger, store: Store) -> None:
    records, hold = helped(opened), new_record()
    opened.append_blocking(hold_on(records["commitment"], None, hold=hold))
    assert count_held(store, hold) == len(RESTS)
    store.close()


def test_without_a_commitment_what_people_found_hangs_on_its_verification_alone(house: House, opened: Ledger) -> None:
    records = helped(opened, committed=False)
    assert kept_by(house, opened, records, hold_on(records["request"], None)) == {"first", "request"}
    assert kept_by(house, opened, records, hold_on(records["last"], None)) == {"last"}


def test_an_erased_commitment_rests_on_nothing(house: House, opened: Ledger) -> None:
    records = helped(opened)
    opened.append_blocking(erasing(opened, records["commitment"]))
    left = {name: record for name, record in records.items() if name != "commitment"}
    assert kept_by(house, opened, left, hold_on(records["last"], None)) == {"last"}
    assert kept_by(house, opened, left, hold_on(records["check"], None)) == {"second", "check"}


async def test_a_commitment_that_is_made_at_the_same_moment_keeps_what_people_found(
    house: House, opened: Ledger
) -> None:
    records, commitment = helped(opened, committed=False), new_record()
    opened.append_blocking(hold_on(records["last"], None))
    facts = {**CLAIM, "parent": records["last"].hex()}
    made = Draft(kind="CommitmentPrepared", record=commitment, facts=facts)  # type: ignore[arg-type]
    erase = submission(erase=as_now(opened, records["request"]))

    answers = await asyncio.gather(opened.append(submission(made)), opened.append(erase), return_exceptions=True)

    assert isinstance(answers[1], ErasureRefused)


def hold_on(record: bytes, subject: bytes | None, *, hold: bytes | None = None) -> Submission:
    held = {"held": record} if subject is None else {"subject": subject}
    return place_hold(HOLD, record=hold or new_record(), at=START, **held)


def approved(house: House, ledger: Ledger, subject: bytes | None) -> tuple[bytes, Submission]:
    """A record of a person, and what is appended to erase it, as the second officer sees it when asked for a yes."""
    record = new_record()
    facts = {} if subject is None else {"subject": subject.hex()}
    ledger.append_blocking(
        submission(Draft(kind="CommitmentPrepared", record=record, groups={"a": "旧"}, facts=facts))  # type: ignore[arg-type]
    )
    doomed = examine(house, order(record))
    return record, approval(propose(ledger, order(record), doomed), doomed)


def test_what_came_after_the_officer_looked_is_not_erased(house: House, opened: Ledger) -> None:
    record, carried_out = approved(house, opened, None)
    opened.append_blocking(submission(Draft(kind="CommitmentRecorded", record=record, groups={"signed": "新"})))
    with pytest.raises(ErasureRefused) as caught:
        opened.append_blocking(carried_out)
    assert caught.value.mistakes == [f"record {record.hex()} went on meanwhile"]
    assert not any(isinstance(opened.document(idx), Erased) for idx in range(opened.size()))


HELD = pytest.mark.parametrize("subject", [None, b"\x01" * 33], ids=["record", "person"])


@HELD
def test_a_hold_placed_after_the_officer_looked_keeps_the_documents(
    house: House, opened: Ledger, store: Store, subject: bytes | None
) -> None:
    record, carried_out = approved(house, opened, subject)
    hold = new_record()
    opened.append_blocking(hold_on(record, subject, hold=hold))
    with pytest.raises(ErasureRefused) as caught:
        opened.append_blocking(carried_out)
    assert caught.value.mistakes == [f"record {record.hex()} is under a legal hold"]
    assert not isinstance(opened.document(0), Erased)
    assert count_held(store, hold) == 1
    opened.append_blocking(release_hold(HOLD, hold, START))
    assert count_held(store, hold) == 0
    store.close()
    opened.append_blocking(carried_out)
    assert isinstance(opened.document(0), Erased)


@HELD
def test_a_hold_placed_after_the_erasure_tells_that_it_keeps_nothing(
    house: House, opened: Ledger, store: Store, subject: bytes | None
) -> None:
    record, carried_out = approved(house, opened, subject)
    opened.append_blocking(carried_out)
    hold = new_record()
    opened.append_blocking(hold_on(record, subject, hold=hold))
    assert count_held(store, hold) == 0
    store.close()
    assert isinstance(opened.document(0), Erased)


@HELD
@pytest.mark.parametrize("first", ["hold", "erasure"])
async def test_of_a_hold_and_an_erasure_at_one_moment_the_first_is_seen_by_the_second(
    house: House, opened: Ledger, store: Store, subject: bytes | None, first: str
) -> None:
    record, carried_out = approved(house, opened, subject)
    hold = new_record()
    held = hold_on(record, subject, hold=hold)
    both = (held, carried_out) if first == "hold" else (carried_out, held)
    answers = await asyncio.gather(*(opened.append(one) for one in both), return_exceptions=True)
    assert isinstance(opened.document(0), Erased) == (first == "erasure")
    assert isinstance(answers[1], ErasureRefused) == (first == "hold")
    assert count_held(store, hold) == (1 if first == "hold" else 0)
    store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("first", ["hold", "erasure"])
def test_a_hold_and_an_erasure_from_two_processes_see_each_other(postgres_url: str, tmp_path: Path, first: str) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as gateway, house.open() as officer:
        record, carried_out = approved(house, officer, None)
        if first == "hold":
            gateway.append_blocking(hold_on(record, None))
            with pytest.raises(ErasureRefused, match="legal hold"):
                officer.append_blocking(carried_out)
        else:
            officer.append_blocking(carried_out)
            gateway.append_blocking(hold_on(record, None))
        assert isinstance(gateway.document(0), Erased) == (first == "erasure")


async def test_a_release_in_the_same_batch_frees_what_was_held(house: House, opened: Ledger) -> None:
    record, carried_out = approved(house, opened, None)
    hold = new_record()
    opened.append_blocking(hold_on(record, None, hold=hold))
    await asyncio.gather(opened.append(release_hold(HOLD, hold, START)), opened.append(carried_out))
    assert isinstance(opened.document(0), Erased)


def test_the_document_of_a_hold_in_force_is_held_itself(house: House, opened: Ledger) -> None:
    record, _ = approved(house, opened, None)
    hold = new_record()
    opened.append_blocking(hold_on(record, None, hold=hold))
    with pytest.raises(ErasureRefused, match="legal hold"):
        examine(house, order(hold))
    with pytest.raises(ErasureRefused, match="legal hold"):
        opened.append_blocking(submission(erase=as_now(opened, hold)))


def test_a_submission_cannot_erase_what_it_appends_to_or_what_is_not_there(house: House, opened: Ledger) -> None:
    record, absent = new_record(), new_record()
    opened.append_blocking(submission(Draft(kind="CommitmentPrepared", record=record, groups={"a": 1})))
    draft = Draft(kind="CommitmentRecorded", record=record, groups={"b": 1})
    with pytest.raises(ErasureRefused) as caught:
        opened.append_blocking(submission(draft, erase=(*as_now(opened, record), (absent, 0))))
    assert caught.value.mistakes == [f"record {one.hex()} went on meanwhile" for one in (record, absent)]
    assert opened.size() == 1


def test_who_shares_the_ledger_is_told_every_reason_too(sqlite_house: House) -> None:
    with sqlite_house.shared() as ledger:
        record, carried_out = approved(sqlite_house, ledger, None)
        ledger.append_blocking(submission(Draft(kind="CommitmentRecorded", record=record)))
        ledger.append_blocking(hold_on(record, None))
        with pytest.raises(ErasureRefused) as caught:
            ledger.append_blocking(carried_out)
        assert len(caught.value.mistakes) == 2
        assert not isinstance(ledger.document(0), Erased)


def test_a_hold_without_a_ground_is_refused_with_every_mistake() -> None:
    with pytest.raises(ErasureRefused) as caught:
        place_hold(HoldOrder(basis="", document_number=" ", person=""), record=bytes(16), at=START)
    assert len(caught.value.mistakes) == 4


def test_a_refusal_names_no_person(store: Store, opened: Ledger) -> None:
    with pytest.raises(ErasureRefused) as caught:
        examine_order(store, order(bytes(16)))
    store.close()
    assert FIRST.name not in str(caught.value)
    assert FIRST.number not in str(caught.value)
    assert FIRST.name not in repr(FIRST_SIGNER.sign(1))
    assert "个人信息" not in repr(order(bytes(16)))


def test_erasing_twice_is_refused(house: House, opened: Ledger, store: Store) -> None:
    (record,) = fill(opened, 1)
    carry_out(house, opened, order(record))
    with pytest.raises(ErasureRefused, match="no document left"):
        examine_order(store, order(record))
    store.close()
    assert opened.size() == 5


def test_of_two_orders_for_the_same_documents_at_once_one_is_refused(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    doomed = examine(house, order(record))
    proposals = [propose(opened, order(record), doomed) for _ in range(2)]
    opened.append_blocking(approval(proposals[0], doomed))
    with pytest.raises(AlreadyClaimed):
        opened.append_blocking(approval(proposals[1], doomed))
    assert opened.size() == 6


def test_a_document_that_came_after_an_erasure_can_be_erased_too(house: House, opened: Ledger) -> None:
    record = new_record()
    opened.append_blocking(submission(Draft(kind="CommitmentPrepared", record=record, groups={"a": "旧"})))
    carry_out(house, opened, order(record))
    opened.append_blocking(submission(Draft(kind="CommitmentExpired", record=record, groups={"again": "新"})))
    carry_out(house, opened, order(record))
    assert all(isinstance(opened.document(idx), Erased) for idx in indices(opened, record))


def test_a_failed_erasure_destroys_nothing(house: House, opened: Ledger) -> None:
    (record,) = fill(opened, 1)
    doomed = examine(house, order(record))
    taken = approval(propose(opened, order(record), doomed), doomed)
    opened.append_blocking(submission(claim_keys=((taken.claim_keys[0][0], os.urandom(16)),)))
    with pytest.raises(AlreadyClaimed):
        opened.append_blocking(taken)
    assert not any(isinstance(opened.document(idx), Erased) for idx in indices(opened, record))


def test_a_reader_that_needs_old_pages_makes_cleaning_fail_aloud(
    sqlite_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_house.open() as ledger:
        (record,) = fill(ledger, 1)
        path = str(make_url(sqlite_house.url).database)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM vault_key").fetchone()
            carry_out(sqlite_house, ledger, order(record))
            ledger.close()
            with pytest.raises(RemnantsLeft, match="reader"):
                clear_remnants(sqlite_house.url)
    clear_remnants(sqlite_house.url)


def test_a_persons_records_are_found_with_those_that_hang_on_them(house: House, opened: Ledger, store: Store) -> None:
    subject, first, child, grandchild, stranger = b"\x01" * 33, *(os.urandom(16) for _ in range(4))
    for record, facts in (
        (first, {"subject": subject.hex()}),
        (child, {"parent": first.hex()}),
        (grandchild, {"parent": child.hex(), "subject": subject.hex()}),
        (stranger, {"subject": "02" * 33}),
    ):
        opened.append_blocking(submission(Draft(kind="VerificationAnswered", record=record, facts=facts)))
    assert set(related_records(store, subject)) == {first, child, grandchild}
    assert related_records(store, b"\x03" * 33) == ()
    store.close()


def test_destroyed_keys_are_null_and_say_when(house: House, opened: Ledger, store: Store) -> None:
    (record,) = fill(opened, 1)
    carry_out(house, opened, order(record))
    with store.reading() as connection:
        rows = connection.execute(select(schema.vault_key).order_by(schema.vault_key.c.idx)).all()
    store.close()
    assert [(row.wrapped is None, row.destroyed_at is None) for row in rows] == [(True, False)] * 3 + [
        (False, True)
    ] * 2
