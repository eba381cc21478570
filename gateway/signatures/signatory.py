"""Who must have signed a document: what the document itself says."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.rules.kept import table, text
from gateway.signatures.evidence import Signatory
from ledger.canonical import Json


def signatory_of(document: Mapping[str, Json]) -> Signatory:
    """Give who must have signed a document: the agent where one acts, else the applicant.

    Raises:
        TypeError: the document is not of our making.
    """
    person = table(document["proxy"] if "proxy" in document else document["applicant"])
    return Signatory(
        id_type=text(person["id_type"]),
        id_number=text(person["id_number"]),
        name=text(person["name"]),
        by_proxy="proxy" in document,
    )
