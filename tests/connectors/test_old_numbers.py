from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from connectors.catalog import connect
from connectors.conformance.registers import SqliteRegister
from connectors.conformance.scene import FACT, ROWS, ZHANG, Clock, asking, drop, dropbox_stanza, http_stanza, married
from connectors.conformance.server import FaultServer
from connectors.errors import StanzaError
from connectors.resilience import Resilient
from tests.connectors.people import now, sql_stanza

OLD = "230103850704123"
Row = tuple[str, str, str]


class Registers:
    """Sources of every kind that returns records, over given rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[Resilient] = []

    def _open(self, stanza: dict[str, object], old: bool) -> Resilient:
        fact = stanza["facts"][FACT]  # type: ignore[index]
        if old:
            fact["old_numbers"] = True
        self.opened.append(connect("s", stanza, now=Clock(), random=lambda: 0.0))
        return self.opened[-1]

    def sql(self, rows: tuple[Row, ...], old: bool) -> Resilient:
        from connectors.conformance.scene import sql_stanza

        register = SqliteRegister(self.folder)
        register.fill(rows)
        return self._open(sql_stanza({"url": register.url()}), old)

    def dropbox(self, rows: tuple[Row, ...], old: bool) -> Resilient:
        folder = self.folder / "drops"
        folder.mkdir()
        drop(folder, rows=rows)
        return self._open(dropbox_stanza(folder), old)


@pytest.fixture
async def registers(tmp_path: Path) -> AsyncIterator[Registers]:
    made = Registers(tmp_path)
    yield made
    for source in made.opened:
        await source.aclose()


async def kind(source: Resilient) -> str:
    [found] = await source.check_many([married()], asking())
    return found.outcome.kind.value


@pytest.mark.parametrize("make", [Registers.sql, Registers.dropbox])
@pytest.mark.parametrize(
    ("rows", "old", "expected"),
    [
        (((OLD, ZHANG.name, "1"),), True, "MATCH"),
        (((OLD, ZHANG.name, "2"),), True, "MISMATCH"),
        (((OLD, "李四", "1"),), True, "AMBIGUOUS"),
        (((ZHANG.id_number, "李四", "1"),), True, "MISMATCH"),
        (((OLD, ZHANG.name, "1"), (ZHANG.id_number, ZHANG.name, "1")), True, "AMBIGUOUS"),
        ((ROWS[1],), True, "NO_RECORD"),
    ],
)
async def test_a_record_under_an_old_number_is_found_where_the_stanza_says_there_are_such(
    registers: Registers, make: Callable[..., Resilient], rows: tuple[Row, ...], old: bool, expected: str
) -> None:
    assert await kind(make(registers, rows, old)) == expected


async def test_an_old_number_in_a_drop_is_one_with_hyphens_too(registers: Registers) -> None:
    assert await kind(registers.dropbox((("230103-850704-123", "李四", "1"),), True)) == "AMBIGUOUS"


@pytest.mark.parametrize(("make", "expected"), [(Registers.sql, "NO_RECORD"), (Registers.dropbox, "UNAVAILABLE")])
async def test_who_stands_under_an_undeclared_old_number_is_not_there_or_where_all_rows_are_seen_makes_them_bad(
    registers: Registers, make: Callable[..., Resilient], expected: str
) -> None:
    assert await kind(make(registers, ((OLD, ZHANG.name, "1"),), False)) == expected


@pytest.mark.parametrize(("old", "expected"), [(True, "MATCH"), (False, "UNAVAILABLE")])
async def test_a_service_that_echoes_the_old_number_is_believed_only_if_declared(
    registers: Registers, old: bool, expected: str
) -> None:
    good = {"code": "0", "data": [{"id_number": OLD, "name": ZHANG.name, "status": "1"}]}
    async with FaultServer(good, person=(OLD, ZHANG.name)) as server:
        assert await kind(registers._open(http_stanza(server.url), old)) == expected


def test_old_numbers_without_a_name_to_tell_people_apart_are_refused() -> None:
    stanza = sql_stanza("sqlite:////tmp/x.db", old_numbers=True)
    del stanza["facts"]["marriage-registration"]["name"]  # type: ignore[index]
    with pytest.raises(StanzaError, match="twice"):
        connect("s", stanza, now=now)


async def test_a_check_character_is_the_same_in_either_case(registers: Registers) -> None:
    from connectors.compare import agrees

    assert agrees("23010319870910234X", "23010319870910234x")
    assert not agrees("23010319870910234X", "230103198709102341")
    assert not agrees("Xx", "xx")
