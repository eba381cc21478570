import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from connectors.catalog import connect
from connectors.conformance.expectations import require_no_conclusion
from connectors.conformance.scene import Clock
from connectors.connector import Claim
from connectors.drop import read_manifest
from connectors.errors import DropRefused, StanzaError
from connectors.outcome import MISMATCH, OTHER_IDENTITY, Cause, Kind
from connectors.resilience import Resilient
from tests.connectors.people import LI, NOBODY, NOW, ZHANG, claim, now, question

FACT = "cremation"
ROWS = f"id,name,status\n{ZHANG.id_number},{ZHANG.name},held\n{LI.id_number},{LI.name},\n"
Spoil = Callable[[Path], None]


def drop(
    folder: Path, name: str = "a", content: str = ROWS, *, hours: float = 1, charset: str = "utf-8", **change: object
) -> None:
    octets = content.encode(charset)
    (folder / f"{name}.csv").write_bytes(octets)
    manifest = {
        "schema": 1,
        "fact_type": FACT,
        "file": f"{name}.csv",
        "sha256": hashlib.sha256(octets).hexdigest(),
        "rows": content.count("\n") - 1,
        "as_of": (NOW - timedelta(hours=hours)).isoformat(),
        "charset": charset,
        "key": "id",
        "columns": ["id", "name", "status"],
    }
    (folder / f"{name}.manifest.json").write_text(json.dumps({**manifest, **change}))


def source_of(folder: Path, clock: Callable[[], datetime] = now, /, **more: object) -> Resilient:
    fact = {"key": "id", "name": "name", "columns": {"status": "status"}}
    stanza = {"kind": "dropbox", "department": "殡葬管理处", "folder": str(folder), "facts": {FACT: fact}}
    resilience = {"backoff": "1ms", "breaker_failures": 100}
    return connect("funeral", {**stanza, "resilience": resilience, **more}, now=clock)


async def kind(source: Resilient, asked: Claim) -> Kind:
    [evidence] = await source.check_many([asked], question())
    return evidence.outcome.kind


def held(subject: object = ZHANG, /, **expected: str) -> Claim:
    return claim(subject, fact_type=FACT, **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("charset", ["utf-8", "gb18030"])
async def test_a_good_drop_answers(tmp_path: Path, charset: str) -> None:
    drop(tmp_path, charset=charset)
    source = source_of(tmp_path)
    found = [
        await kind(source, one) for one in (held(status="held"), held(status="x"), held(LI, status="x"), held(NOBODY))
    ]
    assert found == [Kind.MATCH, Kind.MISMATCH, Kind.NOT_HELD, Kind.NO_RECORD]
    assert (await source.probe()).ok


async def test_a_row_under_another_name_is_a_mismatch_of_whose_it_is(tmp_path: Path) -> None:
    drop(tmp_path)
    renamed = Claim(fact_type=FACT, subject=replace(ZHANG, name="张小朋"), expected={"status": "x"})
    found = await source_of(tmp_path).check_many([renamed, held(status="x")], question())
    assert [one.outcome for one in found] == [OTHER_IDENTITY, MISMATCH]


async def test_a_key_is_found_however_it_is_written(tmp_path: Path) -> None:
    written = f"{ZHANG.id_number[:6]}-{ZHANG.id_number[6:14]}-{ZHANG.id_number[14:]} "
    drop(tmp_path, content=ROWS.replace(ZHANG.id_number, written).replace(LI.id_number, LI.id_number.lower()))
    source = source_of(tmp_path)
    assert [await kind(source, one) for one in (held(status="held"), held(LI, status="x"))] == [
        Kind.MATCH,
        Kind.NOT_HELD,
    ]


async def test_the_row_of_a_bad_key_is_told_and_its_key_is_not(tmp_path: Path, discreet: list[str]) -> None:
    drop(tmp_path, content=ROWS.replace(LI.id_number, LI.id_number[:17]))
    health = await source_of(tmp_path).probe()
    assert "a.manifest.json: row 2 has a key that is damaged" in health.detail
    discreet.append(health.detail)


async def test_numbers_of_other_documents_need_to_be_declared(tmp_path: Path) -> None:
    drop(tmp_path, content=f"{ROWS}E12345678,SMITH,held\n")
    assert await kind(source_of(tmp_path), held(status="held")) is Kind.UNAVAILABLE
    fact = {"key": "id", "name": "name", "columns": {"status": "status"}, "other_numbers": True}
    assert await kind(source_of(tmp_path, facts={FACT: fact}), held(status="held")) is Kind.MATCH


def rewrite(**change: object) -> Spoil:
    return lambda folder: drop(folder, **change)  # type: ignore[arg-type]


def empty(folder: Path) -> None:
    for one in folder.iterdir():
        one.unlink()


def remove(folder: Path) -> None:
    empty(folder)
    folder.rmdir()


def _manifest(folder: Path, content: str) -> None:
    (folder / "a.manifest.json").write_text(content)


def truncate(folder: Path) -> None:
    octets = (folder / "a.csv").read_bytes()
    (folder / "a.csv").write_bytes(octets[:-9])


def lie_about_charset(folder: Path) -> None:
    octets = ROWS.encode("gb18030")
    drop(folder)
    (folder / "a.csv").write_bytes(octets)
    manifest = json.loads((folder / "a.manifest.json").read_text())
    manifest["sha256"] = hashlib.sha256(octets).hexdigest()
    (folder / "a.manifest.json").write_text(json.dumps(manifest))


GOOD = {
    "schema": 1, "fact_type": FACT, "file": "a.csv", "sha256": "0" * 64, "rows": 1, "as_of": "2026-11-24",
    "coverage": {"places": ["23"]}, "charset": "utf-8", "key": "id", "columns": ["id"],
}  # fmt: skip
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates().map(str)),
    lambda one: st.one_of(
        st.lists(one), st.dictionaries(st.one_of(st.sampled_from(["places", "since", "until"]), st.text()), one)
    ),
)

BAD: dict[str, Spoil] = {
    "nothing dropped": empty,
    "no folder": remove,
    "manifest without file": lambda folder: (folder / "a.csv").unlink(),
    "file without manifest": lambda folder: (folder / "a.manifest.json").unlink(),
    "truncated file": truncate,
    "bad hash": rewrite(sha256="0" * 64),
    "short hash": rewrite(sha256="0"),
    "wrong row count": rewrite(rows=3),
    "wrong charset named": lie_about_charset,
    "missing column": rewrite(content=ROWS.replace(",status", ""), columns=["id", "name"]),
    "header disagrees": rewrite(content=ROWS.replace("name", "nom")),
    "a row too short": rewrite(content=ROWS.replace(",held", "")),
    "a row without key": rewrite(content=ROWS.replace(ZHANG.id_number, " ")),
    "a rounded key": rewrite(content=ROWS.replace(ZHANG.id_number, "2.30103E+17")),
    "a masked key": rewrite(content=ROWS.replace(ZHANG.id_number, "2301**********1236")),
    "a key that says nothing": rewrite(content=ROWS.replace(ZHANG.id_number, "null")),
    "an old number that is not declared": rewrite(content=ROWS.replace(ZHANG.id_number, "230103850704123")),
    "no rows": rewrite(content="id,name,status\n"),
    "no rows, said to be some": rewrite(content="id,name,status\n", empty=False),
    "rows, said to be none": rewrite(empty=True),
    "a broken quote": rewrite(content=ROWS.replace(f"{ZHANG.name},held", f'"{ZHANG.name}"x,held')),
    "another key": rewrite(key="name"),
    "another fact type": rewrite(fact_type="birth"),
    "schema 2": rewrite(schema=2),
    "an unknown field": rewrite(surprise=1),
    "a file of no possible name": rewrite(file="b\0.csv"),
    "a file of too long a name": rewrite(file="b" * 5000),
    "a manifest without end": lambda folder: os.truncate(folder / "a.manifest.json", 2**40),
    "a manifest of brackets": lambda folder: _manifest(folder, "[" * 100_000),
    "schema true": rewrite(schema=True),
    "a path out of the folder": rewrite(file="../a.csv"),
    "as_of is no date": rewrite(as_of="yesterday"),
    "as_of is what systems write for no date": rewrite(as_of="0001-01-01"),
    "of the future": rewrite(as_of="2099-01-01"),
    "malformed coverage": rewrite(coverage={"places": "23"}),
    "a coverage that says nothing": rewrite(coverage={}),
    "a coverage of null places": rewrite(coverage={"places": None}),
    "a coverage since null": rewrite(coverage={"places": ["23"], "since": None}),
    "a coverage in another word": rewrite(coverage="everything"),
    "a coverage of nowhere": rewrite(coverage={"places": []}),
    "a coverage in full-width digits": rewrite(coverage={"places": ["２３"]}),
    "a coverage of one digit": rewrite(coverage={"places": ["2"]}),
    "a coverage of a code of zeroes": rewrite(coverage={"places": ["000000"]}),
    "a coverage that ends before it begins": rewrite(coverage={"since": "2030-01-01", "until": "2001-01-01"}),
    "a coverage since no day": rewrite(coverage={"since": 0}),
    "manifest is no JSON": lambda folder: _manifest(folder, "{"),
    "manifest is a list": lambda folder: _manifest(folder, "[]"),
}


@pytest.mark.parametrize("fault", BAD)
async def test_a_bad_drop_is_never_an_answer(tmp_path: Path, fault: str, discreet: list[str]) -> None:
    folder = tmp_path / "drops"
    folder.mkdir()
    drop(folder)
    BAD[fault](folder)
    source = source_of(folder)
    for subject in (ZHANG, NOBODY):
        evidence = await source.check_many([held(subject, status="held")], question())
        require_no_conclusion(evidence)
        assert evidence[0].outcome.cause is Cause.OUTAGE
    health = await source.probe()
    assert not health.ok
    discreet.append(health.detail)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON))
def test_whatever_a_manifest_says_is_read_or_refused(change: dict[str, object]) -> None:
    with suppress(DropRefused):
        read_manifest(json.dumps({**GOOD, **change}).encode(), ZoneInfo("Asia/Shanghai"))


@pytest.mark.parametrize("fault", [name for name in BAD if name not in ("nothing dropped", "no folder")])
async def test_while_the_newest_drop_is_bad_the_one_before_answers(tmp_path: Path, fault: str) -> None:
    drop(tmp_path, "before", hours=2)
    source = source_of(tmp_path)
    assert await kind(source, held(status="held")) is Kind.MATCH
    drop(tmp_path)
    BAD[fault](tmp_path)
    [evidence] = await source.check_many([held(status="held")], question())
    assert (evidence.outcome.kind, evidence.as_of) == (Kind.MATCH, NOW - timedelta(hours=2))
    health = await source.probe()
    assert health.ok is (fault == "file without manifest")


async def test_a_newer_drop_replaces_the_older_one_whole(tmp_path: Path) -> None:
    drop(tmp_path, "a", hours=5)
    source = source_of(tmp_path)
    assert await kind(source, held(status="held")) is Kind.MATCH
    drop(tmp_path, "b", f"id,name,status\n{LI.id_number},{LI.name},held\n", hours=1)
    assert await kind(source, held(LI, status="held")) is Kind.MATCH
    assert await kind(source, held(status="held")) is Kind.NO_RECORD


async def test_a_drop_of_the_future_is_told_and_keeps_nothing_out_until_its_date_has_come(tmp_path: Path) -> None:
    clock = Clock()
    drop(tmp_path, "a", hours=5)
    drop(tmp_path, "b", ROWS.replace("held", "ahead"), hours=-1)
    source = source_of(tmp_path, clock)
    assert await kind(source, held(status="held")) is Kind.MATCH
    health = await source.probe()
    assert (health.ok, "b.manifest.json: manifest: as_of is more than 10 minutes in the future" in health.detail) == (
        False,
        True,
    )
    drop(tmp_path, "c", ROWS.replace("held", "later"), hours=1)
    assert await kind(source, held(status="later")) is Kind.MATCH
    clock.move(timedelta(minutes=49))
    assert await kind(source, held(status="later")) is Kind.MATCH
    clock.move(timedelta(minutes=1))
    assert await kind(source, held(status="ahead")) is Kind.MATCH
    assert (await source.probe()).ok


async def test_clocks_may_differ_a_little(tmp_path: Path) -> None:
    drop(tmp_path, hours=-10 / 60)
    assert await kind(source_of(tmp_path, freshness="1d"), held(status="held")) is Kind.MATCH


async def test_an_older_drop_that_comes_late_replaces_nothing(tmp_path: Path) -> None:
    drop(tmp_path, "a", hours=1)
    source = source_of(tmp_path)
    assert await kind(source, held()) is Kind.MATCH
    drop(tmp_path, "b", "id,name,status\n", hours=5, empty=True)
    assert await kind(source, held()) is Kind.MATCH


@pytest.mark.parametrize("name", ["a", "0"])
async def test_of_two_drops_of_one_date_the_one_delivered_later_is_used_whoever_starts_when(
    tmp_path: Path, name: str
) -> None:
    drop(tmp_path, "a", ROWS.replace("held", "wrong"))
    os.utime(tmp_path / "a.manifest.json", (1, 1))
    source = source_of(tmp_path)
    assert await kind(source, held(status="wrong")) is Kind.MATCH
    drop(tmp_path, name)
    for one in (source, source_of(tmp_path)):
        assert await kind(one, held(status="held")) is Kind.MATCH
        told = (await one.probe()).detail
        assert told == (
            "every drop is good" if name == "a" else "a.manifest.json: another drop of the same date is in use"
        )


async def test_a_drop_whose_date_was_wrong_is_replaced_under_its_name_by_good_ones_only(tmp_path: Path) -> None:
    drop(tmp_path, "a", ROWS.replace("held", "wrong"), hours=1)
    source = source_of(tmp_path)
    assert await kind(source, held(status="wrong")) is Kind.MATCH
    drop(tmp_path, "b", ROWS.replace("held", "older"), hours=9)
    drop(tmp_path, "a", hours=5, rows=9)
    assert await kind(source, held(status="wrong")) is Kind.MATCH
    drop(tmp_path, "a", hours=5)
    for one in (source, source_of(tmp_path)):
        assert await kind(one, held(status="held")) is Kind.MATCH
    drop(tmp_path, "a", ROWS.replace("held", "oldest"), hours=10)
    for one in (source, source_of(tmp_path)):
        assert await kind(one, held(status="older")) is Kind.MATCH


async def test_a_drop_whose_manifest_is_deleted_answers_no_more_in_any_process(tmp_path: Path) -> None:
    drop(tmp_path, "a", hours=5)
    drop(tmp_path, "b", ROWS.replace("held", "wrong"), hours=1)
    source = source_of(tmp_path)
    assert await kind(source, held(status="wrong")) is Kind.MATCH
    (tmp_path / "b.manifest.json").unlink()
    with capture_logs() as told:
        for one in (source, source_of(tmp_path)):
            [found] = await one.check_many([held(status="held")], question())
            assert (found.outcome.kind, found.as_of) == (Kind.MATCH, NOW - timedelta(hours=5))
    assert [one["file"] for one in told if one["event"] == "drop withdrawn"] == ["b.manifest.json"]
    assert (await source.probe()).detail == "every drop is good; b.manifest.json: withdrawn"
    (tmp_path / "a.manifest.json").unlink()
    for one in (source, source_of(tmp_path)):
        assert await kind(one, held(status="held")) is Kind.UNAVAILABLE
    health = await source.probe()
    assert (health.ok, health.detail) == (False, f"{FACT}: no drop yet; a.manifest.json: withdrawn")


async def test_what_is_withdrawn_is_followed_by_good_ones_only_and_a_manifest_being_rewritten_is_not_withdrawn(
    tmp_path: Path,
) -> None:
    drop(tmp_path, "a", hours=9)
    drop(tmp_path, "b", ROWS.replace("held", "bad"), hours=5, rows=7)
    drop(tmp_path, "c", ROWS.replace("held", "new"), hours=1)
    source = source_of(tmp_path)
    assert await kind(source, held(status="new")) is Kind.MATCH
    (tmp_path / "c.manifest.json").write_text("{")
    assert await kind(source, held(status="new")) is Kind.MATCH
    (tmp_path / "c.manifest.json").rename(tmp_path / "d.manifest.json")
    assert await kind(source, held(status="held")) is Kind.MATCH


async def test_a_file_replaced_in_the_middle_counts_only_when_it_is_whole(tmp_path: Path) -> None:
    drop(tmp_path, "a", hours=5)
    source = source_of(tmp_path)
    assert await kind(source, held(status="held")) is Kind.MATCH
    drop(tmp_path, "b", ROWS.replace("held", "gone"), hours=1)
    whole = (tmp_path / "b.csv").read_bytes()
    (tmp_path / "b.csv").write_bytes(whole[:20])
    assert await kind(source, held(status="held")) is Kind.MATCH
    (tmp_path / "b.part").write_bytes(whole)
    (tmp_path / "b.part").replace(tmp_path / "b.csv")
    assert await kind(source, held(status="gone")) is Kind.MATCH


async def test_a_drop_older_than_promised_is_stale_for_those_in_it_and_those_not(tmp_path: Path) -> None:
    drop(tmp_path, hours=25)
    source = source_of(tmp_path, freshness="1d")
    assert [await kind(source, held()), await kind(source, held(NOBODY))] == [Kind.STALE, Kind.STALE]


async def test_the_manifest_says_where_absence_means_something(tmp_path: Path) -> None:
    drop(tmp_path, coverage={"places": ["2301"]})
    source = source_of(tmp_path)
    within, beside, nowhere = (claim(NOBODY, fact_type=FACT, place=place) for place in ("230103", "110101", ""))
    # The first answer reads the drop; its coverage counts from that very answer on.
    assert [await kind(source, one) for one in (beside, within, nowhere)] == [
        Kind.NOT_COVERED,
        Kind.NO_RECORD,
        Kind.NOT_COVERED,
    ]


async def test_a_manifest_that_begins_with_a_byte_order_mark_is_refused_and_told_why(tmp_path: Path) -> None:
    drop(tmp_path)
    written = (tmp_path / "a.manifest.json").read_text()
    (tmp_path / "a.manifest.json").write_text(written, encoding="utf-8-sig")
    assert (
        "the manifest is not JSON: it begins with a byte order mark (BOM)" in (await source_of(tmp_path).probe()).detail
    )


async def test_a_holding_without_rows_is_taken_where_it_says_that_it_is_empty(tmp_path: Path) -> None:
    drop(tmp_path, "a", hours=5, coverage="complete")
    source = source_of(tmp_path)
    assert await kind(source, held()) is Kind.MATCH
    drop(tmp_path, "b", "id,name,status\n", coverage="complete")
    assert await kind(source, held()) is Kind.MATCH
    assert 'b.manifest.json: manifest: rows is 0, which must be said by "empty": true' in (await source.probe()).detail
    drop(tmp_path, "b", "id,name,status\n", coverage="complete", empty=True)
    assert await kind(source, held()) is Kind.NO_RECORD


async def test_a_drop_is_complete_of_everywhere_only_where_it_says_so(tmp_path: Path) -> None:
    drop(tmp_path, coverage="complete")
    source = source_of(tmp_path)
    [found] = await source.check_many([claim(NOBODY, fact_type=FACT, place="110101")], question())
    assert (found.outcome.kind, found.undeclared) == (Kind.NO_RECORD, False)


async def test_what_a_drop_does_not_cover_is_told_without_looking_whom_it_holds(tmp_path: Path) -> None:
    drop(tmp_path, coverage={"places": ["2301"]})
    source = source_of(tmp_path)
    beside = [claim(who, fact_type=FACT, place="110101") for who in (ZHANG, NOBODY)]
    found = await source.check_many([*beside, claim(NOBODY, fact_type=FACT)], question())
    assert [one.outcome.kind for one in found] == [Kind.NOT_COVERED] * 3
    assert [(one.attempts, len(one.raw_digest)) for one in found] == [(0, 0), (0, 0), (1, 32)]


async def test_a_drop_with_a_wider_coverage_counts_from_the_first_question_on(tmp_path: Path) -> None:
    drop(tmp_path, "a", hours=5, coverage={"places": ["2301"]})
    source = source_of(tmp_path)
    beside = claim(ZHANG, fact_type=FACT, place="230200")
    assert [await kind(source, beside), await kind(source, beside)] == [Kind.NOT_COVERED] * 2
    drop(tmp_path, "b", coverage={"places": ["23"]})
    assert await kind(source, beside) is Kind.MATCH


@pytest.mark.parametrize("written", ["23", "2301", "2300", "230000", "230100", "230100000000", "230103"])
async def test_a_whole_code_covers_what_lies_below_it(tmp_path: Path, written: str) -> None:
    drop(tmp_path, coverage={"places": [written]})
    assert await kind(source_of(tmp_path), claim(NOBODY, fact_type=FACT, place="230103")) is Kind.NO_RECORD


async def give_up_asking(source: Resilient) -> None:
    [evidence] = await source.check_many([held(NOBODY)], question(0.05))
    assert evidence.outcome.cause is Cause.TIMEOUT


async def give_up_probing(source: Resilient) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(source.probe(), 0.05)


@pytest.mark.parametrize("give_up", [give_up_asking, give_up_probing])
async def test_a_look_that_was_given_up_loses_neither_coverage_nor_what_is_wrong(
    tmp_path: Path, give_up: Callable[[Resilient], Awaitable[None]]
) -> None:
    drop(tmp_path, "a", coverage={"places": ["2301"]})
    drop(tmp_path, "b", hours=0.5, sha256="0" * 64)
    octets = (tmp_path / "a.csv").read_bytes()
    (tmp_path / "a.csv").unlink()
    os.mkfifo(tmp_path / "a.csv")  # whoever reads it waits for who writes it
    before = (tmp_path / "a.csv").stat()
    source = source_of(tmp_path)
    with capture_logs() as told:
        await give_up(source)
        await asyncio.to_thread((tmp_path / "a.csv").write_bytes, octets)
        os.utime(tmp_path / "a.csv", ns=(before.st_atime_ns, before.st_mtime_ns))  # nothing new for later looks
        within, beside = (claim(NOBODY, fact_type=FACT, place=place) for place in ("230103", "440300"))
        found = [await kind(source, one) for one in (held(NOBODY), beside, within)]
    assert found == [Kind.NOT_COVERED, Kind.NOT_COVERED, Kind.NO_RECORD]
    assert source.manifest.coverage[FACT].places == ("2301",)
    assert [one["file"] for one in told if one["event"] == "drop refused"] == ["b.manifest.json"]


async def test_two_rows_are_ambiguous(tmp_path: Path) -> None:
    row = f"{ZHANG.id_number},{ZHANG.name},held\n"
    drop(tmp_path, content="id,name,status\n" + row + row)
    assert await kind(source_of(tmp_path), held()) is Kind.AMBIGUOUS


async def test_a_configured_key_makes_the_signature_compulsory_and_exact(tmp_path: Path) -> None:
    private, folder = Ed25519PrivateKey.generate(), tmp_path / "drops"
    folder.mkdir()
    (tmp_path / "key.pem").write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    drop(folder)
    source = source_of(folder, public_key_file=str(tmp_path / "key.pem"))
    assert await kind(source, held()) is Kind.UNAVAILABLE
    manifest, signature = (folder / "a.manifest.json").read_bytes(), folder / "a.manifest.json.sig"
    for bad in (Ed25519PrivateKey.generate().sign(manifest), private.sign(manifest + b" "), b"", b"x" * 64):
        signature.write_bytes(bad)
        assert await kind(source, held()) is Kind.UNAVAILABLE
        assert "signature" in (await source.probe()).detail
    signature.write_bytes(private.sign(manifest))
    assert await kind(source, held()) is Kind.MATCH


@pytest.mark.parametrize(
    "change", [{"folder": ""}, {"folder": None}, {"public_key_file": "/none"}, {"facts": {FACT: {}}}]
)
def test_a_wrong_stanza_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(StanzaError, match=next(iter(change))):
        source_of(tmp_path, **change)
