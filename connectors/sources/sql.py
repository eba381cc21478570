"""Kind `sql`: a department's database or front-end table (库表), asked by one parameterised statement per fact type.

The statement takes the expanding parameter `:keys`, the id numbers asked about, so that many claims cost one statement.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import orjson
from msgspec import Struct
from sqlalchemy import Connection, Engine, TextClause, bindparam, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from connectors.compare import Unreadable, identity, old_number
from connectors.compare import text as read_text
from connectors.connector import Claim, Health, Manifest, QueryContext
from connectors.declarations import Declarations
from connectors.errors import SourceUnavailable
from connectors.outcome import Cause, Evidence
from connectors.record import Reader, Record, Shape, judge, moment, read_shape, read_zone
from connectors.stanza import Stanza
from connectors.statement import cutting_clause
from connectors.transports.database import failure, open_engine
from connectors.transports.interruption import Endings, Interrupted, Use

T = TypeVar("T")
_READS = re.compile(r"\s*(?:select|with|values|table)\b", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\b(in)\s*\(\s*:keys\s*\)", re.IGNORECASE)
_KEYS = re.compile(r"(?<![:\w\\]):keys(?![:\w])")
_IN_KEYS = re.compile(r"\bin\s*:keys(?![:\w])", re.IGNORECASE)
_NOBODY = ("", "X")
"""Keys that nobody has: two, for a statement that takes only one would pass, and one that is asked in both cases."""
_NO_NUMBER = ("0", "-1")
"""Keys that nobody has where keys are numbers (SQLSTATE 22P02 tells that the others are none)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlFact:
    """How one fact type is asked of the database: a statement that takes `:keys`, and the shape of its rows."""

    statement: TextClause
    as_of_statement: TextClause | None
    key: str
    columns: frozenset[str]
    shape: Shape

    def spellings(self, keys: Sequence[str]) -> list[str]:
        """List what to ask by: each key, the old number that a row may stand under instead, and both in small letters.

        Databases compare by case, and registers write the check character X, and the letters of other numbers, in
        either; rows are told apart by the number itself, whatever its case.
        """
        asked = [*keys, *self.old_numbers(keys)]
        return [*asked, *(small for key in asked if (small := key.lower()) != key)]

    def old_numbers(self, keys: Sequence[str]) -> dict[str, str]:
        """Give the key to each old number under which a row may stand, if rows may."""
        if self.shape.number is None:
            return {}
        return {old: key for key in keys if (old := old_number(key))}


class Held(Struct, frozen=True, kw_only=True):
    """What the database holds of one key."""

    records: Sequence[Record]
    as_of: datetime | None


class SqlSource:
    """A database as a source. Statements run in a few threads of its own, each with a connection.

    It is told neither who asks nor why, so claims of several callers may travel in one statement.
    """

    def __init__(
        self,
        *,
        manifest: Manifest,
        facts: Mapping[str, SqlFact],
        engine: Engine,
        threads: int,
        most_rows: int,
        now: Callable[[], datetime],
    ) -> None:
        self._manifest = manifest
        self._facts = facts
        self._engine = engine
        self._endings = Endings(engine)
        self._most_rows = most_rows
        self._now = now
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"sql-{manifest.source}")
        self._uses: set[Use] = set()

    @property
    def manifest(self) -> Manifest:
        """What the stanza declares."""
        return self._manifest

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        """Answer each claim from the rows of its subject; the context goes no further (a database does not ask).

        Raises:
            SourceUnavailable: the database is down, slow or not shaped as the stanza says.
        """
        asked_at = self._now()
        by_fact: dict[str, list[int]] = defaultdict(list)
        for index, claim in enumerate(claims):
            by_fact[claim.fact_type].append(index)
        answers: dict[int, Evidence] = {}
        for fact_type, indexes in by_fact.items():  # nearly always one, which is why this starts no tasks
            held = await self._ask(fact_type, [identity(claims[index].subject.id_number) for index in indexes])
            answered_at = self._now()
            for index, one in zip(indexes, held, strict=True):
                answers[index] = self._evidence(claims[index], one, asked_at, answered_at)
        return [answers[index] for index in range(len(claims))]

    def _evidence(self, claim: Claim, held: Held, asked_at: datetime, answered_at: datetime) -> Evidence:
        shape = self._facts[claim.fact_type].shape
        outcome, as_of = judge(claim, held.records, shape, now=answered_at, as_of=held.as_of)
        return Evidence(
            source=self._manifest.source,
            fact_type=claim.fact_type,
            outcome=outcome,
            asked_at=asked_at,
            answered_at=answered_at,
            as_of=as_of,
            raw_digest=digest(held.records),
        )

    async def _ask(self, fact_type: str, keys: Sequence[str]) -> list[Held]:
        """Read each key, in the same order, in statements of no more than `batch` keys."""
        fact, different = self._facts[fact_type], list(dict.fromkeys(keys))
        found: dict[str, Held] = {}
        for first in range(0, len(different), self._manifest.batch):
            found |= await self._in_thread(self._read, fact, different[first : first + self._manifest.batch])
        return [found[key] for key in keys]

    async def is_written_otherwise(self, claim: Claim) -> bool:
        """Say whether rows stand under the subject's number with blanks, hyphens or in full width, where no question
        finds them: a database compares as it stores, and there are more ways of writing than can be asked by each time.

        Raises:
            SourceUnavailable: the database is down, slow or not shaped as the stanza says.
        """
        asked = written_otherwise(identity(claim.subject.id_number))
        _, rows, _ = await self._in_thread(self._rows, self._facts[claim.fact_type], asked)
        return bool(rows)

    async def _in_thread(
        self, read: Callable[[Use, SqlFact, Sequence[str]], T], fact: SqlFact, keys: Sequence[str]
    ) -> T:
        use = Use()
        self._uses.add(use)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, read, use, fact, keys)
        except asyncio.CancelledError:
            use.interrupt()
            raise
        finally:
            self._uses.discard(use)

    def _read(self, use: Use, fact: SqlFact, keys: Sequence[str]) -> dict[str, Held]:
        return self._grouped(fact, keys, *self._rows(use, fact, fact.spellings(keys)))

    def _rows(self, use: Use, fact: SqlFact, asked: Sequence[str]) -> tuple[Sequence[str], Any, Any]:
        try:
            with self._endings.connected(use) as connection:
                return self._executed(connection, fact, asked)
        except Interrupted:
            raise SourceUnavailable(self._manifest.source, Cause.TIMEOUT, "given up") from None
        except (SQLAlchemyError, UnicodeError, OSError) as error:
            raise failure(self._manifest.source, error) from None

    def _executed(self, connection: Connection, fact: SqlFact, asked: Sequence[str]) -> tuple[Sequence[str], Any, Any]:
        # The date first: data newer than their date are safe, data older than it are not.
        dated: Any = None if fact.as_of_statement is None else connection.execute(fact.as_of_statement).all()
        result = connection.execute(fact.statement, {"keys": asked})
        return list(result.keys()), result.mappings().fetchmany(self._most_rows + 1), dated

    def _grouped(
        self, fact: SqlFact, keys: Sequence[str], columns: Sequence[str], rows: Sequence[Record], dated: Any
    ) -> dict[str, Held]:
        if missing := fact.columns.difference(columns):
            raise self._garbled(f"the answer has no column {', '.join(sorted(missing))}")
        if twice := [name for name in sorted(fact.columns) if columns.count(name) > 1]:
            raise self._garbled(f"the answer has two columns {', '.join(twice)}")
        if len(rows) > self._most_rows:
            raise self._garbled(f"more than {self._most_rows} rows for {len(keys)} keys")
        as_of = self._as_of(fact, dated)
        found: dict[str, list[Record]] = {key: [] for key in keys}
        renewed = fact.old_numbers(keys)
        for row in rows:
            try:
                number = identity(read_text(row[fact.key]))
                found[renewed.get(number, number)].append(row)
            except (Unreadable, KeyError):
                raise self._garbled("a row of somebody who was not asked about") from None
        return {key: Held(records=records, as_of=as_of) for key, records in found.items()}

    def _as_of(self, fact: SqlFact, dated: Any) -> datetime | None:
        if fact.as_of_statement is None:
            return None
        try:
            [[value]] = dated
            return moment(value, fact.shape.zone)
        except (Unreadable, ValueError, TypeError):
            raise self._garbled("the date of the data is not one timestamp") from None

    def _garbled(self, detail: str) -> SourceUnavailable:
        return SourceUnavailable(self._manifest.source, Cause.GARBLED, detail)

    async def probe(self) -> Health:
        """Run every statement with keys that nobody has."""
        try:
            for fact in self._facts.values():
                await self._probe(fact)
        except SourceUnavailable as error:
            return Health(ok=False, detail=str(error), probed_at=self._now())
        return Health(ok=True, detail=f"{len(self._facts)} statements answered", probed_at=self._now())

    async def _probe(self, fact: SqlFact) -> None:
        try:
            await self._in_thread(self._read, fact, _NOBODY)
        except SourceUnavailable as error:
            if "22P02" not in error.told:
                raise
            await self._in_thread(self._read, fact, _NO_NUMBER)

    async def aclose(self) -> None:
        """Give up running statements and close the connections."""
        for use in list(self._uses):
            use.interrupt()
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._engine.dispose()


def written_otherwise(number: str) -> list[str]:
    """List ways in which registers write a number, beside the usual one."""
    dated = f"{number[:6]}-{number[6:14]}-{number[14:]}"
    wide = number.translate({ord(one): chr(ord(one) + 0xFEE0) for one in number if "!" <= one <= "~"})
    beside = [f"{number}{end}" for end in (" ", "  ", "\t", "\r", "\n", "\u3000", "\u00a0")]
    return [*beside, number.ljust(20), f" {number}", f"\t{number}", f"'{number}", dated, dated.replace("-", " "), wide]


def digest(records: Sequence[Record]) -> bytes:
    """Hash the rows held of one subject: SHA-256 over their JSON, in the order they came."""
    rows = [dict(one) for one in records]
    try:
        written = orjson.dumps(rows, default=repr)
    except orjson.JSONEncodeError:  # a value that JSON has no form for, perhaps of a column that nobody reads
        written = repr(rows).encode("utf-8", "backslashreplace")
    return hashlib.sha256(written).digest()


def connect(name: str, stanza: Mapping[str, object], *, now: Callable[[], datetime]) -> SqlSource:
    """Make a `sql` source of its stanza (`connectors/README.md` shows one); it connects on first use.

    Raises:
        StanzaError: the stanza is wrong; every mistake is listed.
    """
    root = Stanza(name, stanza)
    department, timeout = root.text("department"), root.duration("statement_timeout", "2s")
    threads = root.number("threads", 2, least=1, most=32)
    batch, most_rows = root.number("batch", 100, least=1, most=1000), root.number("most_rows", 10_000, least=1)
    freshness, zone = root.optional_duration("freshness"), read_zone(root)
    engine = _read_engine(root, timeout, threads, zone)
    dialect = "" if engine is None else engine.dialect.name
    facts: dict[str, SqlFact] = {}
    declarations = Declarations()
    for fact_type, part in root.tables("facts").items():
        declarations.read(fact_type, part)
        facts[fact_type] = _read_fact(part, zone, freshness, dialect)
    root.finish()
    assert engine is not None
    manifest = Manifest(
        source=name,
        department=department,
        fact_types=frozenset(facts),
        coverage=declarations.coverage,
        declared={fact_type: fact.shape.declared() for fact_type, fact in facts.items()},
        freshness=freshness,
        sensitive=declarations.sensitive,
        batch=batch,
        lanes=threads,
        asked_once=declarations.asked_once,
    )
    return SqlSource(manifest=manifest, facts=facts, engine=engine, threads=threads, most_rows=most_rows, now=now)


def _read_engine(root: Stanza, timeout: timedelta, threads: int, zone: ZoneInfo) -> Engine | None:
    if ("url" in root) == ("url_file" in root):
        root.text("url", "")
        root.secret("url_file")
        root.mistake("url", "give either `url` or `url_file`")
        return None
    given = root.secret("url_file") if "url_file" in root else root.text("url")
    session = root.texts("session")
    try:
        url = make_url(given)
        if "url" in root and url.password is not None:
            root.mistake("url", "holds a password: put the whole URL into a file and name it in `url_file`")
        return open_engine(url, timeout=timeout, connections=threads, zone=zone, session=session)
    except (ArgumentError, ValueError) as error:
        what = "is no database URL" if isinstance(error, ArgumentError) else str(error)
        root.mistake("url" if "url" in root else "url_file", what)
        return None


def _read_fact(part: Stanza, zone: ZoneInfo, freshness: timedelta | None, dialect: str) -> SqlFact:
    columns: set[str] = set()

    def column(_stanza: Stanza, _key: str, spec: str) -> Reader:
        columns.add(spec)
        return itemgetter(spec)

    key = part.text("key")
    columns.add(key)
    shape = read_shape(
        part, field_reader=column, attributes="columns", zone=zone, freshness=freshness, number=itemgetter(key)
    )
    as_of = text(_read_statement(part, "as_of_statement", (), dialect)) if "as_of_statement" in part else None
    if freshness is not None and as_of is None and shape.as_of is None:
        part.mistake(
            "as_of_statement", "a promised freshness needs the date of the data (`as_of_statement` or `as_of`)"
        )
    # The parameter becomes a list in brackets of its own.
    written = _IN_BRACKETS.sub(r"\1 :keys", _read_statement(part, "statement", ("keys",), dialect))
    statement = text(written)
    if "keys" not in statement.compile().params:
        part.mistake("statement", "does not ask by the parameter :keys")
    elif len(_KEYS.findall(written)) != len(_IN_KEYS.findall(written)):
        part.mistake("statement", "many keys are asked about at once: compare with `IN :keys`")
    else:
        statement = statement.bindparams(bindparam("keys", expanding=True))
    return SqlFact(statement=statement, as_of_statement=as_of, key=key, columns=frozenset(columns), shape=shape)


def _read_statement(part: Stanza, key: str, known: tuple[str, ...], dialect: str) -> str:
    written = part.text(key).strip().removesuffix(";")
    if written and (not _READS.match(written) or ";" in written):
        part.mistake(key, "must be one SELECT")
    if known and (clause := cutting_clause(written, dialect)):
        part.mistake(
            key,
            f"must give every row of every key: {clause} cuts rows off, and they are of whoever is asked about beside"
            " others; the newest row of each is chosen by `pick`",
        )
    for name in text(written).compile().params:
        if name not in known:
            part.mistake(
                key, f"has the parameter :{name}, which nobody fills (a colon that begins none is written \\:)"
            )
    return written
