"""A gateway of several processes: one address, one ledger, and no answer lost when one of them is killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from grpc import aio

from gateway.client import open_channel
from gateway.demo import civil_affairs
from gateway.demo.people import Person, population
from gateway.founding import SYSTEMS, House, found
from gateway.v1 import parties_pb2, verification_pb2, verification_pb2_grpc
from ledger import parse_vkey, verify_receipt
from tests import started

SOURCES = """
[sources.civil-affairs]
kind = "sql"
department = "示例民政局"
url = "sqlite:///{file}"
[sources.civil-affairs.facts.marriage-registration]
coverage = "complete"
statement = "SELECT id_number, name, status FROM marriage WHERE id_number IN :keys"
key = "id_number"
name = "name"
columns = {{ status = "status" }}
values = {{ status = {{ "20" = "MARRIED", "30" = "WIDOWED", "40" = "DIVORCED" }} }}
"""


@dataclass(slots=True, kw_only=True)
class Running:
    """The processes, and where they answer."""

    house: House
    parent: subprocess.Popen[str]
    port: int
    person: Person

    def parts(self, part: str) -> list[int]:
        """The process ids of the parent's children that are such a part."""
        found_ids = []
        for path in Path("/proc").glob("[0-9]*/status"):
            try:
                told, command = path.read_text("ascii"), path.with_name("cmdline").read_bytes().split(b"\x00")
            except OSError:
                continue
            if re.search(rf"^PPid:\s+{self.parent.pid}$", told, re.MULTILINE) and part.encode() in command:
                found_ids.append(int(path.parent.name))
        return found_ids

    def channels(self, count: int = 8) -> list[aio.Channel]:
        certificate, key = self.house.pair("clerk")
        return [
            open_channel(
                f"127.0.0.1:{self.port}", authority=self.house.authority, certificate=certificate, key=key
            )
            for _ in range(count)
        ]  # fmt: skip

    def question(self, request_id: str | None = None) -> verification_pb2.VerifyRequest:
        return verification_pb2.VerifyRequest(
            request_id=request_id or str(uuid.uuid4()),
            context=parties_pb2.CaseContext(
                matter="230000-CIV-005",
                case_id="many",
                purpose="办理行政确认",
                operator=parties_pb2.Operator(person="clerk-01", unit=SYSTEMS["clerk"][0]),
            ),
            item="marital-status",
            subject=parties_pb2.Subject(
                id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=self.person.id_number, name=self.person.name
            ),
            parameters={"status": parties_pb2.Value(text="MARRIED")},
        )


@contextmanager
def running(home: Path, url: str, workers: int = 2) -> Iterator[Running]:
    people = population(1, 50)
    civil_affairs.build(home / "civil.sqlite3", people)
    sources = SOURCES.format(file=home / "civil.sqlite3")
    house = found(home / "var", now=datetime.now(UTC), sources=sources, url=url, listen="127.0.0.1:0")
    text = house.config.read_text("utf-8")
    assert "workers = 1 " in text
    house.config.write_text(text.replace("workers = 1 ", f"workers = {workers} "), "utf-8")
    with (home / "stderr").open("w") as said:
        parent = started.start("serve", "--config", house.config, stdout=subprocess.PIPE, stderr=said)
    assert parent.stdout is not None
    ready = parent.stdout.readline()
    assert ready.startswith("ready "), (home / "stderr").read_text()
    married = next(one for one in people if one.marital == "married")
    try:
        yield Running(house=house, parent=parent, port=int(ready.split()[1]), person=married)
    finally:
        parent.send_signal(signal.SIGTERM)
        parent.wait(30)
        parent.stdout.close()


async def answered(stub: verification_pb2_grpc.VerificationServiceAsyncStub, question: object) -> bytes:
    """Ask as a client does that repeats what was not available, until it is answered."""
    while True:
        try:
            answer = await stub.Verify(question, timeout=10)  # type: ignore[arg-type]
        except aio.AioRpcError as failure:
            if failure.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(0.05)
        else:
            return answer.SerializeToString()


async def ask_all(place: Running, count: int) -> list[bytes]:
    channels = place.channels()
    try:
        stubs = [verification_pb2_grpc.VerificationServiceStub(channel) for channel in channels]
        return await asyncio.gather(
            *(answered(stubs[turn % len(stubs)], place.question()) for turn in range(count))
        )  # fmt: skip
    finally:
        for channel in channels:
            await channel.close()


def require_one_history(place: Running, answers: list[bytes]) -> None:
    key = parse_vkey(place.house.vkey.read_text("utf-8"))
    proofs = [verification_pb2.VerifyResponse.FromString(answer).receipt.proof for answer in answers]
    verified = [verify_receipt(proof, [key], key.name) for proof in proofs]
    assert len({one.index for one in verified}) == len(answers)
    roots = {(one.size, one.root) for one in verified}
    assert len({size for size, _ in roots}) == len(roots)


def test_two_processes_answer_at_one_address_out_of_one_ledger(tmp_path: Path) -> None:
    with running(tmp_path, "sqlite:///ledger.sqlite3") as place:
        require_one_history(place, asyncio.run(ask_all(place, 60)))
        assert (len(place.parts("owner")), len(place.parts("first")), len(place.parts("further"))) == (1, 1, 1)
    assert place.parent.returncode == 0


@pytest.mark.postgres
def test_processes_on_postgresql_need_no_owner(tmp_path: Path, postgres_url: str) -> None:
    with running(tmp_path, postgres_url) as place:
        require_one_history(place, asyncio.run(ask_all(place, 60)))
        assert (len(place.parts("owner")), len(place.parts("first")), len(place.parts("further"))) == (0, 1, 1)
    assert place.parent.returncode == 0


@pytest.mark.parametrize("part", ["owner", "first", "further"])
def test_a_part_that_is_killed_comes_back_and_every_repeat_gets_its_one_answer(tmp_path: Path, part: str) -> None:
    async def story() -> list[bytes]:
        before = await ask_all(place, 10)
        channels = place.channels(2)
        stub = verification_pb2_grpc.VerificationServiceStub(channels[0])
        other = verification_pb2_grpc.VerificationServiceStub(channels[1])
        question = place.question("0198c0de-0000-7000-8000-000000000001")
        first = await answered(stub, question)
        (victim,) = place.parts(part)
        os.kill(victim, signal.SIGKILL)
        assert await answered(stub, question) == first
        assert await answered(other, question) == first
        after = await ask_all(place, 10)
        deadline = time.monotonic() + 30
        while place.parts(part) in ([], [victim]):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        for channel in channels:
            await channel.close()
        return [*before, first, *after]

    with running(tmp_path, "sqlite:///ledger.sqlite3") as place:
        require_one_history(place, asyncio.run(story()))
    assert place.parent.returncode == 0


def test_no_part_outlives_its_parent(tmp_path: Path) -> None:
    with running(tmp_path, "sqlite:///ledger.sqlite3") as place:
        parts = [pid for name in ("owner", "first", "further") for pid in place.parts(name)]
        assert len(parts) == 3
        place.parent.kill()
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in parts):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_refused_ledger_ends_everything_with_its_own_status(tmp_path: Path) -> None:
    with running(tmp_path, "sqlite:///ledger.sqlite3") as place:
        asyncio.run(ask_all(place, 3))
    origin = place.house.config.read_text("utf-8")
    place.house.config.write_text(origin.replace("chengxin.example/log", "another.example/log"), "utf-8")
    done = started.run("serve", "--config", place.house.config)
    assert (done.returncode, done.stdout) == (3, "")
    assert "refused" in done.stderr
