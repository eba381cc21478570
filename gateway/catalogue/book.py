"""The catalogue in force: read once, replaced whole or not at all; a call keeps the one it began with."""

from __future__ import annotations

from contextvars import ContextVar

from gateway.catalogue.model import Catalogue

_BEGUN: ContextVar[tuple[Book, Catalogue] | None] = ContextVar("begun", default=None)
"""The catalogue that the current call began with. Each call is served in a context of its own."""


class Book:
    """Holds the catalogue in force."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._in_force = catalogue

    @property
    def in_force(self) -> Catalogue:
        """The catalogue for every call that begins from now on."""
        return self._in_force

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of the current call: the one it began with; outside any call the one in force."""
        begun = _BEGUN.get()
        return begun[1] if begun is not None and begun[0] is self else self._in_force

    def begin(self) -> None:
        """Begin a call in the current context: whatever it reads, however long it takes, is of one version."""
        _BEGUN.set((self, self._in_force))

    def put_in_force(self, catalogue: Catalogue) -> None:
        """Replace the catalogue for every call that begins from now on."""
        self._in_force = catalogue
