"""Who may call, what each may do and how much: the parts about systems and people, read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from connectors.stanza import Stanza
from gateway.config.model import CallerLimitSettings, LimitSettings, OfficerSettings, StaffKeySettings
from gateway.rules.roles import Role, unit_of


def read_callers(parts: list[Stanza], trust_domain: str, root: Stanza) -> dict[str, frozenset[Role]]:
    """Read `[[callers]]`: the roles of each system."""
    callers: dict[str, frozenset[Role]] = {}
    if not parts:
        root.mistake("callers", "at least one caller is needed")
    for part in parts:
        uri = part.text("id")
        if uri and unit_of(uri, trust_domain) is None:
            part.mistake("id", f"must be spiffe://{trust_domain}/org/<unified social credit code>/<system>")
        if uri in callers:
            part.mistake("id", "is given twice")
        callers[uri] = _roles(part, "roles", None)
    return callers


def read_staff_keys(part: Stanza) -> StaffKeySettings:
    """Read `[staff_keys]`."""
    found = {
        key: _roles(part, key, default)
        for key, default in (("proposers", ("officer", "operator")), ("deciders", ("reviewer", "supervisor")))
    }
    for key, roles in found.items():
        if not roles:
            part.mistake(key, "at least one role is needed")
    return StaffKeySettings(**found)


def _roles(part: Stanza, key: str, default: tuple[str, ...] | None) -> frozenset[Role]:
    words = {role.value: role for role in Role}
    named = part.texts(key, default)
    for word in named:
        if word not in words:
            part.mistake(key, f"{word!r} is not a role; the roles are {', '.join(words)}")
    return frozenset(words[word] for word in named if word in words)


def read_officer(part: Stanza, home: Path) -> OfficerSettings:
    """Read one of `[[erasure.officers]]`."""
    return OfficerSettings(
        number=part.text("number"), name=part.text("name"), public_key_file=home / part.text("public_key_file")
    )


def read_limits(part: Stanza, callers: Mapping[str, object]) -> LimitSettings:
    """Read `[limits]`, for all callers and for some."""
    default = _caller_limits(part, CallerLimitSettings(calls=1024, rate=10_000))
    by_caller: dict[str, CallerLimitSettings] = {}
    for own in part.listed("callers"):
        uri = own.text("id")
        if uri and uri not in callers:
            own.mistake("id", "is not one of the callers")
        if uri in by_caller:
            own.mistake("id", "is given twice")
        by_caller[uri] = _caller_limits(own, default)
    return LimitSettings(
        default=default,
        by_caller=by_caller,
        batch_items=part.number("batch_items", 1000, least=1, most=100_000),
        batch_in_flight=part.number("batch_in_flight", 512, least=1, most=100_000),
        batch_source_calls=part.number("batch_source_calls", 48, least=1, most=10_000),
    )


def _caller_limits(part: Stanza, default: CallerLimitSettings) -> CallerLimitSettings:
    return CallerLimitSettings(
        calls=part.number("concurrent_calls", default.calls, least=1, most=1_000_000),
        rate=part.number("calls_per_second", default.rate, least=1, most=1_000_000),
    )
