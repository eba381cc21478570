"""Sources that do not fit the catalogue are refused, with every mistake and its place, before anybody is asked."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from connectors.connector import Coverage, Declared, Manifest, Value
from gateway.bootstrap.opening import open_sources, open_templates, read_catalogue
from gateway.bootstrap.serving import Gateway
from gateway.catalogue.fitting import misfits, shortages
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.mistakes import CatalogueError
from gateway.catalogue.model import Catalogue, SourcePolicy
from gateway.catalogue.words import SourcePolicyKind
from gateway.cli import cli
from gateway.config import load_settings
from gateway.demo.sources import stanzas
from gateway.errors import ConfigurationError
from gateway.founding import found
from tests.gateway.commitments.office import START

CATALOGUE = load_catalogue(shipped_catalogue_files())
RELATIVE = frozenset({"relative_id_number"})


def told(fact: str, /, **declared: object) -> list[str]:
    return misfits(CATALOGUE, manifest(fact, Declared(**declared)))  # type: ignore[arg-type]


def manifest(fact: str, declared: Declared | None = None) -> Manifest:
    known = {} if declared is None else {fact: declared}
    return Manifest(
        source="s", department="示例", fact_types=frozenset({fact}), declared=known, coverage={fact: Coverage()}
    )


@pytest.mark.parametrize(
    ("fact", "declared", "mistakes"),
    [
        ("marriage-registration", {"attributes": frozenset({"status", "spouse_name"})}, []),
        ("marriage-registration", {"words": {"status": frozenset({"MARRIED", "WIDOWED"})}}, []),
        ("household-relation", {"given": RELATIVE}, []),
        ("household-relation", {"given": RELATIVE | {"relative_name", "relative_id_type"}}, []),
        ("document-status", {"given": frozenset({"document_kind", "document_number"})}, []),
        ("life-evidence", {"words": {"valid": frozenset({True, False})}}, []),
        ("death-record", {"words": {"died_on": frozenset({date(2020, 1, 1)})}}, []),
        ("childbirth-registration", {"words": {"children": frozenset({2})}}, []),
        ("home-ownership", {"words": {"use": frozenset({"住宅"})}}, []),
        (
            "marriage",
            {},
            ["facts.marriage: the catalogue has no such fact type; did you mean 'marriage-registration'?"],
        ),
        (
            "marriage-registration",
            {"attributes": frozenset({"status", "married_on", "since"})},
            [
                "facts.marriage-registration: 'married_on' is no attribute of the fact type"
                " (spouse_id_number, spouse_name, status)",
                "facts.marriage-registration: 'since' is no attribute of the fact type"
                " (spouse_id_number, spouse_name, status)",
            ],
        ),
        (
            "marriage-registration",
            {"given": frozenset({"certificate_number"})},
            [
                "facts.marriage-registration: 'certificate_number' is nothing that a claim gives for the fact type"
                " (it has none)"
            ],
        ),
        (
            "household-relation",
            {"given": frozenset({"relative_name"})},
            [
                "facts.household-relation: claims give 'relative', and none can match without 'relative_id_number' in"
                " `narrow` or in the request"
            ],
        ),
        (
            "document-status",
            {"given": frozenset({"document_kind"})},
            [
                "facts.document-status: claims give 'document_number', and none can match without 'document_number' in"
                " `narrow` or in the request"
            ],
        ),
        (
            "marriage-registration",
            {"words": {"status": frozenset({"married", "MARRIED", True})}},
            [
                "facts.marriage-registration.values.status: 'married', True cannot be of the attribute, which is"
                " enum[MARRIED,DIVORCED,WIDOWED]"
            ],
        ),
        ("home-ownership", {"attributes": frozenset({"use"}), "uncoded": frozenset({"use"})}, []),
        (
            "marriage-registration",
            {"attributes": frozenset({"status", "spouse_name"}), "uncoded": frozenset({"status", "spouse_name"})},
            [
                "facts.marriage-registration.values.status: is missing: a text that is none of MARRIED, DIVORCED,"
                " WIDOWED would contradict whatever is claimed. Write what stands for each, such as"
                ' `values = { status = { "1" = "MARRIED" } }`; a source that holds these very words:'
                ' `"MARRIED" = "MARRIED"`'
            ],
        ),
    ],
)
def test_what_a_source_declares_is_compared_with_its_fact_type(
    fact: str, declared: Mapping[str, object], mistakes: list[str]
) -> None:
    assert told(fact, **declared) == mistakes


@pytest.mark.parametrize(
    ("fact", "attribute", "word"),
    [
        ("life-evidence", "valid", "YES"),
        ("life-evidence", "valid", 1),
        ("death-record", "died_on", "2020-01-01"),
        ("childbirth-registration", "children", "2"),
        ("childbirth-registration", "children", True),
        ("home-ownership", "use", 1),
    ],
)
def test_a_word_of_another_type_than_its_attribute_is_refused(fact: str, attribute: str, word: Value) -> None:
    [mistake] = told(fact, words={attribute: frozenset({word})})
    assert repr(word) in mistake


def test_of_a_source_that_declares_nothing_only_the_fact_type_is_judged() -> None:
    assert misfits(CATALOGUE, manifest("household-relation")) == []


CONCLUSIVE = (
    "criminal-record", "death-record", "declared-incapacity", "drug-rehabilitation", "marriage-registration",
    "serious-distrust-listing",
)  # fmt: skip


def test_a_coverage_must_be_declared_of_each_fact_type_whose_absence_proves_something(tmp_path: Path) -> None:
    facts = frozenset(CATALOGUE.fact_types)
    undeclared = Manifest(source="s", department="示例", fact_types=facts)

    found = misfits(CATALOGUE, undeclared)

    assert [mistake.split(":")[0] for mistake in found] == [f"facts.{code}.coverage" for code in CONCLUSIVE]
    assert all('coverage = { places = ["23"], since = 1985-01-01 }' in mistake for mistake in found)
    assert all('coverage = "complete"' in mistake for mistake in found)
    assert misfits(CATALOGUE, replace(undeclared, moving_coverage=True)) == []
    assert misfits(CATALOGUE, replace(undeclared, coverage=dict.fromkeys(CONCLUSIVE, Coverage()))) == []


def weighed(kind: SourcePolicyKind, k: int) -> Catalogue:
    fact = replace(CATALOGUE.fact_types["death-record"], sources=SourcePolicy(kind=kind, k=k))
    return replace(CATALOGUE, fact_types={"death-record": fact})


@pytest.mark.parametrize(
    ("kind", "k", "configured", "count"),
    [
        (SourcePolicyKind.QUORUM, 2, 1, 1),
        (SourcePolicyKind.ALL_AGREE, 3, 2, 1),
        (SourcePolicyKind.QUORUM, 2, 2, 0),
        (SourcePolicyKind.QUORUM, 2, 0, 0),
        (SourcePolicyKind.FIRST, 2, 1, 0),
    ],
)
def test_a_quorum_that_the_configured_sources_can_never_be_is_refused(
    kind: SourcePolicyKind, k: int, configured: int, count: int
) -> None:
    found = shortages(weighed(kind, k), {"death-record": configured})
    assert [f"{kind.value} of {k} sources, and {configured} is configured" in one for one in found] == [True] * count


WRONG = """
[sources.civil]
kind = "sql"
department = "示例民政局"
url = "sqlite:////nowhere/x.db"
[sources.civil.facts.marriage-registration]
statement = "SELECT 1 AS id WHERE '' IN :keys"
key = "id"
columns = { status = "id" }
values = { status = { "1" = "married" } }
[sources.civil.facts.household-relation]
statement = "SELECT 1 AS id WHERE '' IN :keys"
key = "id"
columns = { relation = "id" }
narrow = { relative_id_number = "id" }
[sources.police]
kind = "sql"
department = "示例公安局"
[sources.police.facts.household-relation]
statement = "SELECT 1 AS id WHERE '' IN :keys"
key = "id"
[sources.health]
kind = "sql"
department = "示例卫生健康委"
url = "sqlite:////nowhere/x.db"
[sources.health.facts.birth-record]
statement = "SELECT 1 AS id WHERE '' IN :keys"
key = "id"
"""
MISTAKES = (
    "civil: facts.marriage-registration.coverage: is missing",
    "civil: facts.marriage-registration.values.status",
    "civil: facts.household-relation.values.relation: is missing",
    "police: url",
    "health: facts.birth-record",
)


def test_check_config_names_every_mistake_of_every_source_at_once(tmp_path: Path) -> None:
    house = found(tmp_path / "var", now=START, sources=WRONG, listen="127.0.0.1:0")
    done = CliRunner().invoke(cli, ["check-config", "--config", str(house.config)])
    assert isinstance(done.exception, ConfigurationError)
    assert [sum(mistake in one for one in done.exception.mistakes) for mistake in MISTAKES] == [1] * len(MISTAKES)


async def test_a_gateway_does_not_start_with_sources_that_do_not_fit(tmp_path: Path) -> None:
    house = found(tmp_path / "var", now=START, sources=WRONG, listen="127.0.0.1:0")
    with pytest.raises(ConfigurationError) as refused:
        await Gateway(load_settings(house.config)).serve(lambda port: None, asyncio.Event())
    assert len(refused.value.mistakes) == len(MISTAKES)


async def test_a_catalogue_that_the_running_sources_do_not_fit_is_not_loaded(tmp_path: Path) -> None:
    sources = stanzas(
        civil_file=tmp_path / "c", police_url="http://127.0.0.1:1", police_ca=None, housing_folder=tmp_path
    )
    house = found(tmp_path / "var", now=START, sources=sources, listen="127.0.0.1:0")
    settings = load_settings(house.config)
    connected = open_sources(settings, CATALOGUE)
    assert read_catalogue(settings, open_templates(settings), connected).version == CATALOGUE.version
    nation, *others = shipped_catalogue_files()
    stricter = tmp_path / "nation.yaml"
    text = nation.read_text("utf-8").replace("sources: {policy: all-agree}", "sources: {policy: all-agree, k: 2}")
    identity = text.index("code: identity-match")
    text = text[:identity] + text[identity:].replace("absence: inconclusive", "absence: conclusive", 1)
    stricter.write_text(text.replace("attributes: {address: string, use: string}", "attributes: {address: string}"))
    with pytest.raises(CatalogueError) as refused:
        read_catalogue(replace(settings, catalogue_files=(stricter, *others)), open_templates(settings), connected)
    assert [mistake.text for mistake in refused.value.mistakes] == [
        next(one.text for one in refused.value.mistakes if "identity-match.coverage: is missing" in one.text),
        "housing: facts.home-ownership: 'use' is no attribute of the fact type (address)",
        "facts.death-record: all-agree of 2 sources, and 1 is configured",
    ]
    for source in connected.values():
        await source.aclose()
