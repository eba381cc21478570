"""From an item and what the applicant says to claims; and what can be said of them without a call."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from connectors.catalog import connect_all
from connectors.connector import Form, QueryContext, Subject
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.flows.verification.ask import Ask, Asked
from gateway.rules.fallback import FallbackInput, StepKind, next_step, settings_for
from gateway.rules.plan import Argument, ParametersRefused, plan
from gateway.rules.reasons import ReasonKind
from gateway.rules.verdict import Verdict

CATALOGUE = load_catalogue(shipped_catalogue_files())
NOW = datetime(2026, 11, 24, 4, tzinfo=UTC)
TODAY = date(2026, 11, 24)
MATTER = CATALOGUE.matter("230000-CIV-005")


def person(born: str, name: str = "示例甲") -> Subject:
    return Subject(id_type="resident-id", id_number=f"230199{born}0072", name=name)


def period(born: str) -> tuple[date, date] | None:
    planned = plan(
        CATALOGUE.item("marital-status"), {"status": "UNMARRIED"}, person(born), CATALOGUE.fact_types, today=TODAY
    )
    (check,) = planned.checks.values()
    return check.claim.period


def test_a_marriage_can_lie_only_after_the_age_of_marriage() -> None:
    assert period("19900315") == (date(2010, 3, 15), TODAY)


def test_of_a_leap_day_and_of_the_young_the_period_still_has_a_beginning() -> None:
    assert period("20040229") == (date(2024, 2, 29), TODAY)
    assert period("20000229") == (date(2020, 2, 29), TODAY)
    assert period("20150101") == (TODAY, TODAY)


def test_who_has_no_birth_date_in_the_number_has_no_period() -> None:
    company = Subject(id_type="uscc", id_number="11230000000000101E", name="某公司")
    planned = plan(
        CATALOGUE.item("marital-status"), {"status": "UNMARRIED"}, company, CATALOGUE.fact_types, today=TODAY
    )

    assert [check.claim.period for check in planned.checks.values()] == [None]


def test_the_second_person_is_the_subject_and_reaches_the_source() -> None:
    relative = person("20100101", "示例乙")
    planned = plan(
        CATALOGUE.item("kinship"),
        {"relation": "CHILD", "relative": relative},
        person("19800101"),
        CATALOGUE.fact_types,
        today=TODAY,
    )
    birth = [check.claim for check in planned.checks.values() if check.fact_type == "birth-record"]

    assert {claim.subject for claim in birth} == {relative}
    assert {"mother_id_number": "230199198001010072"} in [claim.expected for claim in birth]


def test_missing_and_ill_typed_parameters_are_told_together_without_their_values() -> None:
    with pytest.raises(ParametersRefused) as refused:
        plan(
            CATALOGUE.item("kinship"),
            {"relation": "COUSIN", "colour": "秘密"},
            person("19800101"),
            CATALOGUE.fact_types,
            today=TODAY,
        )

    assert {mistake.parameter for mistake in refused.value.mistakes} == {"relation", "relative", "colour"}
    assert "秘密" not in str(refused.value)


def ask(stanzas: Mapping[str, Mapping[str, object]], born: str, status: str = "UNMARRIED") -> Asked:
    """Ask real connectors about a marriage."""

    async def run() -> Asked:
        sources = connect_all(stanzas, now=lambda: NOW)
        try:
            planned = plan(
                CATALOGUE.item("marital-status"), {"status": status}, person(born), CATALOGUE.fact_types, today=TODAY
            )
            deadline = asyncio.get_running_loop().time() + 5
            context = QueryContext(
                matter=MATTER.code, case="办-1", item="marital-status", operator="A", unit="U", reason="办理行政确认",
                deadline=deadline,
            )  # fmt: skip
            return await Ask(sources, now=lambda: NOW, digest=bytes)(planned, context)
        finally:
            for source in sources.values():
                await source.aclose()

    return asyncio.run(run())


def civil_affairs(tmp_path: Path, **more: object) -> dict[str, dict[str, object]]:
    file = tmp_path / "civil.sqlite3"
    if not file.exists():
        database = sqlite3.connect(file)
        with database:
            database.execute("CREATE TABLE marriage (id_number TEXT, name TEXT, status TEXT, updated_at TEXT)")
        database.close()
    fact: dict[str, object] = {
        "statement": "SELECT id_number, name, status, updated_at FROM marriage WHERE id_number IN :keys",
        "key": "id_number",
        "name": "name",
        "columns": {"status": "status"},
    }
    stanza: dict[str, object] = {"kind": "sql", "department": "民政局", "url": f"sqlite:///{file}"}
    for key, value in more.items():
        (fact if key in ("coverage", "as_of") else stanza)[key] = value
    return {"civil": {**stanza, "facts": {"marriage-registration": fact}}}


def step(asked: Asked) -> StepKind:
    item = CATALOGUE.item("marital-status")
    judged = asked.judgement
    settings = settings_for(item, MATTER)
    return next_step(FallbackInput(verdict=judged.verdict, reasons=judged.reasons, settings=settings)).kind


def test_no_record_establishes_only_who_came_of_age_within_the_coverage(tmp_path: Path) -> None:
    covered = civil_affairs(tmp_path, coverage={"since": date(2005, 1, 1)})

    young, old = ask(covered, "19900315"), ask(covered, "19700315")

    assert young.judgement.verdict is Verdict.ESTABLISHED
    assert old.judgement.verdict is Verdict.UNDETERMINED
    assert {reason.kind for reason in old.judgement.reasons} == {ReasonKind.NOT_COVERED}
    assert step(old) is StepKind.ASSISTANCE


def test_no_record_establishes_nothing_where_no_coverage_is_declared(tmp_path: Path) -> None:
    asked = ask(civil_affairs(tmp_path), "19900315")

    assert asked.judgement.verdict is Verdict.UNDETERMINED
    assert {reason.kind for reason in asked.judgement.reasons} == {ReasonKind.NOT_COVERED}
    assert [one.outcome.kind.value for one in asked.evidence] == ["NOT_COVERED"]
    assert step(asked) is StepKind.ASSISTANCE


def test_no_record_contradicts_nobody_where_no_coverage_is_declared(tmp_path: Path) -> None:
    assert ask(civil_affairs(tmp_path), "19900315", status="MARRIED").judgement.verdict is Verdict.UNDETERMINED


@pytest.mark.parametrize("born", ["19900315", "19300315"])
def test_a_register_that_is_declared_complete_is_so_for_everybody(tmp_path: Path, born: str) -> None:
    assert ask(civil_affairs(tmp_path, coverage="complete"), born).judgement.verdict is Verdict.ESTABLISHED


@pytest.mark.parametrize(
    ("coverage", "verdict"),
    [
        (None, Verdict.UNDETERMINED),
        ({}, Verdict.UNDETERMINED),
        ("complete", Verdict.ESTABLISHED),
        ({"since": "2005-01-01"}, Verdict.ESTABLISHED),
        ({"since": "2020-01-01"}, Verdict.UNDETERMINED),
    ],
)
def test_absence_in_a_drop_proves_what_its_manifest_declares(
    tmp_path: Path, coverage: str | dict[str, str] | None, verdict: Verdict
) -> None:
    octets = b"id,name,status\n"
    (tmp_path / "a.csv").write_bytes(octets)
    manifest = {
        "schema": 1, "fact_type": "marriage-registration", "file": "a.csv", "sha256": sha256(octets).hexdigest(),
        "rows": 0, "empty": True, "as_of": "2026-11-23T00:00:00+08:00", "charset": "utf-8", "key": "id",
        "columns": ["id", "name", "status"], **({} if coverage is None else {"coverage": coverage}),
    }  # fmt: skip
    (tmp_path / "a.manifest.json").write_text(json.dumps(manifest))
    fact = {"key": "id", "name": "name", "columns": {"status": "status"}}
    stanza = {"kind": "dropbox", "department": "民政局", "folder": str(tmp_path)}

    asked = ask({"civil": {**stanza, "facts": {"marriage-registration": fact}}}, "19900315")

    assert asked.judgement.verdict is verdict


def test_a_record_found_outside_the_declared_years_still_counts(tmp_path: Path) -> None:
    covered = civil_affairs(tmp_path, coverage={"since": date(2005, 1, 1)})
    database = sqlite3.connect(tmp_path / "civil.sqlite3")
    with database:
        database.execute("INSERT INTO marriage VALUES ('230199197003150072', '示例甲', 'MARRIED', '2026-11-23')")
    database.close()

    assert ask(covered, "19700315").judgement.verdict is Verdict.CONTRADICTED


def test_what_a_source_does_not_cover_is_told_without_a_call(tmp_path: Path) -> None:
    nowhere = civil_affairs(tmp_path, coverage={"until": date(1999, 12, 31)})
    (tmp_path / "civil.sqlite3").unlink()

    (said,) = ask(nowhere, "19900315").evidence

    assert (said.outcome.kind.value, said.attempts) == ("NOT_COVERED", 0)


def test_an_announced_window_is_told_without_a_call_and_opens_no_commitment(tmp_path: Path) -> None:
    window = {"start": "2026-11-24T00:00:00+00:00", "end": "2026-11-25T00:00:00+00:00"}
    asked = ask(civil_affairs(tmp_path, resilience={"windows": [window]}), "19900315")

    (said,) = asked.evidence
    assert (said.outcome.kind.value, said.attempts) == ("UNAVAILABLE", 0)
    assert step(asked) is StepKind.RETRY_AFTER


def test_data_older_than_promised_decide_nothing(tmp_path: Path) -> None:
    stanzas = civil_affairs(tmp_path, freshness="1d", as_of="updated_at")
    database = sqlite3.connect(tmp_path / "civil.sqlite3")
    with database:
        at = (NOW - timedelta(days=2)).isoformat()
        database.execute("INSERT INTO marriage VALUES ('230199199003150072', '示例甲', 'MARRIED', ?)", [at])
    database.close()

    asked = ask(stanzas, "19900315", status="MARRIED")

    assert {reason.kind for reason in asked.judgement.reasons} == {ReasonKind.STALE}
    assert step(asked) is StepKind.RETRY_AFTER


@pytest.mark.parametrize(
    ("item", "parameters", "forms"),
    [
        ("marital-status", {"status": "MARRIED", "spouse": person("19900101")}, {"spouse_id_number": Form.ID_NUMBER}),
        ("birth", {"born": person("20100101"), "certificate_number": "X", "mother_name": "王芳"},
         {"mother_name": Form.NAME}),
        ("inheritance-right", {"deceased": person("19400101"), "deed_number": "X"},
         {"deceased_name": Form.NAME, "deceased_id_number": Form.ID_NUMBER}),
        ("identity", {"former_name": "王芳", "birthplace": "某地"}, {"former_name": Form.NAME}),
    ],
)  # fmt: skip
def test_a_claim_says_which_of_its_texts_are_names_and_numbers(
    item: str, parameters: dict[str, Argument], forms: dict[str, Form]
) -> None:
    planned = plan(CATALOGUE.item(item), parameters, person("19900315"), CATALOGUE.fact_types, today=TODAY)
    for check in planned.checks.values():
        said = {*check.claim.expected, *check.claim.given}
        known = {name: form for name, form in check.claim.forms.items() if name in said}
        assert known == forms
