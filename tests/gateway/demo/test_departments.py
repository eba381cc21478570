"""The demonstration's departments, asked by the real connectors."""

import asyncio
import json
import signal
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from connectors.catalog import connect_all
from connectors.connector import Claim, QueryContext, Subject, Value
from connectors.outcome import Kind
from connectors.resilience import Resilient
from gateway.demo import civil_affairs, housing
from gateway.demo.people import AREA, CAST_SIZE, Person, cast, population
from gateway.demo.public_security import answer
from gateway.demo.sources import stanzas
from gateway.pki import Authority, pem, write_pair
from gateway.rules.identifiers import parse_name, parse_resident_id

SEED, SIZE = 7, 30
NOW = datetime(2026, 11, 24, tzinfo=UTC)
STORY = cast(SEED)


@pytest.fixture(scope="module")
def police(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run public security as its own process over TLS; give its URL and its authority's certificate."""
    folder = tmp_path_factory.mktemp("police")
    now = datetime.now(UTC)
    authority = Authority.create("police", now=now, valid=timedelta(days=2))
    leaf, key = authority.server(["localhost", "127.0.0.1"], now=now, valid=timedelta(days=2))
    write_pair(leaf, key, folder / "server.crt", folder / "server.key")
    (folder / "ca.crt").write_bytes(pem(authority.certificate))
    tls = ["--certificate", str(folder / "server.crt"), "--key", str(folder / "server.key")]
    with _running("--seed", str(SEED), "--size", str(SIZE), *tls) as (process, port):
        yield f"https://127.0.0.1:{port}", folder / "ca.crt"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


class _running:  # noqa: N801 - used as a context
    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway.demo.public_security", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> tuple[subprocess.Popen[str], int]:
        assert self._process.stdout is not None
        word, port = self._process.stdout.readline().split()
        assert word == "ready"
        return self._process, int(port)

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@pytest.fixture
def folders(tmp_path: Path, police: tuple[str, Path]) -> Callable[[], Mapping[str, Resilient]]:
    """Build the file-based departments; give what connects to all three."""
    people = population(SEED, SIZE)
    civil_affairs.build(tmp_path / "civil.db", people)
    housing.write_drop(tmp_path / "drops", housing.holding(people, late=False), NOW - timedelta(hours=2), number=1)
    text = stanzas(
        civil_file=tmp_path / "civil.db", police_url=police[0], police_ca=police[1], housing_folder=tmp_path / "drops"
    )
    return lambda: connect_all(tomllib.loads(text)["sources"], now=lambda: NOW)


async def ask(connect: Callable[[], Mapping[str, Resilient]], source: str, person: Person, **expected: Value) -> Kind:
    """Ask one department one question through its connector."""
    fact = {"civil-affairs": "marriage-registration", "public-security": "identity-match", "housing": "home-ownership"}
    subject = Subject(id_type="resident-id", id_number=person.id_number, name=person.name)
    claim = Claim(fact_type=fact[source], subject=subject, expected=expected)
    context = QueryContext(
        matter="m", case="c", item="i", operator="o", unit="u", reason="r",
        deadline=asyncio.get_running_loop().time() + 10,
    )  # fmt: skip
    sources = connect()
    try:
        (evidence,) = await sources[source].check_many([claim], context)
    finally:
        for one in sources.values():
            await one.aclose()
    return evidence.outcome.kind


def stranger() -> Person:
    """Somebody of no department's books."""
    return population(SEED + 1, CAST_SIZE)[2]


def renamed(person: Person) -> Person:
    """The same number under another name."""
    from dataclasses import replace

    return replace(person, name="虚无人")


def test_a_population_is_the_same_for_the_same_seed_and_grows_at_its_end() -> None:
    assert population(SEED, 50) == population(SEED, 50)
    assert population(SEED, 50)[:SIZE] == population(SEED, SIZE)
    assert population(SEED, SIZE) != population(SEED + 1, SIZE)


def test_every_person_is_valid_distinct_and_plainly_fictitious() -> None:
    people = population(SEED, 500)
    assert len({p.id_number for p in people}) == 500
    for p in people:
        assert parse_resident_id(p.id_number, today=NOW.date()).number == p.id_number
        assert parse_name(p.name) == p.name
        assert p.name[0] in "示演测虚拟"
        assert p.id_number[:6] == AREA
        assert p.id_number[6:14] == f"{p.born:%Y%m%d}"
        assert (int(p.id_number[16]) % 2 == 1) == (p.sex == "male")


def test_spouses_name_each_other() -> None:
    by_number = {p.id_number: p for p in population(SEED, 500)}
    wed = [p for p in by_number.values() if p.marital != "unmarried"]
    assert {p.marital for p in wed} == {"married", "divorced", "widowed"}
    for p in wed:
        spouse = by_number[p.spouse_id_number]
        assert (spouse.spouse_id_number, spouse.name) == (p.id_number, p.spouse_name)


def test_the_cast_has_its_properties_whatever_the_seed() -> None:
    for seed in range(20):
        story = cast(seed)
        assert story.married.marital == "married"
        assert not story.dead.alive
        assert "·" in story.dotted.name
        assert story.lower_x.id_number.endswith("X")
        assert story.minor.born > date(2008, 11, 24)
        assert all(p.alive for p in (story.married, story.owner, story.contradicted, story.missing, story.honest))


def test_a_population_smaller_than_the_cast_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        population(SEED, CAST_SIZE - 1)


async def test_civil_affairs_answers_of_marriages(folders: Callable[[], Mapping[str, Resilient]]) -> None:
    married = STORY.married
    spouse = {"spouse_id_number": married.spouse_id_number, "spouse_name": married.spouse_name}
    assert await ask(folders, "civil-affairs", married, status="MARRIED", **spouse) is Kind.MATCH
    assert await ask(folders, "civil-affairs", married, status="DIVORCED") is Kind.MISMATCH
    assert await ask(folders, "civil-affairs", renamed(married), status="MARRIED") is Kind.MISMATCH
    assert await ask(folders, "civil-affairs", STORY.owner) is Kind.NO_RECORD


async def test_public_security_answers_match_codes_over_tls(folders: Callable[[], Mapping[str, Resilient]]) -> None:
    for person in (STORY.married, STORY.dotted, STORY.lower_x, STORY.minor):
        assert await ask(folders, "public-security", person) is Kind.MATCH
    assert await ask(folders, "public-security", renamed(STORY.owner)) is Kind.MISMATCH
    assert await ask(folders, "public-security", stranger()) is Kind.NO_RECORD
    assert await ask(folders, "public-security", STORY.dead) is Kind.SUBJECT_INACTIVE


async def test_housing_lacks_two_people_until_the_late_drop(
    folders: Callable[[], Mapping[str, Resilient]], tmp_path: Path
) -> None:
    before = {
        name: await ask(folders, "housing", getattr(STORY, name), address=getattr(STORY, name).address)
        for name in ("owner", "contradicted", "missing", "honest")
    }
    late = housing.holding(population(SEED, SIZE), late=True)
    housing.write_drop(tmp_path / "drops", late, NOW - timedelta(hours=1), number=2)
    after = {name: await ask(folders, "housing", getattr(STORY, name), address=getattr(STORY, name).address)
             for name in before}  # fmt: skip
    assert before == {
        "owner": Kind.MATCH, "contradicted": Kind.MISMATCH, "missing": Kind.NO_RECORD, "honest": Kind.NO_RECORD
    }  # fmt: skip
    assert after == {
        "owner": Kind.MATCH, "contradicted": Kind.MISMATCH, "missing": Kind.MISMATCH, "honest": Kind.MATCH
    }  # fmt: skip


def test_a_drop_without_a_time_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="time zone"):
        housing.write_drop(tmp_path, [], datetime(2026, 1, 1), number=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["UserCardId", "UserDept", "CallReason"])
def test_public_security_refuses_who_does_not_say_who_asks_and_why(missing: str) -> None:
    people = {STORY.owner.id_number: STORY.owner}
    end_user = {"UserCardId": "a", "UserDept": "b", "CallReason": "c"} | {missing: " "}
    question = {"FFQQBH": "1", "GMSFHM": STORY.owner.id_number, "XM": STORY.owner.name, "EndUser": end_user}
    told = answer(people, question)
    assert told["PACKAGEHEAD"]["FHDM"] == "40"
    assert told["RECORD"] == []


def test_public_security_without_tls_says_no_more_of_nobody_than_that() -> None:
    with _running("--plain") as (process, port):
        end_user = {"UserCardId": "a", "UserDept": "b", "CallReason": "c"}
        body = json.dumps({"FFQQBH": "9", "GMSFHM": "0", "XM": "x", "EndUser": end_user}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/match", body, timeout=10) as response:
            told = json.load(response)
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert told == {"PACKAGEHEAD": {"FFQQBH": "9", "FHDM": "20", "FHMS": "查无此人"}, "RECORD": []}
