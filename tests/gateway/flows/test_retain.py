"""Retention on a real ledger: what is due is gone from every file, what a reason keeps stays, every proof verifies."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.flows.administration.retain import Retain
from gateway.rules.retention import Kept, Periods, RetentionRules, years_after
from ledger import Appended, Draft, Erased, ErasureRefused, Idempotency, Ledger, RecordRow, Submission, verify_receipt
from ledger.commands import fsck, rebuild
from ledger.vault.holds import HoldOrder, place_hold, release_hold
from ledger.vault.remnants import clear_remnants
from tests.ledger.house import ORIGIN, START, House, as_now, build
from tests.ledger.vault.recorded import files_of, holds, secret

NOW = years_after(START, 6)
HOLD = HoldOrder(basis="监察机关通知", document_number="监〔2026〕1号", person="07")
NAME = "姓名某某"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return build(f"sqlite:///{tmp_path}/ledger.db", tmp_path)


@pytest.fixture
def postgres_house(tmp_path: Path, postgres_url: str) -> House:
    return build(postgres_url, tmp_path)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_house(request: pytest.FixtureRequest) -> House:
    found: House = request.getfixturevalue("house" if request.param == "sqlite" else "postgres_house")
    return found


class Case:
    """A verification, the commitment upon it, and on request what followed; every document has the case's own name."""

    def __init__(
        self, ledger: Ledger, number: int, *, at: datetime = START, matter: str = "m", audited: bool = True
    ) -> None:
        self.ledger, self.at, self.matter = ledger, at, matter
        self.name = f"{NAME}{number:04d}"
        self.subject = bytes([1]) + number.to_bytes(32, "big")
        self.records: dict[str, bytes] = {}
        self.append("verification", "VerificationAnswered")
        self.append("commitment", "CommitmentPrepared", parent="verification")
        self.append("commitment", "CommitmentRecorded")
        due = {"due_at": (at + timedelta(days=60)).isoformat()} if audited else {}
        self.append("commitment", "DecisionRecorded", **due)

    def append(self, what: str, kind: str, *, parent: str = "", at: datetime | None = None, **facts: str) -> None:
        given: dict[str, object] = dict(facts)
        if what not in self.records:
            self.records[what] = os.urandom(16)
            given |= {"unit": "u", "matter": self.matter, "subject": self.subject.hex()}
            given = {"case_key": self.subject.hex(), "item": "i", **given}
            given |= {"parent": self.records[parent].hex()} if parent else {}
        draft = Draft(kind=kind, record=self.records[what], groups={"who": self.name}, facts=given)  # type: ignore[arg-type]
        asked = Idempotency(key=os.urandom(16), body_digest=os.urandom(32))
        self.ledger.append_blocking(Submission((draft,), at or self.at, asked))

    def helped(self, *, answered: str = "AssistanceAnswered") -> Case:
        """What people found about the claim of the case, asked for after earlier answers than the last."""
        self.append("first", "VerificationAnswered")
        self.append("request", "AssistanceSent", parent="first")
        self.append("request", "AssistanceReceived")
        if answered:
            self.append("request", answered)
        self.append("second", "VerificationAnswered")
        self.append("check", "CheckRecorded", parent="second")
        return self

    def confirmed(self, at: datetime | None = None) -> Case:
        self.append("requery", "VerificationAnswered", parent="commitment", at=at)
        self.append("commitment", "CommitmentConfirmed", at=at)
        return self

    def disputed(self) -> Case:
        self.append("finding", "DiscrepancyFound", parent="commitment")
        self.append("commitment", "CommitmentDisputed")
        return self

    def broken(self, *, effect: datetime, reported: str = "ReportAcknowledged") -> Case:
        self.disputed()
        for kind in ("FalseProposed", "FindingNotified", "DefenceHeard", "FindingDecided"):
            self.append("finding", kind)
        self.append("finding", "FindingFinalised", due_at=effect.isoformat())
        self.append("commitment", "CommitmentBroken")
        self.append("report", "ReportIssued", parent="finding")
        if reported:
            self.append("report", reported)
            if effect < NOW:
                self.append("finding", "FindingExpired")
                self.append("report", "ReportExpired")
        return self

    def gone(self) -> set[str]:
        firsts = {what: row.first_idx for what, record in self.records.items() if (row := self.row(record))}
        return {what for what, idx in firsts.items() if isinstance(self.ledger.document(idx), Erased)}

    def row(self, record: bytes) -> RecordRow | None:
        return self.ledger.register().get(record)

    def erased(self) -> bool:
        found = {
            isinstance(self.ledger.document(line.idx), Erased)
            for record in self.records.values()
            for line in self.ledger.register().history(record)
        }
        assert len(found) == 1, "a case is erased as a whole or not at all"
        return found.pop()


def retain(ledger: Ledger, *, now: datetime = NOW, rules: RetentionRules | None = None, **more: int) -> Retain:
    return Retain(
        register=ledger.register(), rules=rules or RetentionRules(), now=lambda: now, entropy=os.urandom, **more
    )


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


def test_what_is_due_goes_and_what_a_reason_keeps_stays(house: House) -> None:
    with house.open() as ledger:
        gone = [
            Case(ledger, 1).confirmed(),
            Case(ledger, 2).broken(effect=START + timedelta(days=365)),
            Case(ledger, 10, audited=False),
        ]
        kept = {
            Kept.OPEN_AUDIT: Case(ledger, 3),
            Kept.PENDING_DISPUTE: Case(ledger, 4).disputed(),
            Kept.EFFECT_RUNNING: Case(ledger, 5).broken(effect=NOW + timedelta(days=1)),
            Kept.OPEN_REPORT: Case(ledger, 6).broken(effect=START, reported=""),
            Kept.PERIOD_RUNNING: Case(ledger, 7).confirmed(at=START + timedelta(days=700)),
            Kept.LEGAL_HOLD: Case(ledger, 8).confirmed(),
        }
        held = kept[Kept.LEGAL_HOLD]
        ledger.append_blocking(place_hold(HOLD, record=os.urandom(16), at=START, subject=held.subject))
        young = Case(ledger, 9, at=NOW - timedelta(days=30)).confirmed()
        old = [ledger.receipt(idx) for idx in range(ledger.size())]
        size = ledger.size()
        secrets = [secret(house.url, ledger, record) for case in gone for record in case.records.values()]
        left = secret(house.url, ledger, young.records["commitment"])

        looked = retain(ledger).look(quiet)
        assert ledger.size() == size
        done = retain(ledger).run("07", ledger.append_blocking, quiet)

        for report in (looked, done):
            tally = report.tallies["m", "commitment"]
            assert (tally.records, tally.erased, tally.oldest) == (9, 3, START)
            assert tally.kept == dict.fromkeys(kept, 1)
            assert report.erased_records == 3 + 4 + 2
            assert report.tallies.keys() == {("m", "commitment")}
        assert all(case.erased() for case in gone)
        assert not any(case.erased() for case in (*kept.values(), young))
        assert done.entries == [size]
        entry = verify_receipt(ledger.receipt(size), [house.signer.verifier], ORIGIN).entry
        assert entry.kind == "DocumentErased"
        document = ledger.document(size)
        assert not isinstance(document, Erased)
        assert document["reason"].value == "RETENTION"
        assert document["rules"].value == [{"family": "commitment", "matter": "m", "years": 5, "cases": 3}]
        assert document["operator"].value == {"person": "07"}
        assert document["erased"].value == sorted(record.hex() for case in gone for record in case.records.values())
        for proof in (*old, *(ledger.receipt(idx) for idx in range(ledger.size()))):
            verify_receipt(proof, [house.signer.verifier], ORIGIN)
        for case in gone:
            row = ledger.register().get(case.records["commitment"])
            assert row is not None
            assert (row.state in ("CONFIRMED", "BROKEN", "IN_FORCE"), row.unit, row.subject) == (True, None, None)
    clear_remnants(house.url)
    files = files_of(house)
    assert not any(holds(file, needle) for one in secrets for needle in one.needles for file in files)
    assert all(any(holds(file, needle) for file in files) for needle in left.keys)
    report = fsck(house.url, verifiers=[house.signer.verifier], origin=ORIGIN, master_keys=house.master_keys)
    assert report.damages == ()
    assert rebuild(house.url, origin=ORIGIN, master_keys=house.master_keys) > 0
    assert (
        fsck(house.url, verifiers=[house.signer.verifier], origin=ORIGIN, master_keys=house.master_keys).damages == ()
    )


def test_a_run_that_was_interrupted_goes_on_and_erases_nothing_twice(house: House) -> None:
    with house.open() as ledger:
        cases = [Case(ledger, number).confirmed() for number in range(12)]

        def stop(done: int, total: int) -> None:
            if done >= 6:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            retain(ledger, page=3, batch=4).run("07", ledger.append_blocking, stop)
        first = sum(case.erased() for case in cases)
        assert 0 < first < 12
        done = retain(ledger, page=3, batch=4).run("07", ledger.append_blocking, quiet)
        assert done.tallies["m", "commitment"].erased == 12 - first
        assert all(case.erased() for case in cases)
        assert retain(ledger).run("07", ledger.append_blocking, quiet).tallies == {}


@pytest.mark.parametrize("page", [1, 2, 5])
def test_a_dry_run_tells_what_the_run_does_whatever_the_page(house: House, page: int) -> None:
    with house.open() as ledger:
        for number in range(4):
            Case(ledger, number).confirmed()
        Case(ledger, 5)
        looked = retain(ledger, page=page).look(quiet)
        done = retain(ledger, page=page, batch=2).run("07", ledger.append_blocking, quiet)
        assert {key: (one.records, one.erased, one.kept) for key, one in looked.tallies.items()} == {
            key: (one.records, one.erased, one.kept) for key, one in done.tallies.items()
        }
        assert looked.erased_records == done.erased_records == 12


def test_each_matter_has_its_own_period(house: House) -> None:
    rules = RetentionRules(matters={"long": Periods(commitment=10)})
    with house.open() as ledger:
        short, long = Case(ledger, 1).confirmed(), Case(ledger, 2, matter="long").confirmed()
        report = retain(ledger, rules=rules).run("07", ledger.append_blocking, quiet)
        assert (short.erased(), long.erased()) == (True, False)
        assert report.tallies["long", "commitment"].kept == {Kept.PERIOD_RUNNING: 1}


def test_a_verification_lives_as_long_as_any_commitment_upon_it(house: House) -> None:
    with house.open() as ledger:
        case = Case(ledger, 1).confirmed()
        case.append("other", "CommitmentPrepared", parent="verification", at=NOW - timedelta(days=30))
        retain(ledger).run("07", ledger.append_blocking, quiet)
        documents = {what: ledger.register().history(record)[0].idx for what, record in case.records.items()}
        gone = {what for what, idx in documents.items() if isinstance(ledger.document(idx), Erased)}
        assert gone == {"commitment", "requery"}
        case.append("other", "CommitmentExpired", at=NOW)
        retain(ledger, now=years_after(NOW, 5)).run("07", ledger.append_blocking, quiet)
        assert isinstance(ledger.document(documents["verification"]), Erased)


def test_verifications_and_looks_alone_go_after_their_own_period(house: House) -> None:
    rules = RetentionRules(default=Periods(commitment=50, verification=3, lookup=6))
    with house.open() as ledger:
        facts = {"unit": "u", "subject": "01" * 33}
        for kind in ("VerificationAnswered", "VerificationRefused", "SubjectLookedUp", "CatalogueEnacted"):
            given = {} if kind == "CatalogueEnacted" else facts
            draft = Draft(kind=kind, record=os.urandom(16), groups={"who": NAME}, facts=given)
            ledger.append_blocking(Submission((draft,), START))
        retain(ledger, rules=rules, now=START.replace(year=START.year + 4)).run("07", ledger.append_blocking, quiet)
        assert [isinstance(ledger.document(idx), Erased) for idx in range(4)] == [True, True, False, False]
        retain(ledger, rules=rules).run("07", ledger.append_blocking, quiet)
        assert [isinstance(ledger.document(idx), Erased) for idx in range(4)] == [True, True, True, False]


def test_what_happens_while_a_batch_is_gathered_counts(house: House) -> None:
    """A hold that is placed after a case was looked at, and before it is erased, keeps it."""
    with house.open() as ledger:
        cases = [Case(ledger, number).confirmed() for number in range(3)]
        hold = os.urandom(16)
        asked = [0]

        def place(done: int, total: int) -> None:
            asked[0] += 1
            if asked[0] == 2:
                ledger.append_blocking(place_hold(HOLD, record=hold, at=NOW, held=cases[1].records["requery"]))

        report = retain(ledger).run("07", ledger.append_blocking, place)
        assert [case.erased() for case in cases] == [True, False, True]
        assert report.tallies["m", "commitment"].kept == {Kept.LEGAL_HOLD: 1}
        ledger.append_blocking(release_hold(HOLD, hold, NOW))
        retain(ledger).run("07", ledger.append_blocking, quiet)
        assert cases[1].erased()


def test_what_happens_between_the_last_look_and_the_append_counts(house: House) -> None:
    """The ledger refuses the batch; it is judged once more, and what is still due is erased."""
    with house.open() as ledger:
        held, due = (Case(ledger, number).confirmed() for number in range(2))
        went_on = Case(ledger, 2).broken(effect=START)
        asked = list[Submission]()

        def append(submission: Submission) -> Appended:
            if not asked:
                ledger.append_blocking(place_hold(HOLD, record=os.urandom(16), at=NOW, subject=held.subject))
                went_on.append("commitment", "CommitmentRepaired", at=NOW)
            asked.append(submission)
            return ledger.append_blocking(submission)

        report = retain(ledger).run("07", append, quiet)
        assert len(asked) == 2
        assert (held.erased(), went_on.erased(), due.erased()) == (False, False, True)
        assert report.tallies["m", "commitment"].kept == {Kept.LEGAL_HOLD: 1, Kept.PERIOD_RUNNING: 1}
        assert report.entries == [ledger.size() - 1]


def test_a_run_that_others_never_leave_alone_is_refused_and_erases_nothing(house: House) -> None:
    with house.open() as ledger:
        case = Case(ledger, 1).confirmed()

        def append(submission: Submission) -> Appended:
            raise ErasureRefused(["record went on meanwhile"])

        with pytest.raises(ErasureRefused):
            retain(ledger).run("07", append, quiet)
        assert not case.erased()


def test_a_report_that_the_platform_was_not_told_to_end_is_kept_though_its_effect_is_over(house: House) -> None:
    with house.open() as ledger:
        case = Case(ledger, 1).broken(effect=START, reported="")
        case.append("report", "ReportAcknowledged")
        report = retain(ledger).run("07", ledger.append_blocking, quiet)
        assert not case.erased()
        assert report.tallies["m", "commitment"].kept == {Kept.OPEN_REPORT: 1}


def test_a_finding_whose_commitment_was_erased_alone_still_ends(house: House) -> None:
    with house.open() as ledger:
        case = Case(ledger, 1).broken(effect=START)
        order = Draft(kind="DocumentErased", record=os.urandom(16), groups={"erased": []})
        ledger.append_blocking(Submission((order,), START, erase=as_now(ledger, case.records["commitment"])))
        report = retain(ledger).run("07", ledger.append_blocking, quiet)
        assert case.erased()
        assert {family for _, family in report.tallies} == {"finding", "verification"}


FOUND = {"first", "request", "second", "check"}
LONG = RetentionRules(default=Periods(commitment=10, verification=3))


@pytest.mark.parametrize("page", [1, 100])
def test_what_people_found_is_kept_and_erased_with_the_commitment(any_house: House, page: int) -> None:
    with any_house.open() as ledger:
        case, alone = Case(ledger, 1).helped().confirmed(), Case(ledger, 2).confirmed()
        early = retain(ledger, rules=LONG, page=page).run("07", ledger.append_blocking, quiet)
        assert not case.gone()
        assert early.tallies.keys() == {("m", "commitment")}
        late = retain(ledger, rules=LONG, now=START.replace(year=START.year + 11), page=page)
        looked, done = late.look(quiet), late.run("07", ledger.append_blocking, quiet)
        assert case.erased()
        assert alone.erased()
        assert looked.erased_records == done.erased_records == 7 + 3
        assert looked.tallies.keys() == done.tallies.keys() == {("m", "commitment")}


@pytest.mark.parametrize("page", [1, 100])
def test_what_people_found_without_a_commitment_goes_with_its_verification(any_house: House, page: int) -> None:
    with any_house.open() as ledger:
        case = Case(ledger, 1).helped().confirmed()
        order = Draft(kind="DocumentErased", record=os.urandom(16), groups={"erased": []})
        ledger.append_blocking(Submission((order,), START, erase=as_now(ledger, case.records["commitment"])))
        report = retain(ledger, rules=LONG, page=page).run("07", ledger.append_blocking, quiet)
        assert case.erased()
        assert report.tallies.keys() == {("m", "verification")}


def test_what_people_found_lives_as_long_as_any_commitment_of_its_claim(house: House) -> None:
    with house.open() as ledger:
        case = Case(ledger, 1).helped().confirmed()
        case.append("again", "VerificationAnswered")
        case.append("other", "CommitmentPrepared", parent="again", at=NOW - timedelta(days=30))
        retain(ledger).run("07", ledger.append_blocking, quiet)
        assert case.gone() == {"verification", "commitment", "requery"}
        case.append("other", "CommitmentExpired", at=NOW)
        retain(ledger, now=years_after(NOW, 5)).run("07", ledger.append_blocking, quiet)
        assert case.erased()


def test_a_verification_that_another_commitment_rests_on_stays_when_what_people_found_goes(house: House) -> None:
    with house.open() as ledger:
        case = Case(ledger, 1).helped().confirmed()
        case.append("unlike", "CommitmentPrepared", parent="first", item="j", at=NOW - timedelta(days=30))
        retain(ledger).run("07", ledger.append_blocking, quiet)
        assert {*case.records} - case.gone() == {"first", "unlike"}


@pytest.mark.parametrize("held", ["commitment", "verification", "requery", *sorted(FOUND)])
def test_a_hold_on_what_people_found_or_its_commitment_keeps_the_whole(any_house: House, held: str) -> None:
    with any_house.open() as ledger:
        case = Case(ledger, 1).helped().confirmed()
        ledger.append_blocking(place_hold(HOLD, record=os.urandom(16), at=NOW, held=case.records[held]))
        report = retain(ledger).run("07", ledger.append_blocking, quiet)
        assert not case.gone()
        assert report.tallies["m", "commitment"].kept == {Kept.LEGAL_HOLD: 1}


def test_a_request_that_is_open_keeps_its_commitment(house: House) -> None:
    with house.open() as ledger:
        case = Case(ledger, 1).helped(answered="").confirmed()
        report = retain(ledger).run("07", ledger.append_blocking, quiet)
        assert report.tallies["m", "commitment"].kept == {Kept.UNDECIDED: 1}
        case.append("request", "AssistanceOverdue")
        retain(ledger).run("07", ledger.append_blocking, quiet)
        assert case.erased()


@pytest.mark.postgres
def test_a_run_on_postgresql_beside_a_writer(postgres_house: House) -> None:
    with postgres_house.open() as ledger, postgres_house.open() as gateway:
        due, kept = Case(gateway, 1).confirmed(), Case(gateway, 2)
        report = retain(ledger, page=1).run("07", ledger.append_blocking, quiet)
        assert (due.erased(), kept.erased()) == (True, False)
        assert report.tallies["m", "commitment"].kept == {Kept.OPEN_AUDIT: 1}
    clear_remnants(postgres_house.url)
    keys = {"verifiers": [postgres_house.signer.verifier], "master_keys": postgres_house.master_keys}
    assert fsck(postgres_house.url, origin=ORIGIN, **keys).damages == ()  # type: ignore[arg-type]
