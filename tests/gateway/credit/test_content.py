"""What a report says, and what it never says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.catalogue.words import Sensitivity
from gateway.demo.people import Person
from gateway.founding import SYSTEMS
from gateway.rules.admission import Operator, RawSubject
from ledger.canonical import canonical
from tests.gateway.commitments.office import ITEM, PEOPLE, Office, catalogue_of, of_item, of_matter, office

from .reporting import decided, disputed, finalised, pulled, reported

WHO, OTHER = PEOPLE[12], PEOPLE[13]
BY = Operator(person="auditor-09", unit=SYSTEMS["auditor"][0])


async def contradicted(here: Office, who: Person, case: str, **asked: object) -> bytes:
    """Take a commitment to a finding, whatever its sources say."""
    prepared = await here.prepare(await here.verify(who, case, **asked))  # type: ignore[arg-type]
    await here.record(prepared, who)
    await here.decide(prepared.record)
    await here.flows.requery.note_contradiction(here.row(prepared.record), BY)
    (finding,) = here.ledger.register().by_parent(prepared.record, "finding")
    return finding.record


async def test_a_report_names_nobody_but_who_committed(tmp_path: Path) -> None:
    opened = of_matter("230000-CIV-005", ("{item: marital-status}", "{item: marital-status, ladder: [COMMITMENT]}"))
    async with office(tmp_path, opened) as here:
        spouse = RawSubject(id_type="resident-id", id_number=OTHER.id_number, name=OTHER.name)
        finding = await contradicted(
            here, WHO, "婚-1", item="marital-status", matter="230000-CIV-005", purpose="办理行政确认",
            parameters={"status": "MARRIED", "spouse": spouse},
        )  # fmt: skip
        await reported(here, finding)

        (item,) = await pulled(here)
        written = canonical(dict(item.content)).decode()
        assert WHO.id_number in written
        assert "婚姻状况:已婚" in written
        for secret in (OTHER.id_number, OTHER.name):
            assert secret not in written


async def test_what_was_sensitive_when_it_was_signed_is_reported_so_whatever_the_catalogue_says_since(
    tmp_path: Path,
) -> None:
    sensitive = of_item(ITEM, ("    number: 19\n", "    number: 19\n    sensitivity: SENSITIVE\n"))
    async with office(tmp_path, sensitive) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        here.flows.book.put_in_force(catalogue_of(()))
        assert here.flows.book.catalogue.items[ITEM].sensitivity is Sensitivity.ORDINARY

        await reported(here, finding)

        (item,) = await pulled(here)
        assert WHO.address not in canonical(dict(item.content)).decode()
        assert item.content["unperformed"] == "市场主体住所证明"


async def test_a_finding_becomes_final_and_is_reported_when_its_item_left_the_catalogue(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        await decided(here, finding)
        catalogue = here.flows.book.catalogue
        items = {code: item for code, item in catalogue.items.items() if code != ITEM}
        here.flows.book.put_in_force(replace(catalogue, items=items))

        await finalised(here, finding)

        (item,) = await pulled(here)
        assert WHO.address in str(item.content["content"]), "what it was when it was signed is kept"
