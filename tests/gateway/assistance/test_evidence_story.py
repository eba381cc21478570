"""A pack tells what became of its commitment and what it rests on, proves it, and is refused where that is forged."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.bootstrap.flows import pack_circumstances
from gateway.bootstrap.ledger import open_master_keys
from gateway.cli import cli
from gateway.commands.options import read_config
from gateway.evidence_pack.archive import MANIFEST, manifest, pack_together, read_archive, write_archive
from gateway.evidence_pack.check import OF_STORY
from gateway.evidence_pack.checking import Believed, Report, check_pack
from gateway.evidence_pack.collecting import collect, readmes
from gateway.founding import House
from gateway.pki import Authority, der
from gateway.v1 import commitment_pb2 as pb
from gateway.v1 import commitment_pb2_grpc
from ledger import EntryUnpublished, Erased, VaultGroup
from ledger.commands import RecordReader, prove
from ledger.completeness.proof import CompletenessProof, format_completeness, parse_completeness
from ledger.receipt import parse_receipt
from tests import started
from tests.gateway.journeys.conftest import signature
from tests.gateway.journeys.test_signatures import request
from tests.gateway.verification.village import PEOPLE, Village, inside, serving

from .hall import CIVIL, TIMEOUT, Hall, hall, new_id, operator

STORY, COMPLETE, TOLD, ELIGIBLE = OF_STORY
EARLIER = ("nothing.json", "older.json")
"""Proofs by earlier indexes: that there was no such commitment yet, and that all of it is told up to then."""
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
INSIDE = "档案室卷宗"
"""What people of another department wrote."""


def stub(village: Village) -> commitment_pb2_grpc.CommitmentServiceAsyncStub:
    return commitment_pb2_grpc.CommitmentServiceStub(village.channel())


async def climbed(house: Hall, number: str) -> str:
    """Ask people and check, about each fact, until only a commitment is left; returns the last verification."""
    first = await house.ask(number=number)
    await house.all_answered(first.verification.record, "NO_RECORD")
    await house.all_checked((await house.ask(number=number)).verification.record, "NO_RECORD")
    return (await house.ask(number=number)).verification.record


async def committed(village: Village, verification: str) -> str:
    asked = pb.PrepareCommitmentRequest(
        request_id=new_id(), verification=verification, operator=operator("clerk")
    )  # fmt: skip
    document = await stub(village).PrepareCommitment(asked, timeout=TIMEOUT)
    key, person = ec.generate_private_key(ec.SECP256R1()), PEOPLE[0]
    authority = Authority.load(*village.house.signers())
    certificate = authority.person(
        person.name, person.id_number, key, now=datetime.now(UTC), valid=timedelta(days=1)
    )  # fmt: skip
    evidence = signature(document.document, key, der(certificate))
    await stub(village).RecordCommitment(request(document, evidence), timeout=TIMEOUT)
    return document.record


async def withdraw(village: Village, record: str) -> None:
    asked = pb.WithdrawCommitmentRequest(
        request_id=new_id(), record=record, reason="改交材料", operator=operator("clerk")
    )  # fmt: skip
    await stub(village).WithdrawCommitment(asked, timeout=TIMEOUT)


async def packed(village: Village, record: str) -> dict[str, bytes]:
    asked = pb.GetEvidencePackRequest(record=record)
    files = read_archive((await stub(village).GetEvidencePack(asked, timeout=TIMEOUT)).pack)
    return {name: content for name, content in files.items() if name != MANIFEST}


def checked(house: House, files: Mapping[str, bytes]) -> Report:
    return check_pack(write_archive(files), Believed(vkey=house.vkey.read_text().strip()))


def failed(house: House, files: Mapping[str, bytes]) -> set[str]:
    return {check.name for check in checked(house, files).failures}


def checked_alone(folder: Path, files: Mapping[str, bytes], *flags: str) -> subprocess.CompletedProcess[str]:
    """Run check.py of a pack, alone; with no flags as the README says."""
    folder.mkdir()
    for name, content in {**files, MANIFEST: b""}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return subprocess.run(
        [sys.executable, *(flags or ("-I",)), "check.py"], cwd=folder, check=False, capture_output=True, text=True,
        timeout=60, env={"LANG": "C.UTF-8"},
    )  # fmt: skip


def commit_index(house: House) -> None:
    done = CliRunner().invoke(cli, ["ledger", "index", "commit", "--config", str(house.config)])
    assert done.exit_code == 0, done.output


def told(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return json.loads(files[STORY])["rests_on"]  # type: ignore[no-any-return]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "house").mkdir()
    return tmp_path / "house"


@asynccontextmanager
async def recorded(folder: Path, *, verdict_only: bool = False) -> AsyncIterator[tuple[Hall, str]]:
    async with hall(folder, verdict_only=verdict_only) as house:
        yield house, await committed(house.village, await climbed(house, "办2026-0001"))


def proved(house: House, record: str, url: str = "") -> CompletenessProof:
    """Prove by the newest index, or that of a copy of the ledger, which are all entries of a record."""
    settings = read_config(house.config)
    verifiers = pack_circumstances(settings).keys().verifiers
    with RecordReader(
        url or settings.ledger.url, origin=settings.ledger.origin, master_keys=open_master_keys(settings.ledger),
        verifiers=verifiers,
    ) as reader:  # fmt: skip
        proofs = reader.complete([bytes.fromhex(record)])
    assert proofs is not None
    return parse_completeness(proofs[0])


def proved_in(house: House, proof: CompletenessProof, files: Mapping[str, bytes]) -> bytes:
    """Write a proof by an older index against the checkpoint of a pack."""
    size = int(files["checkpoint.txt"].split(b"\n")[1])
    receipt = prove(read_config(house.config).ledger.url, parse_receipt(proof.receipt).index, size)
    return format_completeness(replace(proof, receipt=receipt))


async def forgeable(folder: Path) -> tuple[House, dict[str, bytes], dict[str, bytes]]:
    """Write the pack of a commitment that was withdrawn after the index, and one of another case.

    Beside the files of the other one are proofs of the first commitment by indexes that came before.
    """
    async with hall(folder) as house:
        founded = house.village.house
        verifications = [await climbed(house, number) for number in ("办2026-0001", "办2026-0002")]
    commit_index(founded)
    before = shutil.copy(read_config(founded.config).ledger.url.removeprefix("sqlite:///"), folder / "before.sqlite3")
    async with serving(founded) as village:
        records = [await committed(village, one) for one in verifications]
    commit_index(founded)
    nothing = proved(founded, records[0], f"sqlite:///{before}")
    older = proved(founded, records[0])
    async with serving(founded) as village:
        await packed(village, records[0])  # which is recorded, so that the next index is another one
    commit_index(founded)
    async with serving(founded) as village:
        await withdraw(village, records[0])
        mine, other = [await packed(village, record) for record in records]
    earlier = [proved_in(founded, proof, mine) for proof in (nothing, older)]
    return founded, mine, other | dict(zip(EARLIER, earlier, strict=True))


@pytest.fixture(scope="module")
def forging(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, dict[str, bytes], dict[str, bytes]]:
    return asyncio.run(forgeable(tmp_path_factory.mktemp("forging")))


async def test_a_pack_tells_whom_the_unit_asked_when_and_that_they_answered(home: Path, tmp_path: Path) -> None:
    async with recorded(home) as (house, record):
        files = await packed(house.village, record)

        report = checked(house.village.house, files)
        assert report.failures == ()
        assert report.told["rests on"] == "2 AssistanceSent, 2 CheckRecorded, 3 VerificationAnswered"
        units = [one["facts"]["value"]["unit"] for one in told(files)]  # type: ignore[index]
        assert units.count(CIVIL) == 2
        done = checked_alone(tmp_path / "alone", files)
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("AssistanceAnswered") == 2
        assert CIVIL in done.stdout
        answer = json.loads(files[TOLD])["value"]
        assert answer["next_step"]["kind"] == "COMMITMENT"
        assert json.loads(files[ELIGIBLE])["group"] == "eligibility"


async def test_a_pack_after_withdrawal_says_so_and_one_without_an_index_that_nothing_more_is_not_proved(
    home: Path,
    tmp_path: Path,
) -> None:
    async with recorded(home) as (house, record):
        before = checked(house.village.house, await packed(house.village, record))
        await withdraw(house.village, record)
        files = await packed(house.village, record)

        assert before.told["state"].startswith("RECORDED since ")
        after = checked(house.village.house, files)
        assert after.failures == ()
        assert after.told["state"].startswith("WITHDRAWN since ")
        assert after.told["nothing else recorded"].startswith("not proved")
        done = checked_alone(tmp_path / "alone", files)
        assert "CommitmentWithdrawn" in done.stdout
        assert "NOT PROVED: that nothing else was recorded of the commitment, such as a withdrawal" in done.stdout
        assert "没有 `complete.json`" in files["README.zh-CN.md"].decode()


async def test_where_the_index_covers_it_nothing_else_was_recorded_and_what_came_later_is_told_as_later(
    home: Path,
    tmp_path: Path,
) -> None:
    async with recorded(home) as (house, record):
        founded = house.village.house
    commit_index(founded)
    out = tmp_path / "pack.zip"
    exported = CliRunner().invoke(
        cli, ["evidence", "export", "--config", str(founded.config), "--out", str(out), record]
    )  # fmt: skip
    assert exported.exit_code == 0, exported.output
    covered = read_archive(out.read_bytes())
    report = checked(founded, {name: one for name, one in covered.items() if name != MANIFEST})
    assert report.failures == ()
    assert report.told["nothing else recorded"].startswith("proved for the first ")
    assert "behind" not in report.told["nothing else recorded"]
    assert "再无其他记载" in covered["README.zh-CN.md"].decode()
    async with serving(founded) as village:
        await withdraw(village, record)
        files = await packed(village, record)
        later = checked(founded, files)
    assert later.failures == ()
    assert later.told["state"].startswith("WITHDRAWN since ")
    assert later.told["nothing else recorded"].endswith("the index is behind: 1 entries that are shown came later")
    done = checked_alone(tmp_path / "alone", files)
    assert done.returncode == 0, done.stdout
    assert "Of the commitment: nothing else among the first" in done.stdout


class Interrupted(RecordReader):
    """Reads beside a gateway that goes on: something happens once it was asked what is published."""

    def __init__(self, house: House, meanwhile: Callable[[], object]) -> None:
        settings = read_config(house.config)
        self.circumstances = pack_circumstances(settings)
        super().__init__(
            settings.ledger.url,
            origin=settings.ledger.origin,
            master_keys=open_master_keys(settings.ledger),
            verifiers=self.circumstances.keys().verifiers,
        )
        self._meanwhile = meanwhile

    def published(self) -> int:
        size = super().published()
        self._meanwhile()
        return size


async def collected(reader: Interrupted, record: str) -> bytes:
    with reader:
        return await asyncio.to_thread(lambda: collect(reader, bytes.fromhex(record), reader.circumstances))


async def test_a_pack_is_as_of_one_checkpoint_though_others_are_published_while_it_is_made(home: Path) -> None:
    async with recorded(home) as (house, record):
        founded, loop = house.village.house, asyncio.get_running_loop()
        sizes: list[int] = []

        def withdrawn() -> None:
            asyncio.run_coroutine_threadsafe(withdraw(house.village, record), loop).result(TIMEOUT)

        reader = Interrupted(founded, lambda: (sizes.append(RecordReader.published(reader)), withdrawn()))
        pack = await collected(reader, record)
        report = check_pack(pack, Believed(vkey=founded.vkey.read_text().strip()))

        assert report.failures == ()
        assert report.told["size"] == str(sizes[0])
        assert report.told["state"].startswith("RECORDED since ")
        assert checked(founded, await packed(house.village, record)).told["state"].startswith("WITHDRAWN since ")


def begins(files: Mapping[str, bytes]) -> list[int]:
    """List at which entry each record of a pack begins, the commitment first."""
    lives = [json.loads(files[STORY])["commitment"], *told(files)]
    return [parse_receipt(life["receipts"][0].encode()).index for life in lives]


def indexes(files: Mapping[str, bytes]) -> list[int | None]:
    """List of how many entries the index is that each record is proved to be told whole by, the commitment first."""
    proofs = [json.loads(files[COMPLETE]) if COMPLETE in files else None, *(one["complete"] for one in told(files))]
    return [None if proof is None else proof["index"]["size"] for proof in proofs]


class Read(Interrupted):
    """Reads beside a gateway that goes on: something happens before a document is read that is not the first one."""

    def document(self, index: int) -> Mapping[str, VaultGroup] | Erased:
        self.documents = getattr(self, "documents", 0) + 1
        if self.documents == 4:
            self._between()
        return super().document(index)

    def __init__(self, house: House, meanwhile: Callable[[], object]) -> None:
        super().__init__(house, lambda: None)
        self._between = meanwhile


@pytest.mark.parametrize("reading", [Interrupted, Read])
@pytest.mark.parametrize("indexed", [False, True])
async def test_a_pack_has_every_proof_of_one_index_though_another_is_committed_to_while_it_is_made(
    home: Path, *, reading: type[Interrupted], indexed: bool
) -> None:
    async with recorded(home) as (house, record):
        founded = house.village.house
    if indexed:
        commit_index(founded)
    async with serving(founded) as village:
        await withdraw(village, record)
    async with inside(founded) as here:
        committed = []
        reader = reading(founded, lambda: committed.append(here.ledger.commit_index(datetime.now(UTC)).size))
        pack = await collected(reader, record)
    report = check_pack(pack, Believed(vkey=founded.vkey.read_text().strip()))

    assert report.failures == ()
    found = indexes({name: one for name, one in read_archive(pack).items() if name != MANIFEST})
    assert len(found) == 8
    assert len(set(found)) == 1
    assert committed
    if reading is Interrupted:
        assert found[0] == committed[0]
    else:
        assert (found[0] is not None) is indexed


async def test_packs_are_whole_at_every_moment_of_a_log_that_signs_and_indexes_by_the_clock(home: Path) -> None:
    tune = {
        'signing = "inline"': 'signing = "interval"',
        'publish_every = "1s"': 'publish_every = "100ms"',
        'index_every = "1h"': 'index_every = "200ms"',
    }
    found = set()
    async with hall(home, tune=tune) as house:
        record = await committed(house.village, await climbed(house, "办2026-0001"))
        founded = house.village.house
    async with serving(founded) as village:
        while len(found) <= 4:
            for files in await asyncio.gather(*(packed(village, record) for _ in range(4))):
                assert failed(founded, files) == set()
                size = max((one for one in indexes(files) if one is not None), default=0)
                assert indexes(files) == [size if begun < size else None for begun in begins(files)]
                found.add(size)


async def test_a_commitment_that_no_checkpoint_covers_yet_has_no_pack_yet(home: Path) -> None:
    async with hall(home) as house:
        founded, loop = house.village.house, asyncio.get_running_loop()
        verification = await climbed(house, "办2026-0001")
        made: list[str] = []

        def commit() -> None:
            made.append(asyncio.run_coroutine_threadsafe(committed(house.village, verification), loop).result(TIMEOUT))

        with Interrupted(founded, commit) as reader:
            before = await asyncio.to_thread(reader.published)
        late = Interrupted(founded, lambda: None)
        late.published = lambda: before  # type: ignore[method-assign]  # what a slow machine still has in hand
        with pytest.raises(EntryUnpublished):
            await collected(late, made[0])
        assert failed(founded, await packed(house.village, made[0])) == set()


@pytest.mark.parametrize("verdict_only", [False, True])
async def test_what_others_wrote_and_what_a_verdict_hides_is_not_in_a_pack(
    home: Path, tmp_path: Path, verdict_only: bool
) -> None:
    async with recorded(home, verdict_only=verdict_only) as (house, record):
        files = await packed(house.village, record)

    assert failed(house.village.house, files) == set()
    groups = {json.loads(content)["group"] for name, content in files.items() if name.endswith(".disclosure.json")}
    assert groups == {"answer", "document", "eligibility", "signature"}
    assert {one["facts"]["group"] for one in told(files)} == {"facts"}  # type: ignore[index]
    everything = b"".join(content for name, content in files.items() if name != "letter.pdf").decode("utf-8", "replace")
    assert INSIDE not in everything
    assert (json.loads(files[TOLD])["value"]["facts"] == []) is verdict_only


async def test_an_older_pack_verifies_and_the_report_says_what_it_lacks(home: Path, tmp_path: Path) -> None:
    async with recorded(home) as (house, record):
        files = await packed(house.village, record)
    old = {name: content for name, content in files.items() if name not in OF_STORY}

    report = checked(house.village.house, old)
    assert report.failures == ()
    assert len(report.not_proved) == 1
    assert "what became of the commitment later" in report.not_proved[0]
    assert "state" not in report.told
    done = checked_alone(tmp_path / "alone", old)
    assert done.returncode == 0
    assert f"NOT PROVED: {report.not_proved[0]}" in done.stdout


def story_of(files: Mapping[str, bytes], **changed: object) -> bytes:
    return json.dumps({**json.loads(files[STORY]), **changed}, ensure_ascii=False, separators=(",", ":")).encode()


def cut(life: Mapping[str, object], at: int) -> dict[str, object]:
    """Leave out one receipt of a life."""
    receipts = life["receipts"]
    assert isinstance(receipts, list)
    return {**life, "receipts": [one for index, one in enumerate(receipts) if index != at]}


def ends(life: Mapping[str, object], after: int) -> dict[str, object]:
    """Leave out all receipts of a life but the first so many."""
    receipts = life["receipts"]
    assert isinstance(receipts, list)
    return {**life, "receipts": receipts[:after]}


FORGERIES = [
    "the withdrawal left out and the index swapped",
    "an entry left out that the index has",
    "an entry of the middle left out",
    "the first entry left out",
    "the last entry twice",
    "the life of another commitment",
    "an entry of another record at the end",
    "a request of another case",
    "a request of another case with the facts of this one",
    "a request of another case as one that is erased in the place of the verification",
    "another commitment as what it rests on",
    "a record twice",
    "the verification left out",
    "an entry of a request left out",
    "facts of another entry",
    "no facts of the commitment",
    "the answer of another case",
    "another group as the answer",
    "no answer",
    "the eligibility of another case",
    "no eligibility",
    "the index of another commitment",
    "an index that nobody committed to",
    "no story",
    "what came last in a request left out",
    "the proof of another request",
    "the proof of a request of an index that nobody committed to",
    "a proof that is none",
    "a proof of the commitment in its life",
    "the withdrawal left out and the proof of the commitment taken out",
    "what came last in a request left out and its proof taken out",
    "what came last in a request left out and its proof as in older packs",
    "a proof of an older index",
    "the proof that there was nothing of the commitment",
    "another member of the story",
    "a member of the story twice",
    "another member of a life",
    "another member of what is disclosed",
    "a story that is nested too deeply",
]


def forge(name: str, mine: Mapping[str, bytes], other: Mapping[str, bytes]) -> dict[str, bytes]:
    """Write the files of a pack in which one thing is forged."""
    story, theirs = json.loads(mine[STORY]), json.loads(other[STORY])
    life, rested = story["commitment"], story["rests_on"]
    sent = next(at for at, one in enumerate(rested) if len(one["receipts"]) > 2)
    request_ = next(one for one in theirs["rests_on"] if len(one["receipts"]) > 2)
    verification = json.loads(mine["document.json"])["verification"]
    asked = next(at for at, one in enumerate(rested) if json.loads(mine[TOLD])["receipt"] in one["receipts"])
    assert len(verification) == 32
    complete = json.loads(mine[COMPLETE])
    unproved = {name: one for name, one in ends(rested[sent], 1).items() if name != "complete"}
    wrong: dict[str, dict[str, bytes | None]] = {
        "the withdrawal left out and the index swapped": {
            STORY: story_of(mine, commitment=cut(life, 2)),
            COMPLETE: other[COMPLETE],
        },
        "an entry left out that the index has": {STORY: story_of(mine, commitment=cut(cut(life, 2), 1))},
        "an entry of the middle left out": {STORY: story_of(mine, commitment=cut(life, 1))},
        "the first entry left out": {STORY: story_of(mine, commitment=cut(life, 0))},
        "the last entry twice": {
            STORY: story_of(mine, commitment={**life, "receipts": [*life["receipts"], life["receipts"][-1]]})
        },
        "the life of another commitment": {STORY: story_of(mine, commitment=theirs["commitment"])},
        "an entry of another record at the end": {
            STORY: story_of(
                mine, commitment={**life, "receipts": [*life["receipts"], theirs["commitment"]["receipts"][0]]}
            )
        },
        "a request of another case": {STORY: story_of(mine, rests_on=[*rested, request_])},
        "a request of another case with the facts of this one": {
            STORY: story_of(mine, rests_on=[*rested, {**request_, "facts": rested[sent]["facts"]}])
        },
        "a request of another case as one that is erased in the place of the verification": {
            STORY: story_of(mine, rests_on=[*rested[:asked], *rested[asked + 1 :], {**request_, "facts": None}])
        },
        "another commitment as what it rests on": {
            STORY: story_of(mine, rests_on=[*rested, {**theirs["commitment"], "facts": None}])
        },
        "a record twice": {STORY: story_of(mine, rests_on=[*rested, rested[sent]])},
        "the verification left out": {STORY: story_of(mine, rests_on=[*rested[:asked], *rested[asked + 1 :]])},
        "an entry of a request left out": {
            STORY: story_of(mine, rests_on=[*rested[:sent], cut(rested[sent], 1), *rested[sent + 1 :]])
        },
        "facts of another entry": {
            STORY: story_of(
                mine, rests_on=[*rested[:sent], {**rested[sent], "facts": life["facts"]}, *rested[sent + 1 :]]
            )
        },
        "no facts of the commitment": {STORY: story_of(mine, commitment={**life, "facts": None})},
        "the answer of another case": {TOLD: other[TOLD]},
        "another group as the answer": {TOLD: mine[ELIGIBLE]},
        "no answer": {TOLD: None},
        "the eligibility of another case": {ELIGIBLE: other[ELIGIBLE]},
        "no eligibility": {ELIGIBLE: None},
        "the index of another commitment": {COMPLETE: other[COMPLETE]},
        "an index that nobody committed to": {
            COMPLETE: json.dumps(
                {**complete, "index": {**complete["index"], "size": 9_999}}, separators=(",", ":")
            ).encode()
        },
        "no story": {STORY: None},
        "what came last in a request left out": {
            STORY: story_of(mine, rests_on=[*rested[:sent], ends(rested[sent], 1), *rested[sent + 1 :]])
        },
        "the proof of another request": {
            STORY: story_of(mine, rests_on=[{**one, "complete": rested[asked]["complete"]} for one in rested])
        },
        "the proof of a request of an index that nobody committed to": {
            STORY: story_of(
                mine,
                rests_on=[
                    {**one, "complete": {**one["complete"], "index": {"root": "0" * 64, "size": 1}}} for one in rested
                ],
            )
        },
        "the withdrawal left out and the proof of the commitment taken out": {
            STORY: story_of(mine, commitment=cut(life, 2)),
            COMPLETE: None,
        },
        "what came last in a request left out and its proof taken out": {
            STORY: story_of(mine, rests_on=[*rested[:sent], {**unproved, "complete": None}, *rested[sent + 1 :]])
        },
        "what came last in a request left out and its proof as in older packs": {
            STORY: story_of(mine, rests_on=[*rested[:sent], unproved, *rested[sent + 1 :]])
        },
        "a proof of an older index": {COMPLETE: other[EARLIER[1]]},
        "the proof that there was nothing of the commitment": {COMPLETE: other[EARLIER[0]]},
        "a proof of the commitment in its life": {STORY: story_of(mine, commitment={**life, "complete": complete})},
        "another member of the story": {STORY: story_of(mine, withdrawn="never")},
        "a member of the story twice": {STORY: b'{"commitment":{"facts":null,"receipts":[]},' + mine[STORY][1:]},
        "another member of a life": {STORY: story_of(mine, commitment={**life, "state": "GRANTED"})},
        "another member of what is disclosed": {TOLD: mine[TOLD][:-1] + b',"verdict":"AGREES"}'},
        "a story that is nested too deeply": {STORY: b'{"commitment":' + b"[" * 100_000 + b"]" * 100_000 + b"}"},
        "a proof that is none": {STORY: story_of(mine, rests_on=[{**one, "complete": {}} for one in rested])},
    }
    assert sorted(wrong) == sorted(FORGERIES)
    return {file: content for file, content in {**mine, **wrong[name]}.items() if content is not None}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_story_is_refused_by_us_and_by_check_py(
    forging: tuple[House, dict[str, bytes], dict[str, bytes]], tmp_path: Path, name: str
) -> None:
    house, mine, other = forging
    assert (
        failed(house, mine) == failed(house, {name: one for name, one in other.items() if name not in EARLIER}) == set()
    )
    forged = forge(name, mine, other)

    assert failed(house, forged) & {"life", "foundation"}
    done = checked_alone(tmp_path / "forged", forged)
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert done.stderr == ""


def respelled(name: str, text: str, change: Callable[[str], str]) -> Callable[[Mapping[str, bytes]], dict[str, bytes]]:
    """Change what the first match of a pattern has as its group."""

    def write(files: Mapping[str, bytes]) -> dict[str, bytes]:
        whole = files[name].decode()
        found = re.search(text, whole)
        assert found is not None
        start, end = found.span(1)
        return {**files, name: (whole[:start] + change(whole[start:end]) + whole[end:]).encode()}

    return write


def otherwise(name: str, change: Callable[[bytes], bytes]) -> Callable[[Mapping[str, bytes]], dict[str, bytes]]:
    return lambda files: {**files, name: change(files[name])}


def loose(content: bytes) -> bytes:
    return json.dumps(json.loads(content), ensure_ascii=False, sort_keys=True).encode()


SPELLINGS: dict[str, Callable[[Mapping[str, bytes]], dict[str, bytes]]] = {
    "blanks in story.json": otherwise(STORY, loose),
    "blanks in complete.json": otherwise(COMPLETE, loose),
    "blanks in a disclosure": otherwise("recorded.disclosure.json", loose),
    "escapes in a disclosure": otherwise(
        "prepared.disclosure.json", lambda one: one.replace("示".encode(), b"\\u793a", 1)
    ),
    "a newline behind story.json": otherwise(STORY, lambda one: one + b"\n"),
    "a blank in base64": respelled(STORY, r"extra (\w{8})", lambda one: one[:4] + " " + one[4:]),
    "stray bits in base64": respelled(
        "recorded.tlog-proof", r"\n[\w+/]{42}([\w+/])=\n", lambda one: BASE64[BASE64.index(one) ^ 1]
    ),
    "an index with a sign": respelled(STORY, r"index (\d+)", lambda one: f"+{one}"),
    "an index with a zero before it": respelled("recorded.tlog-proof", r"index (\d+)", lambda one: f"0{one}"),
    "a salt in capitals": respelled(STORY, r'"salt":"(\w+)"', str.upper),
    "a salt with blanks": respelled(STORY, r'"salt":"(\w+)"', lambda one: one[:2] + " " + one[2:]),
    "a hash of the index in capitals": respelled(COMPLETE, r'"path":\["(\w+)"', str.upper),
    "a proof of another version": respelled(COMPLETE, r'"chengxin/completeness@v(1)"', lambda _: "2"),
    "a disclosure of another version": respelled(STORY, r'"chengxin/disclosure@v(1)"', lambda _: "2"),
    "another record in the place of the commitment": respelled(
        COMPLETE, r'"stands":(null)', lambda _: json.dumps({"key": "0" * 64, "value": "0" * 64}, separators=(",", ":"))
    ),
    "another signature in a receipt": respelled(
        STORY, "\u2014 \\S+ [\\w+/]{20}([\\w+/])", lambda one: BASE64[BASE64.index(one) ^ 1]
    ),
    "no signature in a receipt": respelled(STORY, "(\u2014 [^\\\\]+)", lambda _: ""),
    "a signature more in a receipt": respelled(
        STORY, "(\u2014 [^\\\\]+\\\\n)", lambda one: one + "\u2014 other AAAAAAAA\\n"
    ),
    "a receipt that does not end": otherwise("recorded.tlog-proof", lambda one: one[:-1]),
    "another signature of the checkpoint": otherwise("checkpoint.sig", lambda one: one[:-1] + bytes([one[-1] ^ 1])),
    "a byte behind the signature of the checkpoint": otherwise("checkpoint.sig", lambda one: one + b"\n"),
    "the log's key without its newline": otherwise("log.vkey", lambda one: one[:-1]),
    "a line more in the history of keys": otherwise("log.history", lambda one: one + b"\n"),
    "a byte behind the history of keys": otherwise("log.history", lambda one: one + b"0"),
    "another range in the history of keys": otherwise("log.history", lambda one: one.replace(b"\n0- ", b"\n0-9999 ")),
    "a history of keys of another version": otherwise("log.history", lambda one: one.replace(b" v1\n", b" v2\n")),
    "the key of another": lambda files: {**files, "signer-key.pem": files["log-key.pem"]},
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_what_is_written_otherwise_than_packs_have_it_is_refused_by_us_and_by_check_py(
    forging: tuple[House, dict[str, bytes], dict[str, bytes]], tmp_path: Path, name: str
) -> None:
    house, mine, _ = forging
    forged = SPELLINGS[name](mine)
    assert forged != mine

    assert failed(house, forged)
    done = checked_alone(tmp_path / "forged", forged)
    assert done.returncode == 1, done.stdout
    assert "FAILED" in done.stdout
    assert done.stderr == ""


async def test_a_pack_after_the_logs_key_changed_verifies_and_its_history_says_what_its_entries_say(
    home: Path, tmp_path: Path
) -> None:
    async with recorded(home) as (house, record):
        founded = house.village.house
    for number, act in enumerate(("rotate", "retire")):
        done = CliRunner().invoke(cli, ["keys", act, "--config", str(founded.config)])
        assert done.exit_code == 0, done.output
        async with serving(founded) as village:
            files = await packed(village, record)
        assert failed(founded, files) == set()
        alone = checked_alone(tmp_path / f"{number}", files)
        assert alone.returncode == 0, alone.stdout
        first = files["log.history"].split(b"\n")[3]
        assert first.startswith(b"0-")
        assert first.startswith(b"0- ") is (act == "rotate")
        for other, (before, after) in enumerate(
            ((b"\n0-", b"\n1-"), (b"added 1", b"added 2"), (b"added 1", b"retired 1"))
        ):
            forged = {**files, "log.history": files["log.history"].replace(before, after, 1)}
            assert "receipt" in failed(founded, forged)
            assert checked_alone(tmp_path / f"{number}-{other}", forged).returncode == 1


@pytest.mark.parametrize("flags", ["-I", "-B"])
def test_a_module_of_python_that_came_in_a_pack_is_refused_and_never_run(
    forging: tuple[House, dict[str, bytes], dict[str, bytes]], tmp_path: Path, flags: str
) -> None:
    house, mine, _ = forging
    imported = [one for one in ast.walk(ast.parse(mine["check.py"])) if isinstance(one, ast.Import | ast.ImportFrom)]
    modules = {name.name for one in imported if isinstance(one, ast.Import) for name in one.names}
    modules |= {str(one.module) for one in imported if isinstance(one, ast.ImportFrom)}
    assert modules > {"hashlib", "json", "pathlib", "sys"}
    for number, names in enumerate(({"json"}, {"hashlib"}, modules | {"encodings", "enum", "functools", "os", "site"})):
        files = {f"{name}.py": b"import os\nprint('ok    ', flush=True)\nos._exit(0)\n" for name in names}
        forged = {**mine, **files, "document.json": mine["document.json"].replace("示例路".encode(), "伪造路".encode())}

        assert failed(house, forged) >= {"files", "document"}
        done = checked_alone(tmp_path / str(number), forged, flags)
        assert done.returncode == 1
        assert f"FAILED every file here is one of this pack, but not {', '.join(sorted(files))}" in done.stdout


def test_what_lies_beside_a_pack_and_is_no_part_of_any_is_told_and_fails_nothing(
    forging: tuple[House, dict[str, bytes], dict[str, bytes]], tmp_path: Path
) -> None:
    _, mine, _ = forging
    names = ["01a2.zip", "Thumbs.db", "desktop.ini", "log.pub", "result.txt", "结果.txt"]
    done = checked_alone(tmp_path / "well", {**mine, **dict.fromkeys([*names, "older/letter.pdf"], b"")})
    assert done.returncode == 0, done.stdout
    assert "ok     every file here is one of this pack\n" in done.stdout
    assert f"NOT CHECKED, for no pack has such files: {', '.join(sorted([*names, 'older']))}\n" in done.stdout


@pytest.mark.parametrize(
    "name",
    [
        "handwriting.png", "assertion.txt", "staff-key-revoked.tlog-proof", "authority-7.pem", "document (1).json",
        "Document.JSON", "document.json ", "revocation-9.ocsp.txt", "ｄｏｃｕｍｅｎｔ.json", "manifest", "openssl.exe",
        "_json.so", "sitecustomize.PY", "json/__init__.py",
    ],
)  # fmt: skip
def test_what_could_be_taken_for_a_part_of_a_pack_or_be_run_fails_it(
    forging: tuple[House, dict[str, bytes], dict[str, bytes]], tmp_path: Path, name: str
) -> None:
    _, mine, _ = forging
    done = checked_alone(tmp_path / "forged", {**mine, name: b""})
    assert done.returncode == 1
    assert f"FAILED every file here is one of this pack, but not {name.partition('/')[0]}\n" in done.stdout


def test_of_what_a_commitment_rests_on_all_is_told_and_what_is_not_proved_is_told_as_that(
    forging: tuple[House, dict[str, bytes], dict[str, bytes]], tmp_path: Path
) -> None:
    house, mine, _ = forging
    rested = json.loads(mine[STORY])["rests_on"]
    verification = json.loads(mine["document.json"])["verification"]
    size = json.loads(mine[COMPLETE])["index"]["size"]
    without = [{name: one for name, one in life.items() if name != "complete"} for life in rested]  # as older packs
    of_one = [ends({**life, "complete": None}, 1) for life in rested]
    fewer = [life for life in rested if life["complete"]["record"] == verification]
    for number, (told, proof) in enumerate(
        (
            (rested, f"proved of 7 of 7, for the first {size} entries of the log"),
            (without, "proved of 0 of 7"),
            (of_one, "proved of 0 of 7"),
            (fewer, f"proved of 1 of 1, for the first {size} entries of the log"),
        )
    ):
        files = {**mine, STORY: story_of(mine, rests_on=told)}
        proved = 0 if "0 of" in proof else len(told)
        if not proved:
            del files[COMPLETE]  # else it shows that the others were taken out
        report = checked(house, files)
        assert report.failures == ()
        assert report.told["nothing else recorded of these"] == proof
        assert report.told["rests on nothing else"] == "not proved"
        done = checked_alone(tmp_path / str(number), files)
        assert done.returncode == 0, done.stdout
        assert done.stdout.count(f"; nothing else among the first {size} entries") == proved
        assert done.stdout.count("; NOT PROVED: that nothing else was recorded of it") == len(told) - proved
        assert re.findall("^NOT PROVED: (.*)$", done.stdout, re.M) == list(report.not_proved)
        assert len(report.not_proved) == (1 if proved else 3)
        assert ("story.json tells all" in done.stdout) is bool(proved)
        assert ("is not proved" in report.told["state"]) is not bool(proved)
        pack = tmp_path / f"{number}.zip"
        pack.write_bytes(write_archive(files))
        verify = ("evidence", "verify", pack, "--vkey", house.vkey)
        shown, machine = (started.run(*verify, *more).stdout for more in ((), ("--json",)))
        assert re.findall("^NOT PROVED: (.*)$", shown, re.M) == list(report.not_proved)
        assert json.loads(machine)["not_proved"] == list(report.not_proved)
    assert "rests on nothing else is not proved" in " ".join(mine["README.md"].decode().split())
    assert "不能证明承诺再无其他依据" in mine["README.zh-CN.md"].decode()


async def test_an_index_that_does_not_reach_a_commitment_yet_is_no_proof_and_no_fault(
    home: Path, tmp_path: Path
) -> None:
    async with hall(home) as house:
        founded, verification = house.village.house, await climbed(house, "办2026-0001")
    commit_index(founded)
    async with serving(founded) as village:
        files = await packed(village, await committed(village, verification))

    report = checked(founded, files)
    assert report.failures == ()
    assert report.told["nothing else recorded"].startswith("not proved")
    assert report.told["nothing else recorded of these"].startswith("proved of 7 of 7")
    done = checked_alone(tmp_path / "alone", files)
    assert done.returncode == 0, done.stdout
    assert "NOT PROVED: that nothing else was recorded of the commitment" in done.stdout
    assert "story.json tells all that was recorded of 7 of the 7 records that it rests on" in done.stdout


def test_what_a_forged_pack_says_cannot_move_the_cursor(
    forging: tuple[House, dict[str, bytes], dict[str, bytes]], tmp_path: Path
) -> None:
    house, mine, _ = forging
    over = "\x1b[1A\x1b[2Kok\u202e\x1b[8m"
    pack, named = tmp_path / "pack.zip", tmp_path / "named"
    for file, content in (
        (MANIFEST, manifest(mine) + f"{'0' * 64}  {over}\n".encode()),
        ("signature.json", mine["signature.json"].replace(b'"type":"certificate"', f'"type":"{over}"'.encode())),
    ):
        pack.write_bytes(pack_together({MANIFEST: manifest(mine), **mine, file: content}))
        done = CliRunner().invoke(cli, ["evidence", "verify", str(pack), "--vkey", str(house.vkey)])
        assert done.exit_code == 1
        assert done.output.replace("\n", "").isprintable()
    done = checked_alone(named, {**mine, over: b""})
    assert done.returncode == 1
    assert done.stdout.replace("\n", "").isprintable()
    assert r"but not \x1b[1A\x1b[2Kok\u202e\x1b[8m" in done.stdout


@pytest.mark.parametrize("added", [b"\x0b", b"\n", b"once more"])
def test_a_manifest_is_spelled_in_one_way(
    forging: tuple[House, dict[str, bytes], dict[str, bytes]], added: bytes
) -> None:
    house, mine, _ = forging
    line = manifest(mine).splitlines(keepends=True)[0]
    listed = manifest(mine) + (line if added == b"once more" else added)
    report = check_pack(pack_together({**mine, MANIFEST: listed}), Believed(vkey=house.vkey.read_text().strip()))
    assert {check.name for check in report.failures} == {"manifest"}


async def test_a_verification_whose_document_is_erased_keeps_its_receipts_and_the_readme_says_so(
    home: Path,
    tmp_path: Path,
) -> None:
    async with recorded(home) as (house, record):
        files = await packed(house.village, record)
    story = json.loads(files[STORY])
    asked = next(one for one in story["rests_on"] if json.loads(files[TOLD])["receipt"] in one["receipts"])
    asked["facts"] = None
    erased = {**files, STORY: story_of(files, rests_on=story["rests_on"])}
    del erased[TOLD]

    report = checked(house.village.house, erased)
    assert report.failures == ()
    assert report.told["erased"].startswith("1 records whose documents are erased")
    assert "(erased: what its case and person were is not shown)" in checked_alone(tmp_path / "alone", erased).stdout
    written = readmes(erased, json.loads(erased["signature.json"]))
    assert "documents of 1 of these records are erased" in written["README.md"].decode()
    assert "其中 1 条记录的文书已依法删除" in written["README.zh-CN.md"].decode()
