"""Ledgers that are filled once for many tests, each of which damages a copy of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ledger import FileMasterKeys
from tests import postgres
from tests.ledger.house import House, build

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


class Originals:
    """A filled house on each kind of database, made when the first test asks for a copy of it."""

    def __init__(self, fill: Callable[[House], None], request: pytest.FixtureRequest, folder: Path) -> None:
        self._fill = fill
        self._request = request
        self._folder = folder
        self._made: dict[str, House] = {}
        self._lent = ExitStack()
        request.addfinalizer(self._lent.close)

    def _original(self, kind: str) -> House:
        if kind not in self._made:
            folder = self._folder / kind
            folder.mkdir()
            if kind == "sqlite":
                url = f"sqlite:///{folder}/ledger.db"
            else:
                url = self._lent.enter_context(self._request.getfixturevalue("postgres_databases").lend())
            house = build(url, folder)
            self._fill(house)
            self._made[kind] = house
        return self._made[kind]

    @contextmanager
    def copied(self, kind: str, to: Path) -> Iterator[House]:
        """Lend a copy, its files in a folder of its own."""
        original = self._original(kind)
        shutil.copytree(original.directory, to, dirs_exist_ok=True)
        with ExitStack() as lent:
            sqlite = kind == "sqlite"
            url = f"sqlite:///{to}/ledger.db" if sqlite else lent.enter_context(postgres.copied(original.url))
            keys = FileMasterKeys(to / "master.keys")
            yield House(url=url, signer=original.signer, master_keys=keys, directory=to)
