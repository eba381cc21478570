"""The part `[commitments]` of the configuration, read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from connectors.stanza import Stanza, duration
from gateway.config.model import CommitmentSettings, StandingSettings


def read_commitments(part: Stanza, home: Path) -> CommitmentSettings:
    """Read `[commitments]`; mistakes are noted in the part."""
    return CommitmentSettings(
        verification_valid=part.duration("verification_valid", "1d"),
        document_valid=part.duration("document_valid", "30m"),
        template_files=tuple(home / name for name in part.texts("template_files")),
        contacts=part.mapping("contacts"),
        letter_fonts=home / part.text("letter_fonts") if "letter_fonts" in part else None,
        letter_where=part.text("letter_where", ""),
        decision_within=part.duration("decision_within", "90d"),
        sweep_every=part.duration("sweep_every", "1m"),
        credit_fact=_text_or_nothing(part, "credit_fact"),
        capacity_fact=_text_or_nothing(part, "capacity_fact"),
        standing=_standing(part.table("standing")),
    )


def _text_or_nothing(part: Stanza, key: str) -> str:
    found = part.anything(key)
    if found is None or isinstance(found, str):
        return found or ""
    part.mistake(key, "must be a text")
    return ""


def _standing(part: Stanza) -> StandingSettings:
    return StandingSettings(
        every=part.duration("every", "1m"),
        intervals=_durations(part, "intervals", ("1d", "7d", "30d")),
        pause=part.duration("pause", "1h"),
        most=part.number("most", 200, least=1, most=100_000),
        parallel=part.number("parallel", 8, least=1, most=1000),
    )


def _durations(part: Stanza, key: str, default: tuple[str, ...]) -> tuple[timedelta, ...]:
    written = part.texts(key, default)
    try:
        found = tuple(duration(text) for text in written)
    except ValueError:
        found = ()
    if not found or not all(found):
        part.mistake(key, 'must be a list of durations such as ["1d", "7d"], at least one and none of nothing')
        return (timedelta(days=1),)
    return found
