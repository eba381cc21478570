"""Who must have signed a document: what the document itself says."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.rules.kept import table, text
from gateway.signatures.evidence import Signatory
from ledger.canonical import Json


def signatory_of(document: Mapping[str, Json]) -> Signatory:
    """Give who must have signed a document; raises `TypeError` if it is not of our making."""
    person = table(document["applicant"])
    return Signatory(id_type=text(person["id_type"]), id_number=text(person["id_number"]), name=text(person["name"]))
