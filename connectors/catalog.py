"""Make a connector of its stanza: find its kind, wrap it, and tell every mistake of every source at once.

A kind is a module of `connectors.sources`, or an entry point of the group `connectors.sources`, whose
`connect(name, stanza, *, now)` returns a `Connector`; a department's own package adds a kind without touching this one.
"""

from __future__ import annotations

import random as randomness
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Protocol, cast

from connectors import sources
from connectors.connector import Connector, Manifest
from connectors.errors import ConnectorError, StanzaError
from connectors.policy import read_policy
from connectors.resilience import Resilient
from connectors.stanza import Stanza, meant
from connectors.telemetry import SILENCE, Telemetry

_NAME = re.compile(r"[a-z0-9][a-z0-9\-]{0,62}")


class SourcesMisconfigured(ConnectorError):
    """Some stanzas are wrong; `mistakes` lists all of all sources, each with its source."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class Connect(Protocol):
    """How a kind makes a connector of a stanza (without the keys `kind` and `resilience`)."""

    def __call__(self, name: str, stanza: Mapping[str, object], *, now: Callable[[], datetime]) -> Connector:
        """Make the connector; it connects on first use.

        Raises:
            StanzaError: the stanza is wrong; every mistake is listed.
        """
        ...


def find_kind(kind: str) -> Connect:
    """Find how connectors of a kind are made.

    Raises:
        LookupError: there is no such kind.
    """
    module = kind.replace("-", "_")
    if module.isidentifier() and find_spec(f"connectors.sources.{module}") is not None:
        return cast(Connect, import_module(f"connectors.sources.{module}").connect)
    for entry in entry_points(group="connectors.sources", name=kind):
        return cast(Connect, entry.load())
    own = {one.name.replace("_", "-") for one in iter_modules(sources.__path__)}
    further = {entry.name for entry in entry_points(group="connectors.sources")}
    raise LookupError(f"there is no such kind{meant(kind, own | further)}")


def connect(
    name: str,
    stanza: Mapping[str, object],
    *,
    now: Callable[[], datetime],
    random: Callable[[], float] = randomness.random,
    telemetry: Telemetry = SILENCE,
) -> Resilient:
    """Make a source's connector, wrapped in `Resilient`.

    Raises:
        StanzaError: the stanza is wrong; every mistake is listed.
    """
    root = Stanza(name, {key: stanza[key] for key in ("kind", "resilience") if key in stanza})
    if not _NAME.fullmatch(name):
        root.mistakes.append("the source's name must be of a-z, 0-9 and hyphens")
    kind, policy = root.text("kind"), read_policy(root.table("resilience"))
    connector: Connector | None = None
    try:
        if kind:
            rest = {key: value for key, value in stanza.items() if key not in ("kind", "resilience")}
            connector = find_kind(kind)(name, rest, now=now)
    except StanzaError as error:
        root.mistakes.extend(error.mistakes)
    except LookupError as error:
        root.mistake("kind", str(error))
    if policy.cache is not None and connector is not None and connector.manifest.freshness is None:
        root.mistake("resilience.cache", "needs a promised `freshness`: nothing else says how long an answer holds")
    root.finish()
    assert connector is not None
    return Resilient(connector, policy, now=now, random=random, telemetry=telemetry)


def connect_all(
    stanzas: Mapping[str, object],
    *,
    now: Callable[[], datetime],
    random: Callable[[], float] = randomness.random,
    telemetry: Telemetry = SILENCE,
    misfits: Callable[[Manifest], Sequence[str]] = lambda manifest: (),
) -> dict[str, Resilient]:
    """Make the connectors of all sources (the table `[sources]`), by name.

    `misfits` lists what of a source, by its manifest, is wrong for whoever will ask it.

    Raises:
        SourcesMisconfigured: stanzas are wrong; every mistake of every source is listed.
    """
    found: dict[str, Resilient] = {}
    mistakes: list[str] = []
    for name, stanza in stanzas.items():
        if not isinstance(stanza, Mapping):
            mistakes.append(f"{name}: must be a table")
            continue
        try:
            found[name] = connect(name, stanza, now=now, random=random, telemetry=telemetry)
            mistakes += [f"{name}: {mistake}" for mistake in misfits(found[name].manifest)]
        except StanzaError as error:
            mistakes += [f"{name}: {mistake}" for mistake in error.mistakes]
    if mistakes:
        raise SourcesMisconfigured(mistakes)
    return found
