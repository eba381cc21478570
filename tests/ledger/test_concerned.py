"""Whom any record of some families is about, for many persons in one question."""

from __future__ import annotations

import os

import pytest

from ledger import Draft, Ledger
from tests.ledger.house import new_record, submission

PEOPLE = ("assistance", "check")


def about(kind: str, subject: bytes) -> Draft:
    return Draft(kind=kind, record=new_record(), facts={"subject": subject.hex()})


@pytest.mark.parametrize("count", [1, 4, 5, 255, 256, 257, 600])
def test_those_and_only_those_with_a_record_of_the_families_are_picked_however_many_are_asked_for(
    opened: Ledger, count: int
) -> None:
    subjects = [os.urandom(33) for _ in range(count)]
    kinds = ("AssistanceSent", "CheckRecorded", "VerificationAnswered", None)
    drafts = [about(kind, one) for at, one in enumerate(subjects) if (kind := kinds[at % 4]) is not None]
    opened.append_blocking(submission(*drafts))
    asked = [*subjects, subjects[0]]
    picked = opened.register().concerned(asked, PEOPLE)
    assert set(picked) == {one for at, one in enumerate(subjects) if at % 4 < 2}


def test_nobody_is_picked_where_nobody_is_asked_for_or_known(opened: Ledger) -> None:
    assert opened.register().concerned([], PEOPLE) == {}
    assert opened.register().concerned([os.urandom(33)], PEOPLE) == {}


def test_who_has_records_of_other_families_only_is_not_picked(opened: Ledger) -> None:
    subject = os.urandom(33)
    opened.append_blocking(submission(about("AssistanceSent", subject)))
    assert opened.register().concerned([subject], ("commitment", "check")) == {}
    assert set(opened.register().concerned([subject], PEOPLE)) == {subject}
