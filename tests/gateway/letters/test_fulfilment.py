"""What is told of a letter: never the fact of a sensitive item, and nobody but the person who committed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.catalogue.words import Sensitivity
from gateway.letters.fulfilment import content, telling, telling_body

from .making import RELATIVE, catalogue, document, question


def test_nobody_else_is_in_what_is_told_also_of_a_document_with_which_nothing_is_kept() -> None:
    item, letter = catalogue().items["kinship"], document(question("kinship"))
    assert RELATIVE.name in str(letter["facts"])
    assert telling_body(item)["people"] == ["亲属"]

    for may in (
        telling(telling_body(item), item),
        telling(None, item),
        telling({"sensitivity": "ORDINARY", "people": []}, item),
    ):
        told = content(letter, may)
        assert RELATIVE.name not in told
        assert RELATIVE.id_number not in told
        assert "亲属" not in told.partition("(")[2]
        assert "父母" in told, "the relation is the applicant's own"


def test_a_fact_that_is_nobody_is_told() -> None:
    item, letter = catalogue().items["business-premises"], document(question("business-premises", "230000-MSA-001"))

    assert "示例路1号院2号楼3单元401室" in content(letter, telling(None, item))


def test_no_fact_of_a_sensitive_or_unknown_item_is_told() -> None:
    letter = document(question("property"))

    for may in (telling(None, catalogue().items["property"]), telling(None, None)):
        assert "核授" not in content(letter, may)


@pytest.mark.parametrize("signed", [None, Sensitivity.ORDINARY, Sensitivity.SENSITIVE])
@pytest.mark.parametrize("now", [None, Sensitivity.ORDINARY, Sensitivity.SENSITIVE])
def test_an_item_is_sensitive_where_it_was_when_it_was_signed_or_is_now(
    signed: Sensitivity | None, now: Sensitivity | None
) -> None:
    item = catalogue().items["business-premises"]
    kept = None if signed is None else telling_body(replace(item, sensitivity=signed))

    said = telling(kept, None if now is None else replace(item, sensitivity=now))

    assert said.sensitive is (Sensitivity.SENSITIVE in (signed, now) or signed is now is None)
