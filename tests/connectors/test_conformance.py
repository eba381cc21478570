import ast
import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import connectors
from connectors.catalog import connect
from connectors.conformance.adapter import Adapter, Slip
from connectors.conformance.expectations import EXPECTED, NonConforming
from connectors.conformance.proxy import Proxy, Trouble
from connectors.conformance.registers import MARIADB, POSTGRESQL, ServerRegister, SqliteRegister, opened
from connectors.conformance.scene import (
    FACT,
    LI,
    NOBODY,
    ROWS,
    ZHANG,
    Clock,
    divorced,
    drop,
    dropbox_stanza,
    grpc_stanza,
    http_answer,
    http_stanza,
    married,
    sql_stanza,
)
from connectors.conformance.server import FaultServer, Misbehaviour
from connectors.conformance.suite import Specimen, prove
from connectors.connector import Claim, Health, Manifest, QueryContext
from connectors.outcome import MATCH, MISMATCH, NO_RECORD, NOT_HELD, Evidence
from connectors.policy import Policy
from connectors.resilience import Resilient

KINDS = {path.stem for path in (Path(connectors.__file__).parent / "sources").glob("*.py")} - {"__init__"}


class Opening:
    """Opens specimens, and closes what they need."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.clock = Clock()

    def specimen(self, stanza: dict[str, Any], spoilt: dict[str, Any], mend: Any, *records_only: str) -> Specimen:
        resilience = {**stanza["resilience"], "breaker_failures": 5, "timeout": "5s"}
        source = connect("s", {**stanza, "resilience": resilience}, now=self.clock, random=lambda: 0.0)
        self.stack.push_async_callback(source.aclose)
        return Specimen(
            source=source,
            agreeing=married(),
            contradicting=divorced(),
            absent=married(NOBODY),
            spoilt=spoilt,
            mend=mend,
            rest=lambda: self.clock.move(timedelta(seconds=31)),
            records_only=frozenset(records_only),
        )

    def url(self, url: str) -> dict[str, object]:
        (self.folder / "url").write_text(url)
        return {"url_file": str(self.folder / "url")}


async def sqlite(opening: Opening, _request: object) -> Specimen:
    register = await opening.stack.enter_async_context(opened(lambda: SqliteRegister(opening.folder)))
    path, aside = register.path, opening.folder / "aside"

    async def gone() -> None:
        path.rename(aside)

    async def page() -> None:
        path.write_bytes(b"<html>login</html>" * 500)

    async def table() -> None:
        register.drop()

    async def mend() -> None:
        path.unlink(missing_ok=True)
        aside.unlink(missing_ok=True)
        register.fill(ROWS)

    stanza = sql_stanza({"url": register.url()}, threads=1)
    return opening.specimen(stanza, {"the file is gone": gone, "a web page": page, "no table": table}, mend)


async def _server(opening: Opening, url: str, words: Any) -> Specimen:
    register = await opening.stack.enter_async_context(opened(lambda: ServerRegister(url, words=words)))
    proxy = await opening.stack.enter_async_context(Proxy(register.reach))

    async def trouble(which: Trouble) -> None:
        proxy.trouble = which

    async def mend() -> None:
        proxy.trouble = Trouble.NONE
        await asyncio.to_thread(register.fill, ROWS)

    spoilt = {which.name: partial(trouble, which) for which in (Trouble.REFUSE, Trouble.CUT, Trouble.HALF)}
    stanza = sql_stanza(opening.url(register.url(proxy.port)))
    return opening.specimen(stanza, {**spoilt, "no table": partial(asyncio.to_thread, register.drop)}, mend)


async def postgresql(opening: Opening, request: pytest.FixtureRequest) -> Specimen:
    url = request.getfixturevalue("postgres_server").render_as_string(hide_password=False)
    return await _server(opening, url, POSTGRESQL)


async def mariadb(opening: Opening, request: pytest.FixtureRequest) -> Specimen:
    return await _server(opening, request.getfixturevalue("mariadb_url"), MARIADB)


def known(request: bytes) -> dict[str, object]:
    """Look up who is asked about."""
    return {"code": "NO_DATA"} if NOBODY.id_number.encode() in request else http_answer()


async def http(opening: Opening, _request: object) -> Specimen:
    server = await opening.stack.enter_async_context(FaultServer(known, person=(ZHANG.id_number, ZHANG.name)))

    async def misbehave(how: Misbehaviour | None) -> None:
        server.misbehave(how)

    ways = [how for how in EXPECTED if how not in (Misbehaviour.DRIP, Misbehaviour.TWO_RECORDS)]
    stanza = http_stanza(server.url, answer_timeout="800ms")
    return opening.specimen(
        stanza,
        {how.name: partial(misbehave, how) for how in ways},
        partial(misbehave, None),
        "GBK",
        "OTHER_PERSON",
        "NO_SUBJECT",
        "KEY_RENAMED",
    )


async def grpc(opening: Opening, _request: object) -> Specimen:
    adapter = await opening.stack.enter_async_context(Adapter(opening.folder, opening.clock))

    async def slip(how: Slip) -> None:
        adapter.slip = how

    stanza = grpc_stanza(adapter.address, answer_timeout="800ms")
    return opening.specimen(stanza, {how.name: partial(slip, how) for how in Slip}, adapter.rise, "NO_DIGEST")


async def dropbox(opening: Opening, _request: object) -> Specimen:
    folder = opening.folder / "drops"
    folder.mkdir()
    drop(folder, "a", age=timedelta(hours=9))
    stanza = dropbox_stanza(folder, freshness="1d")

    async def old() -> None:
        opening.clock.move(timedelta(days=2))

    async def mend() -> None:
        opening.clock.move(-timedelta(days=2))

    # A folder that is gone leaves the drop in use: it is still the newest good one, and only age takes that away.
    return opening.specimen(stanza, {"old": old}, mend)


SPECIMENS: dict[str, Callable[[Opening, Any], Any]] = {
    "sql-sqlite": sqlite,
    "sql-postgresql": postgresql,
    "sql-mariadb": mariadb,
    "http": http,
    "grpc": grpc,
    "dropbox": dropbox,
}
MARKS = {"sql-postgresql": [pytest.mark.postgres], "sql-mariadb": [pytest.mark.mariadb]}


@pytest.fixture
async def opening(tmp_path: Path) -> AsyncIterator[Opening]:
    async with AsyncExitStack() as stack:
        yield Opening(tmp_path, stack)


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, [])) for name in SPECIMENS])
async def test_a_source_of_every_kind_passes_the_suite(
    name: str, opening: Opening, request: pytest.FixtureRequest, discreet: list[str]
) -> None:
    checked = await prove(await SPECIMENS[name](opening, request))
    assert len(checked) >= 6
    assert any(one.startswith("makes nothing up") for one in checked)


def test_no_kind_of_source_is_left_out() -> None:
    assert {name.split("-")[0] for name in SPECIMENS} == KINDS


def _conclusions(path: Path) -> set[str]:
    """Name the concluding outcomes that a module's exception handlers mention."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            for inner in ast.walk(node):
                name = (
                    inner.id if isinstance(inner, ast.Name) else inner.attr if isinstance(inner, ast.Attribute) else ""
                )
                found |= {name} & {"MATCH", "MISMATCH", "NO_RECORD", "NOT_HELD"}
    return found


@pytest.mark.parametrize("path", sorted(Path(connectors.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_no_handler_of_an_exception_says_what_a_source_holds(path: Path) -> None:
    assert _conclusions(path) == set()


class Canned:
    """A connector as it was met in production: a canned answer when the call fails."""

    manifest = Manifest(source="s", department="d", fact_types=frozenset({FACT}))

    def __init__(self, clock: Clock, *, canned: Any) -> None:
        self.is_down = False
        self._clock = clock
        self._canned = canned

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        held = {ZHANG.id_number: "MARRIED", LI.id_number: "DIVORCED"}
        found = []
        for one in claims:
            status = held.get(one.subject.id_number)
            differs = NO_RECORD if status is None else MISMATCH
            outcome = MATCH if one.expected.get("status") == status else differs
            if "shoe_size" in one.expected:
                outcome = NOT_HELD
            outcome = self._canned if self.is_down else outcome
            now = self._clock()
            found.append(
                Evidence(
                    source="s", fact_type=FACT, outcome=outcome, asked_at=now, answered_at=now, raw_digest=bytes(32)
                )
            )
        return found

    async def probe(self) -> Health:
        return Health(ok=True, detail="well", probed_at=self._clock())

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("canned", [MATCH, MISMATCH, NO_RECORD])
async def test_the_suite_refuses_a_canned_answer_on_failure(canned: Any) -> None:
    clock = Clock()
    inner = Canned(clock, canned=canned)

    async def down(state: bool) -> None:
        inner.is_down = state

    specimen = Specimen(
        source=Resilient(inner, Policy(), now=clock, random=lambda: 0.0),
        agreeing=married(),
        contradicting=divorced(),
        absent=married(NOBODY),
        spoilt={"down": partial(down, True)},
        mend=partial(down, False),
        rest=lambda: None,
    )
    with pytest.raises(NonConforming, match="down"):
        await prove(specimen)
