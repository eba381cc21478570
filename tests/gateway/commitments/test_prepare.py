"""Who is handed a document to sign, and who is refused, with what is recorded of it."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from gateway.errors import (
    CommitmentBarred,
    CommitmentExists,
    ConfigurationError,
    GatewayError,
    InvalidRequest,
    NotACommitmentStep,
    ProxyRefused,
    PublicationDeclined,
    RequestIdReused,
    VerificationOutdated,
)
from gateway.letters.document import Consent
from gateway.rules.kept import rows, table
from ledger import parse_vkey, verify_receipt
from ledger.canonical import parse_canonical

from .office import CAST, ITEM, MATTER, PEOPLE, Office, agent, execute, of_item, of_matter, office, said

WHO, OTHER = PEOPLE[12], PEOPLE[14]
PUBLISHED = of_item(ITEM, ("publication: NOT_PUBLIC", "publication: PUBLIC"))
BY_PROXY = of_item(ITEM, ("proxy: false", "proxy: true"))


async def refused(here: Office, call: object, kind: type[GatewayError]) -> GatewayError:
    """Check that a refusal is recorded once, provable, explained in Chinese, and that it says nothing of the person."""
    size = here.ledger.size()
    with pytest.raises(kind) as caught:
        await call  # type: ignore[misc]
    refusal = caught.value
    assert here.ledger.size() == size + 1
    assert refusal.recording is not None
    verifier = parse_vkey(here.house.vkey.read_text())
    proven = verify_receipt(refusal.recording.proof, [verifier], verifier.name)
    assert proven.entry.kind == "CommitmentRefused"
    assert proven.entry.record == refusal.recording.record
    kept = said(here.document(proven.index), "refusal")
    assert kept["reason"] == refusal.reason
    assert kept["explanation"] == refusal.chinese
    assert WHO.id_number not in str(refusal)
    return refusal


async def test_a_document_is_handed_out_where_data_are_missing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"))

        assert here.kinds(prepared.record) == ["CommitmentPrepared"]
        document = table(parse_canonical(prepared.document))
        assert document["publication"] == {"scope": "NOT_PUBLIC", "consent": "NOT_SAID"}
        assert "proxy" not in document
        assert here.row(prepared.record).due_at == prepared.expires_at


async def test_a_repeated_request_gets_the_same_document(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        verification, identity = await here.verify(WHO, "办-1"), str(uuid.uuid4())
        first = await here.prepare(verification, identity=identity)
        size = here.ledger.size()
        here.clock.pass_(minutes=5)

        again = await here.prepare(verification, identity=identity)

        assert (again.record, again.document, again.recorded.entries) == (
            first.record, first.document, first.recorded.entries,
        )  # fmt: skip
        assert here.ledger.size() == size
        with pytest.raises(RequestIdReused):
            await here.prepare(verification, identity=identity, consent=Consent.AGREED)


async def test_no_document_while_a_source_is_away(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        execute(here.leases, "ALTER TABLE lease RENAME TO gone")
        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1")), NotACommitmentStep)

        assert "RETRY_AFTER" in str(refusal)


async def test_no_document_where_data_contradict(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        here.contradict(WHO)
        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1")), NotACommitmentStep)

        assert "DISPUTE" in str(refusal)


async def test_no_document_where_data_establish_the_claim(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        here.drop([(WHO.id_number, WHO.name, WHO.address)])

        await refused(here, here.prepare(await here.verify(WHO, "办-1")), NotACommitmentStep)


async def test_no_document_where_the_matter_tries_other_rungs_first(tmp_path: Path) -> None:
    matter = of_matter(MATTER, ("{item: business-premises, ladder: [COMMITMENT]}", "{item: business-premises}"))
    async with office(tmp_path, matter) as here:
        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1")), NotACommitmentStep)

        assert "ASSISTANCE" in str(refusal)


async def test_where_the_applicant_may_choose_a_document_is_handed_out_once_data_were_asked(tmp_path: Path) -> None:
    choice = (
        "{item: business-premises, ladder: [COMMITMENT]}",
        "{item: business-premises, commitment_mode: APPLICANT_CHOICE}",
    )
    item = of_item(ITEM, ("mode: LAST_RESORT", "mode: APPLICANT_CHOICE"))
    async with office(tmp_path, item, of_matter(MATTER, choice)) as here:
        assert (await here.prepare(await here.verify(WHO, "办-1"))).document

        here.contradict(OTHER)
        await refused(here, here.prepare(await here.verify(OTHER, "办-2")), NotACommitmentStep)


async def test_an_outdated_verification_carries_no_document(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        verification = await here.verify(WHO, "办-1")
        here.clock.pass_(days=1, seconds=1)

        await refused(here, here.prepare(verification), VerificationOutdated)


async def test_the_same_refused_request_is_recorded_once(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        here.contradict(WHO)
        verification, identity = await here.verify(WHO, "办-1"), str(uuid.uuid4())
        first = await refused(here, here.prepare(verification, identity=identity), NotACommitmentStep)
        size = here.ledger.size()

        with pytest.raises(NotACommitmentStep) as caught:
            await here.prepare(verification, identity=identity)

        assert here.ledger.size() == size
        assert caught.value.recording == first.recording


async def test_a_case_gets_no_second_document_once_it_has_a_commitment(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")

        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1")), CommitmentExists)

        assert isinstance(refusal, CommitmentExists)
        assert refusal.commitment == record
        assert (await here.prepare(await here.verify(WHO, "办-2"))).document, "another case is another matter"


@pytest.mark.parametrize("spelled", ["办－1", "办-1 ", "办 - 1", "办\u20111", "办—1", "办\u200b-１"])
async def test_a_case_in_another_spelling_gets_no_second_commitment(tmp_path: Path, spelled: str) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")

        refusal = await refused(here, here.prepare(await here.verify(WHO, spelled)), CommitmentExists)

        assert isinstance(refusal, CommitmentExists)
        assert refusal.commitment == record


async def test_a_letter_shows_the_number_of_its_case_as_it_was_given(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        prepared = await here.prepare(await here.verify(WHO, "办－1"))

        assert json.loads(prepared.document)["case"] == "办－1"


async def test_a_minor_gets_no_document(tmp_path: Path) -> None:
    async with office(tmp_path, BY_PROXY) as here:
        verification = await here.verify(CAST.minor, "办-1")
        for proxy in (None, agent(OTHER)):
            refusal = await refused(here, here.prepare(verification, proxy=proxy), CommitmentBarred)
            assert isinstance(refusal, CommitmentBarred)
            assert refusal.codes == ("CAPACITY",)


async def test_who_withdrew_this_year_gets_no_document_where_the_item_says_so(tmp_path: Path) -> None:
    item = of_item(ITEM, ("after_effect: NONE", "after_effect: BARRED_THIS_YEAR"))
    async with office(tmp_path, item) as here:
        await here.withdraw(await here.committed(WHO, "办-1"))

        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-2")), CommitmentBarred)

        assert isinstance(refusal, CommitmentBarred)
        assert refusal.codes == ("WITHDRAWN_THIS_YEAR",)
        here.clock.pass_(days=366)
        assert (await here.prepare(await here.verify(WHO, "办-3"))).document


async def test_a_withdrawal_bars_nobody_where_the_item_says_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        await here.withdraw(await here.committed(WHO, "办-1"))

        assert (await here.prepare(await here.verify(WHO, "办-2"))).document


async def test_who_is_on_no_list_gets_a_document_that_keeps_what_the_lists_said(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"))

        kept = said(said(here.last(prepared.record), "eligibility"), "lists")
        assert (kept["credit"], kept["incapacity"]) == ("NOT_LISTED", "NOT_LISTED")
        assert [table(fact)["outcome"] for fact in rows(kept["facts"])] == ["NO_RECORD", "NO_RECORD"]


@pytest.mark.parametrize(("kind", "code"), [("distrust", "CREDIT_PLATFORM"), ("incapacity", "CAPACITY_DECLARED")])
async def test_who_is_on_a_list_gets_no_document(tmp_path: Path, kind: str, code: str) -> None:
    async with office(tmp_path, lists=True) as here:
        here.list_(kind, WHO)

        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1")), CommitmentBarred)

        assert isinstance(refusal, CommitmentBarred)
        assert refusal.codes == (code,)
        assert refusal.retry_after is None
        assert refusal.recording is not None
        kept = said(said(here.document(refusal.recording.index), "eligibility"), "lists")
        assert "MATCH" in [table(fact)["outcome"] for fact in rows(kept["facts"])]


@pytest.mark.parametrize(("kind", "code"), [("distrust", "CREDIT_PLATFORM"), ("incapacity", "CAPACITY")])
async def test_a_list_that_is_away_makes_nobody_eligible(tmp_path: Path, kind: str, code: str) -> None:
    async with office(tmp_path, lists=True) as here:
        verification = await here.verify(WHO, "办-1")
        execute(here.lists, f"ALTER TABLE {kind} RENAME TO gone")

        refusal = await refused(here, here.prepare(verification), CommitmentBarred)

        assert isinstance(refusal, CommitmentBarred)
        assert refusal.codes == (f"{code}_SILENT",)
        assert refusal.retry_after is not None, "it passes by itself"
        execute(here.lists, f"ALTER TABLE gone RENAME TO {kind}")
        assert (await here.prepare(verification)).document


async def test_a_silent_credit_platform_sends_the_case_to_other_rungs_where_the_matter_says_so(tmp_path: Path) -> None:
    matter = of_matter(MATTER, ("    items:\n", "    credit_silent: OTHER_RUNGS\n    items:\n"))
    async with office(tmp_path, matter, lists=True) as here:
        execute(here.lists, "DROP TABLE distrust")

        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1")), CommitmentBarred)

        assert isinstance(refusal, CommitmentBarred)
        assert refusal.codes == ("CREDIT_PLATFORM_SILENT",)
        assert refusal.retry_after is None
        assert "部门协查" in refusal.chinese


async def test_a_record_of_the_same_number_and_another_name_makes_nobody_eligible(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        here.list_("distrust", WHO, name="另一名")

        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1")), CommitmentBarred)

        assert isinstance(refusal, CommitmentBarred)
        assert refusal.codes == ("CREDIT_PLATFORM_SILENT",)


async def test_every_bar_is_named_at_once(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        here.list_("distrust", WHO)
        execute(here.lists, "DROP TABLE incapacity")

        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1")), CommitmentBarred)

        assert isinstance(refusal, CommitmentBarred)
        assert refusal.codes == ("CREDIT_PLATFORM", "CAPACITY_SILENT")


@pytest.mark.parametrize(
    ("capacity", "told"),
    [("no-such-list", "declares no fact type"), ("death-record", "no source has the fact type")],
)
async def test_lists_that_cannot_be_asked_are_named_before_anything_is_served(
    tmp_path: Path, capacity: str, told: str
) -> None:
    tune = {
        'credit_fact = "" ': 'credit_fact = "home-ownership" ',
        'capacity_fact = "" ': f'capacity_fact = "{capacity}" ',
    }
    with pytest.raises(ConfigurationError) as caught:
        async with office(tmp_path, tune=tune):
            pass

    credit, other = caught.value.mistakes
    assert "must be of absence conclusive" in credit
    assert told in other


async def test_nobody_acts_for_the_applicant_where_the_item_lets_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1"), proxy=agent(OTHER)), ProxyRefused)

        assert str(refusal).startswith("NOT_ALLOWED")


@pytest.mark.parametrize(("acts", "code"), [(WHO, "AGENT_IS_APPLICANT"), (CAST.minor, "AGENT_CAPACITY")])
async def test_an_agent_must_be_another_person_of_full_age(tmp_path: Path, acts: object, code: str) -> None:
    async with office(tmp_path, BY_PROXY) as here:
        call = here.prepare(await here.verify(WHO, "办-1"), proxy=agent(acts))  # type: ignore[arg-type]
        refusal = await refused(here, call, ProxyRefused)

        assert str(refusal).startswith(code)


@pytest.mark.parametrize(
    ("names", "code", "passes"),
    [
        ([OTHER.name], "AGENT_CAPACITY_DECLARED", False),
        (["另一名"], "AGENT_CAPACITY_SILENT", True),
        (["另一名", "又一名"], "AGENT_CAPACITY_SILENT", True),
    ],
)
async def test_who_is_declared_incapable_or_may_be_is_nobodys_agent(
    tmp_path: Path, names: list[str], code: str, passes: bool
) -> None:
    async with office(tmp_path, BY_PROXY, lists=True) as here:
        for name in names:
            here.list_("incapacity", OTHER, name=name)

        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1"), proxy=agent(OTHER)), ProxyRefused)

        assert isinstance(refusal, ProxyRefused)
        assert refusal.code == code
        assert (refusal.retry_after is not None) == passes
        assert OTHER.id_number not in str(refusal) + refusal.chinese
        assert refusal.recording is not None
        kept = said(said(here.document(refusal.recording.index), "eligibility"), "agent_lists")
        assert kept["incapacity"] == ("UNKNOWN" if passes else "LISTED")


async def test_while_the_register_of_incapacity_is_away_nobody_acts_for_anybody(tmp_path: Path) -> None:
    async with office(tmp_path, BY_PROXY, lists=True) as here:
        verification = await here.verify(WHO, "办-1")
        execute(here.lists, "ALTER TABLE incapacity RENAME TO gone")

        await refused(here, here.prepare(verification, proxy=agent(OTHER)), CommitmentBarred)

        execute(here.lists, "ALTER TABLE gone RENAME TO incapacity")
        assert (await here.prepare(verification, proxy=agent(OTHER))).document


async def test_an_agent_is_asked_about_at_the_register_of_incapacity_and_nowhere_else(tmp_path: Path) -> None:
    async with office(tmp_path, BY_PROXY, lists=True) as here:
        here.list_("distrust", OTHER)

        prepared = await here.prepare(await here.verify(WHO, "办-1"), proxy=agent(OTHER))

        kept = said(said(here.last(prepared.record), "eligibility"), "agent_lists")
        assert (kept["credit"], kept["incapacity"]) == ("NOT_ASKED", "NOT_LISTED")
        assert [table(fact)["fact_type"] for fact in rows(kept["facts"])] == ["declared-incapacity"]


async def test_an_organisation_is_nobodys_agent(tmp_path: Path) -> None:
    async with office(tmp_path, BY_PROXY) as here:
        proxy = agent(OTHER)
        firm = replace(proxy, agent=structs.replace(proxy.agent, id_type="uscc", id_number="11230000000000101E"))
        refusal = await refused(here, here.prepare(await here.verify(WHO, "办-1"), proxy=firm), ProxyRefused)

        assert str(refusal).startswith("AGENT_NOT_A_PERSON")


async def test_the_document_names_the_agent_and_the_authorisation(tmp_path: Path) -> None:
    async with office(tmp_path, BY_PROXY) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"), proxy=agent(OTHER))

        document = table(parse_canonical(prepared.document))
        assert document["proxy"] == {
            "id_type": "resident-id", "id_number": OTHER.id_number, "name": OTHER.name,
            "authorisation_digest": agent(OTHER).authorisation_digest.hex(),
        }  # fmt: skip


async def test_where_letters_are_published_the_applicant_is_asked(tmp_path: Path) -> None:
    async with office(tmp_path, PUBLISHED) as here:
        verification = await here.verify(WHO, "办-1")
        size = here.ledger.size()

        with pytest.raises(InvalidRequest) as caught:
            await here.prepare(verification)

        assert [violation.field for violation in caught.value.violations] == ["publication_consent"]
        assert here.ledger.size() == size, "a malformed request is no refusal"


async def test_who_declines_publication_hands_in_the_certificate(tmp_path: Path) -> None:
    async with office(tmp_path, PUBLISHED) as here:
        refusal = await refused(
            here, here.prepare(await here.verify(WHO, "办-1"), consent=Consent.DECLINED), PublicationDeclined
        )

        assert "提交证明材料" in refusal.chinese


async def test_the_document_says_how_far_it_is_published_and_that_the_applicant_agreed(tmp_path: Path) -> None:
    async with office(tmp_path, PUBLISHED) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"), consent=Consent.AGREED)

        document = table(parse_canonical(prepared.document))
        assert document["publication"] == {"scope": "PUBLIC", "consent": "AGREED"}


async def test_declining_where_nothing_is_published_refuses_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        assert (await here.prepare(await here.verify(WHO, "办-1"), consent=Consent.DECLINED)).document
