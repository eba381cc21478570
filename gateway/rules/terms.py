"""What the catalogue sets for one item in one matter, worked out once for each catalogue and not with each question."""

from __future__ import annotations

from msgspec import Struct

from gateway.catalogue.model import Catalogue
from gateway.catalogue.words import Disclosure
from gateway.rules.fallback import FallbackSettings, policy_digest, settings_for


class Terms(Struct, frozen=True, kw_only=True):
    """What an answer is given under; `policy` is the digest of the fallback table with these settings."""

    catalogue_version: str
    settings: FallbackSettings
    policy: str
    disclosure: Disclosure


class TermsOf:
    """Gives the terms of the items that matters may ask, of the catalogue that was asked about last."""

    def __init__(self) -> None:
        self._catalogue: Catalogue | None = None
        self._known: dict[tuple[str, str], Terms] = {}

    def __call__(self, catalogue: Catalogue, item: str, matter: str) -> Terms:
        """Give the terms of an item in a matter.

        Raises:
            UnknownItem, UnknownMatter: the catalogue has none of this code.
            KeyError: the matter may not ask the item.
        """
        if catalogue is not self._catalogue:
            self._catalogue, self._known = catalogue, {}
        terms = self._known.get((item, matter))
        if terms is None:
            terms = self._known[item, matter] = terms_of(catalogue, item, matter)
        return terms


def terms_of(catalogue: Catalogue, item_code: str, matter_code: str) -> Terms:
    """Work out the terms of an item in a matter; raises as `TermsOf` does."""
    item, matter = catalogue.item(item_code), catalogue.matter(matter_code)
    settings = settings_for(item, matter)
    return Terms(
        catalogue_version=catalogue.version,
        settings=settings,
        policy=policy_digest(settings),
        disclosure=matter.disclosure_of(item),
    )
