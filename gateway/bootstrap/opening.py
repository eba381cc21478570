"""What the settings name, opened: catalogue, templates, printer, sources, keys of the index, calendar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from connectors.catalog import SourcesMisconfigured, connect_all
from connectors.connector import Connector
from connectors.telemetry import SILENCE
from gateway.catalogue.fitting import misfits, shortages
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.mistakes import CatalogueError, Mistake
from gateway.catalogue.model import Catalogue
from gateway.config import (
    CalendarSettings,
    CommitmentSettings,
    LedgerSettings,
    OfficerSettings,
    Settings,
)
from gateway.errors import ConfigurationError
from gateway.letters.pdf import Printer
from gateway.letters.template_file import TemplatesRefused
from gateway.letters.templates import Templates, load_templates
from gateway.metrics import Metrics
from gateway.rules.clocks import (
    WorkCalendar,
    YearTable,
    foreseen_table,
    is_announced,
    is_whole,
    laid_over,
    year_table,
)
from ledger import (
    BlindIndex,
)
from ledger.secret_file import read_secret
from ledger.vault.officers import Officer, read_public_key

_INDEX_KEY_VERSION = 1
_YEARS_AHEAD = 5
_CLOSE_BEFORE = timedelta(days=45)
"""The State Council announces a year's calendar in the November before."""


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def open_catalogue(settings: Settings) -> Catalogue:
    """Load the configured catalogue files, or the shipped ones, for which there must be templates.

    Raises:
        ConfigurationError: names every mistake with file and line.
    """
    catalogue = open_catalogue_alone(settings)
    require_templates(catalogue, open_templates(settings))
    return catalogue


def open_catalogue_alone(settings: Settings) -> Catalogue:
    """Load the configured catalogue files, or the shipped ones, whatever the templates are.

    Raises:
        ConfigurationError: names every mistake with file and line.
    """
    try:
        return load_catalogue(_catalogue_files(settings))
    except CatalogueError as error:
        raise ConfigurationError("catalogue", [str(mistake) for mistake in error.mistakes]) from error


def require_templates(catalogue: Catalogue, templates: Templates) -> None:
    """Require that there are templates for the commitments of a catalogue.

    Raises:
        ConfigurationError: names every mistake with file and line.
    """
    if mistakes := templates.check_against(catalogue):
        raise ConfigurationError("catalogue", [str(mistake) for mistake in mistakes])


def _catalogue_files(settings: Settings) -> list[Path]:
    return list(settings.catalogue_files) or shipped_catalogue_files()


def read_catalogue(
    settings: Settings, templates: Templates, sources: Mapping[str, Connector] | None = None
) -> Catalogue:
    """Read the configured catalogue files, or the shipped ones, for which there must be templates; with sources that
    are connected already, they must fit too.

    Raises:
        CatalogueError: names every mistake.
    """
    catalogue = load_catalogue(_catalogue_files(settings))
    manifests = [source.manifest for source in (sources or {}).values()]
    unfit = [f"{one.source}: {mistake}" for one in manifests for mistake in misfits(catalogue, one)]
    unfit += shortages(catalogue, Counter(fact for one in manifests for fact in one.fact_types))
    mistakes = [*templates.check_against(catalogue), *(Mistake(file="(sources)", line=0, text=one) for one in unfit)]
    if mistakes:
        raise CatalogueError(mistakes)
    return catalogue


def open_templates(settings: Settings) -> Templates:
    """Load the shipped templates of commitments and the configured ones.

    Raises:
        ConfigurationError: names every mistake with file and line.
    """
    try:
        return load_templates(settings.commitments.template_files)
    except TemplatesRefused as error:
        raise ConfigurationError("templates", [str(mistake) for mistake in error.mistakes]) from error


def open_printer(settings: CommitmentSettings) -> Printer:
    """Make the printer of letters.

    Raises:
        ConfigurationError: the folder of fonts is not there.
    """
    fonts = settings.letter_fonts
    if fonts is not None and not fonts.is_dir():
        raise ConfigurationError("commitments.letter_fonts", [f"{fonts} is no folder"])
    return Printer(fonts=fonts)


def open_index(settings: LedgerSettings) -> BlindIndex:
    """Read the key of the blind index.

    Raises:
        ConfigurationError: the file does not hold 32 bytes in hexadecimal.
        ledger.KeyFileError: it cannot be read, or others can read it.
    """
    path = settings.index_key_file
    try:
        return BlindIndex(key=bytes.fromhex(read_secret(path).decode("ascii").strip()), version=_INDEX_KEY_VERSION)
    except ValueError as error:
        raise ConfigurationError(
            str(path), [f"is not a key of 32 bytes in hexadecimal ({type(error).__name__})"]
        ) from error


def open_sources(
    settings: Settings,
    catalogue: Catalogue | None,
    *,
    now: Callable[[], datetime] = now_utc,
    metrics: Metrics | None = None,
) -> Mapping[str, Connector]:
    """Connect every configured source, which must fit the catalogue where one can be read; `metrics` counts what they
    are asked and answer.

    Raises:
        ConfigurationError: names every mistake of every stanza.
    """
    mistakes = [] if catalogue is None else shortages(catalogue, facts_configured(settings))
    try:
        sources = connect_all(
            settings.sources,
            now=now,
            telemetry=metrics or SILENCE,
            misfits=lambda manifest: [] if catalogue is None else misfits(catalogue, manifest),
        )
    except SourcesMisconfigured as error:
        raise ConfigurationError("sources", [*error.mistakes, *mistakes]) from error
    if mistakes:
        raise ConfigurationError("sources", mistakes)
    return sources


def facts_configured(settings: Settings) -> Counter[str]:
    """Count for each fact type how many stanzas have it, whatever else is wrong in them."""
    tables = [stanza.get("facts") for stanza in settings.sources.values()]
    return Counter(fact for table in tables if isinstance(table, Mapping) for fact in table)


def open_officer(settings: OfficerSettings) -> tuple[Officer, bytes]:
    """Read who may order an erasure, and with which public key (32 bytes) they sign.

    Raises:
        ledger.KeyFileError: the file has no such key.
    """
    return Officer(number=settings.number, name=settings.name), read_public_key(settings.public_key_file)


def facts_of(sources: Iterable[Connector]) -> frozenset[str]:
    """Name the fact types that connected sources have."""
    return frozenset(fact for source in sources for fact in source.manifest.fact_types)


def calendar_notice(settings: CalendarSettings, *, today: date) -> str:
    """Say which years, begun or close before, have no announced and no wholly configured calendar; nothing if none."""
    years = dict.fromkeys((today.year, (today + _CLOSE_BEFORE).year))
    provisional = [str(year) for year in years if not _is_known(settings, year)]
    if not provisional:
        return ""
    return (
        f"the working days of {' and '.join(provisional)} are not known here: until they are, no weekend counts as "
        "worked, and no weekday so near to a holiday that it may be given off, so that no period is too short; once "
        "the State Council has announced them, install a newer `holidays`, or set the whole of them in [calendar]"
    )


def work_calendar(settings: CalendarSettings, *, today: date) -> WorkCalendar:
    """Build the calendar: configured days laid over what is announced, or over the stand-in for a year that is not.

    Only a year whose holidays are all configured needs no stand-in: it is as configured.
    """
    configured = {day.year for day in (*settings.holidays, *settings.working_days)}
    # What began last year still has its clocks.
    years = configured.union(range(today.year - 1, today.year + _YEARS_AHEAD))
    return WorkCalendar(overrides={year: _year_table(settings, year) for year in years})


def _year_table(settings: CalendarSettings, year: int) -> YearTable:
    if is_whole(year, settings.holidays) and not is_announced(year):
        table = year_table((), ())
    else:
        table = foreseen_table(year, next_known=_is_known(settings, year + 1))
    off = (day for day in settings.holidays if day.year == year)
    worked = (day for day in settings.working_days if day.year == year)
    return laid_over(table, days_off=off, worked=worked)


def _is_known(settings: CalendarSettings, year: int) -> bool:
    return is_announced(year) or is_whole(year, settings.holidays)
