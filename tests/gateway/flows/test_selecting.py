"""Pages: whatever is appended meanwhile, all of them together are the list as it was; and each costs a bounded part."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.connector import Subject
from gateway.errors import InvalidRequest, NotEntitled
from gateway.flows.once import Once
from gateway.flows.reading.list_commitments import FAMILY, STATES
from gateway.flows.selecting import END, Select, Selection, require_may_select
from gateway.rules.roles import Caller, Role
from ledger import BlindIndex, Draft, Ledger, Submission
from ledger.canonical import canonical
from tests.ledger.house import START, build

UNIT, OTHER = "11230000000000101E", "112300000000002027"
INDEX = BlindIndex(key=bytes(32), version=1)
ALL = Selection(family=FAMILY, states=STATES, unit=UNIT)
PERSON = Subject(id_type="resident-id", id_number="230199198001010072", name="示例甲")
LATER = {"RECORDED": "CommitmentRecorded", "IN_FORCE": "DecisionRecorded", "CONFIRMED": "CommitmentConfirmed"}


@contextmanager
def opened() -> Iterator[Ledger]:
    with TemporaryDirectory() as folder, build(f"sqlite:///{folder}/ledger.db", Path(folder)).open() as ledger:
        yield ledger


def append(ledger: Ledger, *, unit: str = UNIT, item: str = "a", noise: int = 0, state: str = "PREPARED") -> bytes:
    """A commitment in a state, after so many entries of something else."""
    for _ in range(noise):
        ledger.append_blocking(Submission((Draft(kind="SubjectLookedUp", record=os.urandom(16)),), START))
    record = os.urandom(16)
    due = START + timedelta(days=ledger.size())
    facts = {
        "unit": unit, "item": item, "matter": "m", "due_at": due.isoformat(),
        "subject": INDEX.of(PERSON.id_type, PERSON.id_number).hex() if item == "a" else None,
        "case_key": INDEX.of("case", f"{unit}/案-{item}").hex(),
    }  # fmt: skip
    drafts = [Draft(kind="CommitmentPrepared", record=record, facts=facts)]
    for name, kind in LATER.items():
        if state == "PREPARED":
            break
        drafts.append(Draft(kind=kind, record=record))
        if name == state:
            break
    ledger.append_blocking(Submission(tuple(drafts), START))
    return record


def select(ledger: Ledger, span: int) -> Select:
    return Select(
        ledger=ledger, once=Once(ledger, INDEX), index=INDEX, now=lambda: START, entropy=os.urandom, span=span
    )  # fmt: skip


made = st.fixed_dictionaries(
    {
        "unit": st.sampled_from([UNIT, UNIT, OTHER]),
        "item": st.sampled_from("ab"),
        "noise": st.integers(0, 3),
        "state": st.sampled_from(["PREPARED", *LATER]),
    }
)
narrowed = st.sampled_from(
    [
        ALL,
        replace(ALL, item="a"),
        replace(ALL, unit=None),
        replace(ALL, unit=OTHER, matter="m"),
        replace(ALL, case_id="案-b", matter="m"),
        replace(ALL, subject=PERSON),
        replace(ALL, states=frozenset({"IN_FORCE"})),
        replace(ALL, due_before=START + timedelta(days=12)),
        replace(ALL, start=START, end=START),
    ]
)


@settings(max_examples=25, deadline=None)
@given(
    before=st.lists(made, max_size=12),
    during=st.lists(made, max_size=4),
    selection=narrowed,
    size=st.integers(1, 5),
    span=st.integers(1, 12),
)
def test_all_pages_together_are_the_list_at_their_beginning(
    before: list[dict[str, object]], during: list[dict[str, object]], selection: Selection, size: int, span: int
) -> None:
    with opened() as ledger:
        for one in before:
            append(ledger, **one)  # type: ignore[arg-type]
        pages = select(ledger, span)
        whole, _ = select(ledger, 10_000).page(selection, END, 1000)
        assert pages.count(selection, END) == len(whole) or selection.start is not None
        waiting, found, token = iter(during), [], ""
        while True:
            rows, following = pages.page(selection, pages.position_of(token, selection), size)
            found += rows
            token = pages.token_of(following, selection)
            if not token:
                break
            if (new := next(waiting, None)) is not None:
                append(ledger, **new)  # type: ignore[arg-type]
        assert [row.record for row in found] == [row.record for row in whole]
        assert [row.first_idx for row in found] == sorted({row.first_idx for row in found}, reverse=True)
        assert all(row.unit == selection.unit or selection.unit is None for row in found)


def test_states_are_merged_newest_first() -> None:
    with opened() as ledger:
        states = ["PREPARED", "IN_FORCE", "RECORDED", "CONFIRMED", "PREPARED"]
        made_ones = [append(ledger, state=state) for state in states]
        rows, _ = select(ledger, 1000).page(ALL, END, 3)
        assert [row.record for row in rows] == made_ones[:1:-1]
        assert [row.state for row in rows] == states[:1:-1]


def test_histories_of_a_page_are_those_of_its_records() -> None:
    with opened() as ledger:
        for state in ("PREPARED", "CONFIRMED", "RECORDED"):
            append(ledger, state=state, noise=1)
        rows, _ = select(ledger, 1000).page(ALL, END, 10)
        histories = ledger.register().histories(rows)
        assert {record: list(lines) for record, lines in histories.items()} == {
            row.record: ledger.register().history(row.record) for row in rows
        }
        assert ledger.register().histories([]) == {}


@pytest.fixture
def lists() -> Iterator[Select]:
    with opened() as ledger:
        yield select(ledger, 10)


@pytest.mark.parametrize("position", ["²", "-1", "9" * 19, "", "+7", " 7"])
def test_a_token_that_no_list_gave_out_is_refused(lists: Select, position: str) -> None:
    mark = lists.token_of(7, ALL).partition(".")[2]
    for token in (f"{position}.{mark}", "7", "7.", f"7.{mark[:-1]}", f"7.{mark}0"):
        with pytest.raises(InvalidRequest):
            lists.position_of(token, ALL)


def test_a_token_tells_nobody_whose_records_were_listed(lists: Select) -> None:
    """A caller's logs may hold tokens: without the key of the index nobody finds the person by trying numbers."""
    about = replace(ALL, subject=PERSON)
    mark = lists.token_of(7, about).partition(".")[2]
    assert not hashlib.sha256(canonical(about.body())).hexdigest().startswith(mark)
    elsewhere = Select(
        ledger=None, once=None, index=BlindIndex(key=b"k" * 32, version=1), now=lambda: START, entropy=os.urandom  # type: ignore[arg-type]
    )  # fmt: skip
    assert elsewhere.token_of(7, about) != lists.token_of(7, about)


def test_a_token_belongs_to_one_selection(lists: Select) -> None:
    token = lists.token_of(7, ALL)
    assert lists.position_of(token, ALL) == 7
    for other in (
        replace(ALL, unit=None), replace(ALL, states=frozenset({"RECORDED"})), replace(ALL, due_before=START),
        replace(ALL, subject=PERSON), replace(ALL, case_id="x"), replace(ALL, family="verification"),
    ):  # fmt: skip
        with pytest.raises(InvalidRequest):
            lists.position_of(token, other)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.AUDITOR])
def test_another_units_records_are_for_auditors_only(role: Role) -> None:
    caller = Caller(id="x", unit=UNIT, roles=frozenset({role}))
    for unit in (OTHER, None):
        with pytest.raises(NotEntitled):
            require_may_select(replace(ALL, unit=unit), caller)
    if role is not Role.OFFICER:
        with pytest.raises(NotEntitled):
            require_may_select(replace(ALL, subject=PERSON), caller)


def test_whose_case_is_selected_is_not_shown_in_tracebacks() -> None:
    selection = Selection(family="commitment", states=frozenset(), unit=None, case_id="张三的办件")
    assert "张三" not in repr(selection)
