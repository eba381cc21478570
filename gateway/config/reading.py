"""`gateway.toml`, read strictly: unknown keys refused, every mistake told at once, secrets only as files.

A relative path is relative to the file that names it. `chengxin init` writes a complete, commented example.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from connectors.errors import StanzaError
from connectors.stanza import Stanza
from gateway.config.address import listen_mistake, read_address
from gateway.config.commitments_part import read_commitments
from gateway.config.ledger_part import read_ledger, require_socket_path
from gateway.config.model import (
    AssistanceSettings,
    CalendarSettings,
    CreditSettings,
    Draft,
    ExportSettings,
    FindingSettings,
    HttpSettings,
    ServerSettings,
    Settings,
    VerificationSettings,
)
from gateway.config.operators_part import read_operators
from gateway.config.people_part import read_callers, read_limits, read_officer, read_staff_keys
from gateway.config.signatures_part import read_signatures
from gateway.errors import ConfigurationError
from gateway.rules.grades import GRADES
from gateway.rules.masking import MaskRule, MaskRules, read_rule
from gateway.rules.retention import Periods, RetentionRules

_LONGEST_REMEDY = 366
"""In days: the calendar reaches a few years, and beyond it nothing could be decided."""


def load_settings(path: Path) -> Settings:
    """Read a configuration file.

    Raises:
        ConfigurationError: names every mistake.
    """
    return _without_mistakes(load_draft(path))


def load_draft(path: Path) -> Draft:
    """Read a configuration file as far as it can be read.

    Raises:
        ConfigurationError: it cannot be read, or is not TOML.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(str(path), ["there is no such file (`chengxin init` writes one)"]) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error}"]) from error
    return read_draft(table, home=path.parent.resolve(), where=str(path))


def read_settings(table: Mapping[str, object], *, home: Path, where: str) -> Settings:
    """Read settings from a parsed table; relative paths are relative to `home`.

    Raises:
        ConfigurationError: names every mistake.
    """
    return _without_mistakes(read_draft(table, home=home, where=where))


def _without_mistakes(draft: Draft) -> Settings:
    if draft.mistakes:
        raise ConfigurationError(draft.where, draft.mistakes)
    return draft.settings


def read_draft(table: Mapping[str, object], *, home: Path, where: str) -> Draft:
    """Read a parsed table as far as it can be read; relative paths are relative to `home`."""
    root = Stanza(where, _with_anchors_moved(table))
    server, ledger_part = _server(root.table("server"), home), root.table("ledger")
    callers = read_callers(root.listed("callers"), server.trust_domain, root)
    settings = Settings(
        server=server,
        ledger=read_ledger(ledger_part, home),
        publication=_http(root.table("publication")),
        metrics=_http(root.table("metrics")),
        catalogue_files=tuple(home / name for name in root.table("catalogue").texts("files")),
        verification=_verification(root.table("verification")),
        limits=read_limits(root.table("limits"), callers),
        commitments=read_commitments(root.table("commitments"), home),
        assistance=_assistance(root.table("assistance")),
        staff_keys=read_staff_keys(root.table("staff_keys")),
        signatures=read_signatures(root.table("signatures"), home),
        findings=_findings(root.table("findings")),
        credit=_credit(root.table("credit")),
        exports=_exports(root.table("exports")),
        retention=_retention(root.table("retention")),
        erasure_officers=tuple(read_officer(one, home) for one in root.table("erasure").listed("officers")),
        calendar=_calendar(root.table("calendar")),
        callers=callers,
        operators=read_operators(root.listed("operators"), callers, server.trust_domain, home),
        sources=_sources(root),
    )
    if server.workers > 1 and settings.ledger.url.startswith("sqlite"):
        require_socket_path(ledger_part, settings.ledger.owner_socket)
    try:
        root.finish()
    except StanzaError as error:
        return Draft(where=where, settings=settings, mistakes=tuple(error.mistakes))
    return Draft(where=where, settings=settings)


def _with_anchors_moved(table: Mapping[str, object]) -> Mapping[str, object]:
    """Read `commitments.anchors_file`, where the anchors stood before `[signatures]` was, as `anchors_files` there."""
    old, new = table.get("commitments"), table.get("signatures", {})
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or "anchors_file" not in old:
        return table
    rest = {key: value for key, value in old.items() if key != "anchors_file"}
    return {**table, "commitments": rest, "signatures": {"anchors_files": [old["anchors_file"]], **new}}


def _server(part: Stanza, home: Path) -> ServerSettings:
    plaintext = part.flag("plaintext", False)
    files = {
        key: part.text(key, "" if plaintext else None)
        for key in ("certificate_file", "key_file", "client_authority_file")
    }
    workers = part.number("workers", 1, least=1, most=256)
    return ServerSettings(
        listen=_listen(part, workers),
        workers=workers,
        trust_domain=part.text("trust_domain"),
        plaintext=plaintext,
        certificate_file=home / files["certificate_file"],
        key_file=home / files["key_file"],
        client_authority_file=home / files["client_authority_file"],
        client_revocation_file=_revocation_file(part, home, plaintext=plaintext),
        reflection=part.flag("reflection", False),
        max_message_bytes=part.number("max_message_bytes", 1 << 20, least=1024, most=1 << 26),
        max_image_bytes=part.number("max_image_bytes", 8 << 20, least=0, most=1 << 26),
        deadline_cap=part.duration("deadline_cap", "10s"),
        gather=part.duration("gather", "10ms"),
        cap_missing_deadline=part.choice("missing_deadline", ("refuse", "cap"), "refuse") == "cap",
        drain=part.duration("drain", "10s"),
        ledger_reserve=part.duration("ledger_reserve", "500ms"),
    )


def _revocation_file(part: Stanza, home: Path, *, plaintext: bool) -> Path | None:
    name = part.text("client_revocation_file", "")
    if name and plaintext:
        part.mistake("client_revocation_file", "means nothing with plaintext: callers show no certificates")
    return home / name if name else None


def _listen(part: Stanza, workers: int) -> str:
    listen = part.text("listen", "127.0.0.1:8443")
    mistake = listen_mistake(listen)
    if mistake is None and workers > 1 and listen.startswith("unix:"):
        mistake = "a socket file belongs to one process: several workers need an address and a port"
    if mistake is not None:
        part.mistake("listen", mistake)
    return listen


def _http(part: Stanza) -> HttpSettings | None:
    listen = part.anything("listen")
    if listen is None or listen == "":
        return None
    try:
        return read_address(listen)
    except ValueError as error:
        part.mistake("listen", f"{error}, or empty")
        return None


def _verification(part: Stanza) -> VerificationSettings:
    return VerificationSettings(
        guess_budget=part.number("guess_budget", 5, least=1, most=100),
        guess_window=part.duration("guess_window", "1d"),
    )


def _assistance(part: Stanza) -> AssistanceSettings:
    def days(key: str, usual: int) -> int:
        return part.number(key, usual, least=1, most=250)

    return AssistanceSettings(
        simple_days=days("simple_days", 3),
        normal_days=days("normal_days", 5),
        archive_days=days("archive_days", 10),
        every=part.duration("every", "10m"),
    )


def _findings(part: Stanza) -> FindingSettings:
    shortest = {
        grade: part.number(f"{grade.lower()}_repair_months", effect.shortest, most=effect.longest)
        for grade, effect in GRADES.items()
        if effect.shortest
    }
    return FindingSettings(
        defence_working_days=part.number("defence_working_days", 5, most=365),
        remedy_days=part.number("remedy_days", 60, most=_LONGEST_REMEDY),
        shortest_effects=shortest,
    )


def _credit(part: Stanza) -> CreditSettings:
    division = part.text("division")
    if division and not (division.isascii() and division.isdigit() and len(division) == 6):
        part.mistake("division", "must be a division code of six digits")
    return CreditSettings(
        division=division,
        authority_name=part.text("authority_name"),
        authority_code=part.text("authority_code"),
        expire_every=part.duration("expire_every", "1h"),
    )


def _exports(part: Stanza) -> ExportSettings:
    rules: dict[str, MaskRule] = {}
    for name in ("name", "id_number", "phone"):
        kept = part.anything(f"{name}_keeps")
        rule = None if kept is None else read_rule(kept)
        if rule is not None:
            rules[name] = rule
        elif kept is not None:
            part.mistake(f"{name}_keeps", "must be two numbers from 0 to 32: how many characters stay at head and tail")
    return ExportSettings(masking=MaskRules(**rules))


def _retention(part: Stanza) -> RetentionRules:
    default = _periods(part, Periods())
    matters: dict[str, Periods] = {}
    for own in part.listed("matters"):
        matter = own.text("matter")
        if matter in matters:
            own.mistake("matter", "is given twice")
        matters[matter] = _periods(own, default)
    return RetentionRules(default=default, matters=matters)


def _periods(part: Stanza, default: Periods) -> Periods:
    def years(key: str, usual: int) -> int:
        return part.number(key, usual, least=1, most=100)

    return Periods(
        commitment=years("commitment_years", default.commitment),
        verification=years("verification_years", default.verification),
        lookup=years("lookup_years", default.lookup),
    )


def _calendar(part: Stanza) -> CalendarSettings:
    return CalendarSettings(
        holidays=_days(part, "holidays"),
        working_days=_days(part, "working_days"),
    )


def _days(part: Stanza, key: str) -> tuple[date, ...]:
    found = part.anything(key)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(type(day) is date for day in found):
        part.mistake(key, "must be a list of dates")
        return ()
    return tuple(found)


def _sources(root: Stanza) -> dict[str, Mapping[str, object]]:
    """Take the stanzas as they are: each connector reads its own."""
    found = root.anything("sources")
    if found is None:
        root.mistake("sources", "at least one source is needed: a stanza [sources.NAME], see connectors/README.md")
        return {}
    if not isinstance(found, Mapping) or not all(isinstance(stanza, Mapping) for stanza in found.values()):
        root.mistake("sources", "must be a table of tables")
        return {}
    return {str(name): stanza for name, stanza in found.items()}
