"""A house to measure: a register of many people, a gateway's configuration, and the questions to ask."""

from __future__ import annotations

import json
import random
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.demo import civil_affairs
from gateway.demo.people import Person, population
from gateway.founding import House, found

_ASKED = 20_000
"""People who are asked about, in turn: no question is answered out of a cache of the one before."""
_SOURCES = """
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
_DEAD = """
[sources.dead]
kind = "http"
department = "示例公安局"
url = "http://127.0.0.1:{port}"
[sources.dead.facts.identity-match]
mode = "match"
path = "/match"
success = {{ at = "code", equals = "0" }}
records = "data"
codes = {{ "subject.id_number" = "number", "subject.name" = "name" }}
match = ["1"]
mismatch = ["0"]
[sources.dead.facts.identity-match.json]
number = "{{subject.id_number}}"
name = "{{subject.name}}"
"""
_WORDS = {"married": "MARRIED", "divorced": "DIVORCED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A founded house and the file of those who are asked about (JSON: name, number, status of each)."""

    house: House
    asked: Path


def build(home: Path, people: int) -> Path:
    """Write the register of a population to `home`; returns its file. Takes about a minute for a million."""
    register = home / "civil.sqlite3"
    everybody = population(1, people)
    civil_affairs.build(register, everybody)
    wed = [person for person in everybody if person.marital in _WORDS]
    chosen = random.Random(1).sample(wed, min(_ASKED, len(wed)))  # noqa: S311  whom to ask
    (home / "asked.json").write_text(json.dumps([_claim(person) for person in chosen]), "utf-8")
    return register


def settle(home: Path, name: str, register: Path, *, workers: int = 1, dead: int | None = None) -> Town:
    """Found a new house that asks the register, and a source at the port `dead` whether somebody is alive."""
    sources = _SOURCES.format(file=register) + ("" if dead is None else _DEAD.format(port=dead))
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=home))
    house = found(
        folder / "var", now=datetime.now(UTC), sources=sources, listen="127.0.0.1:0"
    )  # fmt: skip
    text = house.config.read_text("utf-8")
    changed = text.replace("workers = 1 ", f"workers = {workers} ", 1)
    house.config.write_text(changed, "utf-8")
    return Town(house=house, asked=register.with_name("asked.json"))


def _claim(person: Person) -> tuple[str, str, str]:
    return person.name, person.id_number, _WORDS[person.marital]
