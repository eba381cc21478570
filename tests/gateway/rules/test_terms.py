"""Terms that are kept are those that the catalogue in force gives, and no other catalogue's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.catalogue.model import Catalogue
from gateway.catalogue.words import Disclosure
from gateway.rules.fallback import policy_digest, settings_for
from gateway.rules.terms import TermsOf
from tests.gateway.rules.test_plan import CATALOGUE


def changed(catalogue: Catalogue) -> Catalogue:
    """Give a catalogue of another version, in which every item tells its verdict only."""
    items = {code: replace(item, disclosure=Disclosure.AGGREGATE) for code, item in catalogue.items.items()}
    return replace(catalogue, version="ab" * 32, items=items)


def test_terms_are_those_of_the_catalogue_that_is_asked_about_however_often_they_change() -> None:
    terms_of, other = TermsOf(), changed(CATALOGUE)
    for catalogue in (CATALOGUE, CATALOGUE, other, CATALOGUE, other, other):
        for matter in catalogue.matters.values():
            for code in matter.items:
                terms = terms_of(catalogue, code, matter.code)
                settings = settings_for(catalogue.item(code), matter)
                assert (terms.catalogue_version, terms.settings) == (catalogue.version, settings)
                assert terms.policy == policy_digest(settings)
                assert terms.disclosure is matter.disclosure_of(catalogue.item(code))


def test_an_item_that_the_matter_may_not_ask_has_no_terms() -> None:
    matter = next(iter(CATALOGUE.matters.values()))
    foreign = next(code for code in CATALOGUE.items if code not in matter.items)
    terms_of = TermsOf()
    for _ in range(2):
        with pytest.raises(KeyError):
            terms_of(CATALOGUE, foreign, matter.code)
