"""The catalogue in force: read once, replaced whole or not at all."""

from __future__ import annotations

from gateway.catalogue.model import Catalogue


class Book:
    """Holds the catalogue in force; a question keeps the one it began with."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force now."""
        return self._catalogue

    def put_in_force(self, catalogue: Catalogue) -> None:
        """Replace the catalogue for every question that begins from now on."""
        self._catalogue = catalogue
