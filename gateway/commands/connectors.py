"""`chengxin connectors …`: try a stanza against the catalogue and its department, without a gateway or a ledger."""

from __future__ import annotations

import asyncio
import json as jsonlib
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.commands.options import JSON

if TYPE_CHECKING:
    from connectors.connector import Claim, Health, Manifest, QueryContext, Subject, Value
    from connectors.outcome import Evidence
    from connectors.resilience import Resilient
    from connectors.telemetry import Counts, Telemetry
    from gateway.catalogue.model import Catalogue, FactType, ValueType

_NOBODY = "000000190001010009"
"""A well-formed number of nobody: there is no division 000000."""
_NOBODYS_NAME = "测试人"
ID_TYPES = ("resident-id", "permit", "uscc")
_DIVISION = re.compile(r"[0-9]{6}")
_READ: Mapping[str, Callable[[str], Value]] = {
    "integer": int,
    "boolean": lambda text: {"true": True, "false": False}[text],
    "date": date.fromisoformat,
}
_EXPLAINED: Mapping[str, str] = {
    "MATCH": "The source's record agrees with everything that was claimed.",
    "MISMATCH": "The source holds a record under this number and name, and it contradicts the claim.",
    "NO_RECORD": "The source answered, is declared complete for this place and period, and holds no record.",
    "NOT_HELD": "There is a record, and an attribute that was claimed, or what was given, is empty in it or is not in"
    " the stanza.",
    "AMBIGUOUS": "Several records fit. Declare `pick` or `narrow`, if one of them can be told apart.",
    "SUBJECT_INACTIVE": "The source says by the state declared in `inactive` that the person is dead or cancelled.",
    "NOT_COVERED": "The stanza's `coverage` leaves out this place or period, or the source does not have this fact.",
    "STALE": "The data are older than `freshness` promises, or nothing dates them.",
    "NEEDS_ATTRIBUTE": "The request needs one more attribute: give it with --expect or --give.",
    "PENDING": "A person is looking.",
    "REFUSED": "The source will not answer us; asking again does not help. Ask its keepers about this rule.",
    "OUTAGE": "No answer came: connection refused, reset, or an error of the server (5xx); or the server's"
    " certificate, or our account, is refused.",
    "TIMEOUT": "No whole answer came in time. Try again; then see `answer_timeout` or `statement_timeout`.",
    "WINDOW": "The stanza says that the source is closed at this hour.",
    "OVERLOAD": "The source says it has too much to do, or has no connection to spare.",
    "GARBLED": "What came is outside the agreed format: no declared sign, another shape, another person's record, a"
    " code in no table, a wrong character set, a date in the future. Compare an answer with the stanza by hand.",
}

_EVERY_ROW = "A statement must give every row of every key: none cut off, none numbered or grouped over all of them."

_OTHERWISE = (
    "the register holds this number with something beside it, in full width, or parted, where no question finds it."
    " Compare a column with the bare number (connectors/README.md)."
)


@click.group()
def connectors() -> None:
    """Try departments' sources, without a gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What came of one claim: asked for alone, and again together with all others."""

    alone: Evidence
    together: Evidence | None = None
    otherwise: bool = False
    """Whether the register holds the number in another way of writing, under which it was not found."""

    @property
    def differs(self) -> bool:
        return self.together is not None and self.together.outcome != self.alone.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    source: Resilient
    health: Health
    told: Sequence[_Told]
    counts: Counts


@connectors.command("check")
@click.argument("stanza_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--source", help="Which source of the file, if it holds several.")
@click.option(
    "--ask", "fact_type", metavar="FACT", help="Ask about this type of fact; without it only the probe is made."
)
@click.option(
    "--id",
    "id_numbers",
    multiple=True,
    metavar="NUMBER",
    help="A number; by default nobody's. Of several people each is asked about alone, then all together.",
)
@click.option("--id-type", type=click.Choice(ID_TYPES), default="resident-id", show_default=True)
@click.option(
    "--name", "names", multiple=True, help="A name; by default nobody's. Of several people one for each --id."
)
@click.option("--expect", multiple=True, metavar="NAME=VALUE", help="An attribute claimed; repeatable.")
@click.option("--give", multiple=True, metavar="NAME=VALUE", help="A further input that the source needs; repeatable.")
@click.option("--place", default="", help="Where the fact lies: six digits of a division.")
@click.option(
    "--catalogue",
    "catalogue_files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A list of the catalogue whose facts the stanza answers, and each above it; by default the shipped ones.",
)
@click.option("--timeout", "seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True)
@JSON
def check(
    *,
    stanza_file: Path,
    source: str | None,
    fact_type: str | None,
    id_numbers: tuple[str, ...],
    id_type: str,
    names: tuple[str, ...],
    expect: tuple[str, ...],
    give: tuple[str, ...],
    place: str,
    catalogue_files: tuple[Path, ...],
    seconds: float,
    as_json: bool,
) -> None:
    """Read a stanza, compare it with the catalogue, probe its source, ask it about one claim, and explain what came.

    The exit status is 0 if the source is well and gave an answer of its own (about nobody: NO_RECORD), 1 if it did
    not, 2 if the stanza is wrong or does not fit the catalogue, or the claim is none that the gateway would put to it:
    values are read as the catalogue types them. By default the claim is about nobody; with a real
    person's number the department logs a query about that person, and so it must: have their consent.

    A gateway asks about the people of many callers at once. With several --id and --name the claim is put for each of
    them alone and then for all together: an answer that depends on who else is asked about ends with 1.
    """
    from connectors.connector import Claim

    expected, given, people = _pairs(expect), _pairs(give), _people(id_numbers, names)
    named, stanza = read_stanza(stanza_file, source)
    catalogue = read_catalogue(catalogue_files)

    def claims(manifest: Manifest) -> list[Claim]:
        if fact_type is None:
            return []
        fact = _fact(catalogue, manifest, fact_type)
        return [
            Claim(
                fact_type=fact_type,
                subject=_subject(id_type, number, name),
                expected=_values("--expect", expected, fact.attributes),
                given=_values("--give", given, fact.given),
                forms=fact.forms,
                place=_place(place),
            )
            for number, name in people
        ]

    with _log_beside_the_answer():
        tried = asyncio.run(_try(named, stanza, catalogue, claims, seconds))
    click.echo(jsonlib.dumps(_as_json(tried), ensure_ascii=False) if as_json else "\n".join(_in_words(tried)))
    if not _is_well(tried):
        sys.exit(1)


@contextmanager
def _log_beside_the_answer() -> Iterator[None]:
    """Write what sources log to standard error, as a gateway does: standard output is the answer's, perhaps in JSON."""
    import structlog

    from gateway.logs import configure

    kept = structlog.get_config()
    configure()
    try:
        yield
    finally:
        structlog.configure(**kept)


def read_stanza(path: Path, wanted: str | None) -> tuple[str, Mapping[str, object]]:
    """Read the one stanza of a file: under `[sources.NAME]`, or the whole file, which then is a source named for it.

    Raises:
        click.ClickException: there is none, or there are several and none is wanted by name.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _Wrong(f"{path.name} is no TOML: {error}") from error
    if "kind" in table:
        table = {"sources": {path.stem: table}}
    sources = table.get("sources")
    if not isinstance(sources, Mapping) or not sources:
        raise _Wrong(f"{path.name} has neither a [sources.NAME] nor a `kind`")
    if wanted is None and len(sources) > 1:
        raise _Wrong(f"say with --source which of {', '.join(sources)}")
    name = wanted or next(iter(sources))
    stanza = sources.get(name)
    if not isinstance(stanza, Mapping):
        raise _Wrong(f"there is no [sources.{name}] in {path.name}")
    return name, stanza


def read_catalogue(files: tuple[Path, ...]) -> Catalogue:
    """Read some lists of the catalogue, or those that are shipped.

    Raises:
        click.ClickException: they are wrong; every mistake is named.
    """
    from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
    from gateway.catalogue.mistakes import CatalogueError

    try:
        return load_catalogue(files or shipped_catalogue_files())
    except CatalogueError as error:
        raise _Wrong(str(error)) from error


class _Wrong(click.ClickException):
    """What was given cannot be tried."""

    exit_code = 2


def _pairs(written: tuple[str, ...]) -> dict[str, str]:
    """Read NAME=VALUE."""
    found: dict[str, str] = {}
    for one in written:
        name, is_there, text = one.partition("=")
        if not (name and is_there):
            raise click.UsageError(f"{name or one!r} must be NAME=VALUE")
        found[name] = text
    return found


def _people(numbers: tuple[str, ...], names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Put numbers and names together, in their order."""
    if max(len(numbers), len(names)) > 1 and len(numbers) != len(names):
        raise click.UsageError("give one --name for each --id")
    return list(zip(numbers or (_NOBODY,), names or (_NOBODYS_NAME,), strict=True))


def _fact(catalogue: Catalogue, manifest: Manifest, code: str) -> FactType:
    from connectors.stanza import meant

    if code not in catalogue.fact_types:
        raise _Wrong(f"--ask: the catalogue has no such fact type ({code}){meant(code, catalogue.fact_types)}")
    if code not in manifest.fact_types:
        raise _Wrong(f"--ask: the stanza does not have {code}, but {', '.join(sorted(manifest.fact_types))}")
    return catalogue.fact_types[code]


def _subject(id_type: str, number: str, name: str) -> Subject:
    """Read the person as the gateway does: what it would refuse, no source is ever asked."""
    from connectors.connector import Subject

    return Subject(id_type=id_type, id_number=_number("--id", id_type, number), name=_name("--name", name))


def _number(option: str, id_type: str, written: str) -> str:
    from gateway.rules.clocks import legal_day
    from gateway.rules.identifiers import IdentifierRefused, parse_identifier

    try:
        return parse_identifier(id_type, written, today=legal_day(datetime.now(UTC))).number
    except IdentifierRefused as refused:
        raise _Wrong(f"{option}: the gateway refuses this {refused.what} by the rule {refused.rule.name}") from None


def _name(option: str, written: str) -> str:
    from gateway.rules.identifiers import IdentifierRefused, parse_name

    try:
        return parse_name(written)
    except IdentifierRefused as refused:
        raise _Wrong(f"{option}: the gateway refuses this name by the rule {refused.rule.name}") from None


def _place(written: str) -> str:
    if written and not _DIVISION.fullmatch(written):
        raise _Wrong("--place: must be the six digits of a division")
    return written


def _values(option: str, written: Mapping[str, str], declared: Mapping[str, ValueType]) -> dict[str, Value]:
    """Read values as the catalogue types them; of a person, each part by itself."""
    from gateway.catalogue.fitting import parts_of

    kinds = {part: (kind, part.removeprefix(name)) for name, kind in declared.items() for part in parts_of(name, kind)}
    for name in written:
        if name not in kinds:
            raise _Wrong(f"{option}: the fact type has no {name!r} ({', '.join(sorted(kinds)) or 'it has none'})")
    id_types = {name.removesuffix("_id_type"): text for name, text in written.items() if name.endswith("_id_type")}
    return {
        name: _value(
            f"{option} {name}", text, *kinds[name], id_types.get(name.removesuffix("_id_number"), "resident-id")
        )
        for name, text in written.items()
    }


def _value(where: str, text: str, declared: ValueType, part: str, id_type: str) -> Value:
    from gateway.catalogue.words import ValueKind

    if declared.kind is ValueKind.NAME or part == "_name":
        return _name(where, text)
    if declared.kind is ValueKind.ID_NUMBER or part == "_id_number":
        return _number(where, id_type, text)
    if part == "_id_type" or declared.kind is ValueKind.ENUM:
        words = ID_TYPES if part == "_id_type" else declared.words
        if text not in words:
            raise _Wrong(f"{where}: must be one of {', '.join(words)}")
        return text
    if declared.kind is ValueKind.DIVISION:
        return _place(text)
    if declared.kind is ValueKind.STRING:
        return text
    try:
        return _READ[declared.kind.value](text)
    except (KeyError, ValueError):
        raise _Wrong(f"{where}: must be {declared}") from None


async def _try(
    name: str,
    stanza: Mapping[str, object],
    catalogue: Catalogue,
    claims_for: Callable[[Manifest], Sequence[Claim]],
    seconds: float,
) -> _Tried:
    from connectors.telemetry import Counts

    counts = Counts()
    source = connected(name, stanza, catalogue, counts)
    try:
        claims = claims_for(source.manifest)
        health = await source.probe()
        alone = [one for claim in claims for one in await source.check_many([claim], _context("alone", seconds))]
        told = [
            _Told(alone=one, otherwise=await _is_written_otherwise(name, stanza, claim, one))
            for claim, one in zip(claims, alone, strict=True)
        ]
        if len(claims) > 1 and claims[0].fact_type not in source.manifest.asked_once:
            together = await source.check_many(claims, _context("together", seconds))
            told = [replace(one, together=other) for one, other in zip(told, together, strict=True)]
    finally:
        await source.aclose()
    return _Tried(source=source, health=health, told=told, counts=counts)


def connected(
    name: str, stanza: Mapping[str, object], catalogue: Catalogue, telemetry: Telemetry | None = None
) -> Resilient:
    """Make the source of a stanza that fits a catalogue.

    Raises:
        click.ClickException: the stanza is wrong, or does not fit; every mistake is named.
    """
    from connectors.catalog import SourcesMisconfigured, connect_all
    from connectors.telemetry import SILENCE
    from gateway.catalogue.fitting import misfits

    try:
        [source] = connect_all(
            {name: stanza},
            now=lambda: datetime.now(UTC),
            telemetry=telemetry or SILENCE,
            misfits=lambda manifest: misfits(catalogue, manifest),
        ).values()
    except SourcesMisconfigured as error:
        raise _Wrong("the stanza is wrong:\n" + "\n".join(f"  {mistake}" for mistake in error.mistakes)) from error
    return source


async def _is_written_otherwise(name: str, stanza: Mapping[str, object], claim: Claim, answer: Evidence) -> bool:
    """Say whether a database that found nobody under a number given holds it with blanks, hyphens or in full width."""
    from connectors.errors import SourceUnavailable
    from connectors.outcome import Kind
    from connectors.sources import sql

    if stanza["kind"] != "sql" or answer.outcome.kind not in (Kind.NO_RECORD, Kind.NOT_COVERED):
        return False
    source = sql.connect(
        name,
        {key: value for key, value in stanza.items() if key not in ("kind", "resilience")},
        now=lambda: datetime.now(UTC),
    )
    try:
        if claim.subject.id_number == _NOBODY or claim.fact_type in source.manifest.asked_once:
            return False
        return await source.is_written_otherwise(claim)
    except SourceUnavailable:
        return False
    finally:
        await source.aclose()


def _context(item: str, seconds: float) -> QueryContext:
    """Say who asks; another item is another purpose, and what was answered for one is in no cache for the other."""
    from connectors.connector import QueryContext

    return QueryContext(
        matter="connectors-check",
        case="connectors-check",
        item=f"connectors-check-{item}",
        operator="connectors-check",
        unit="connectors-check",
        reason="接口联调",
        deadline=asyncio.get_running_loop().time() + seconds,
    )


def _is_well(tried: _Tried) -> bool:
    from connectors.outcome import Kind

    unfit = (Kind.UNAVAILABLE, Kind.REFUSED, Kind.NEEDS_ATTRIBUTE, Kind.STALE)
    return tried.health.ok and not any(
        one.alone.outcome.kind in unfit or one.differs or one.otherwise for one in tried.told
    )


def _explained(evidence: Evidence) -> str:
    outcome = evidence.outcome
    if outcome.kind.value == "NO_RECORD" and evidence.undeclared:
        return "The source answered and holds no record. No `coverage` is declared: that proves nothing."
    if outcome.other_identity:
        return "The source holds a record under this number, and it bears another name."
    return _EXPLAINED[outcome.cause.value if outcome.cause else outcome.kind.value]


def _detail(evidence: Evidence) -> str:
    outcome = evidence.outcome
    told = outcome.cause.value if outcome.cause else outcome.attribute or outcome.rule
    until = f", back at {outcome.until.isoformat()}" if outcome.until else ""
    return f"{outcome.kind.value}({told}{until})" if told else outcome.kind.value


def _in_words(tried: _Tried) -> list[str]:
    manifest = tried.source.manifest
    lines = [
        f"source    {manifest.source}, {manifest.department}",
        f"facts     {', '.join(sorted(manifest.fact_types))}",
        f"freshness {manifest.freshness or 'not promised'}",
        f"probe     {'well' if tried.health.ok else 'ILL'}: {tried.health.detail}",
    ]
    if not tried.told:
        return [*lines, "nothing was asked: give a type of fact with --ask"]
    if len(tried.told) == 1:
        return lines + _told_in_words(tried.told[0])
    for number, one in enumerate(tried.told, 1):
        lines += [f"person    {number} of {len(tried.told)}", *_told_in_words(one)]
    return [*lines, f"together  {_together(tried.told)}"]


def _together(told: Sequence[_Told]) -> str:
    if any(one.together is None for one in told):
        return "not asked for: the stanza says `asked_once`"
    if differing := [str(number) for number, one in enumerate(told, 1) if one.differs]:
        return f"ANOTHER ANSWER about {', '.join(differing)}: it depends on who else is asked about. {_EVERY_ROW}"
    return "the same answers"


def _told_in_words(told: _Told) -> list[str]:
    evidence = told.alone
    took = (evidence.answered_at - evidence.asked_at).total_seconds()
    return [
        f"outcome   {_detail(evidence)}",
        f"          {_explained(evidence)}",
        *([f"because   {evidence.outcome.why}"] if evidence.outcome.why else []),
        *([f"written   OTHERWISE: {_OTHERWISE}"] if told.otherwise else []),
        *([f"together  {_detail(told.together)}"] if told.together is not None and told.differs else []),
        f"attempts  {evidence.attempts}, {took * 1000:.0f} ms in all",
        f"as of     {evidence.as_of.isoformat() if evidence.as_of else 'not said'}",
        f"digest    {evidence.raw_digest.hex() or 'none: nothing usable came'}",
    ]


def _as_json(tried: _Tried) -> dict[str, Any]:
    told: dict[str, Any] = {
        "source": tried.source.manifest.source,
        "facts": sorted(tried.source.manifest.fact_types),
        "well": tried.health.ok,
        "probe": tried.health.detail,
        "outcome": None,
    }
    people = [_told_as_json(one) for one in tried.told]
    if len(people) == 1:
        return told | people[0]
    return told | {"people": people} if people else told


def _told_as_json(told: _Told) -> dict[str, Any]:
    evidence = told.alone
    return {
        "outcome": evidence.outcome.kind.value,
        "detail": _detail(evidence),
        "explained": _explained(evidence),
        "because": evidence.outcome.why,
        "other_identity": evidence.outcome.other_identity,
        "attempts": evidence.attempts,
        "as_of": evidence.as_of.isoformat() if evidence.as_of else None,
        "raw_digest": evidence.raw_digest.hex(),
        "written_otherwise": told.otherwise,
        **({} if told.together is None else {"together": _detail(told.together)}),
    }
