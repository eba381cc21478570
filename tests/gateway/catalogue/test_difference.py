"""What a new version changes: new, gone, stricter, looser; and nothing where nothing does."""

# ruff: noqa: E501  YAML as it is written

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.catalogue.difference import ChangeKind, difference
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.model import Catalogue
from ledger.canonical import canonical
from tests.gateway.catalogue.lists import NATION, PROVINCE, load_texts, replaced


def changed(folder: Path, *changes: tuple[str, str]) -> tuple[Catalogue, Catalogue]:
    old = load_texts(folder, NATION)
    return old, load_texts(folder, replaced(NATION, *changes))


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (("LOW: 5", "LOW: 6"), ChangeKind.STRICTER, "item 'premises' 住所证明: 'audit: sampling: LOW' became stricter: 5 → 6"),
        (("LOW: 5", "LOW: 4"), ChangeKind.LOOSER, "item 'premises' 住所证明: 'audit: sampling: LOW' became looser: 5 → 4"),
        (("absence: inconclusive\n    sharing", "absence: conclusive\n    sharing"), ChangeKind.UNPROVEN, "fact type 'home' 房屋登记: 'absence' changed, and neither direction can be shown: inconclusive → conclusive"),
        (("purposes: [办理行政许可, 核查]", "purposes: [核查]"), ChangeKind.STRICTER, "matter '230000-MSA-001' 登记: 'purposes' became stricter: 办理行政许可 → —"),
        (("title: 保留证明", "title: 改名证明"), ChangeKind.CHANGED, "item 'kept' 改名证明: 'title' changed: 保留证明 → 改名证明"),
        (("code: kept", "code: other"), ChangeKind.GONE, "item 'kept' 保留证明 is gone"),
        (("code: kept", "code: other"), ChangeKind.NEW, "item 'other' 保留证明 is new"),
        (("expect: {address: $address, use: $use}", "expect: {use: $use, address: $address}, place: '230000'"), ChangeKind.UNPROVEN, "item 'premises' 住所证明: 'expression' changed, and neither direction can be shown: as it was → another one"),
        (("region: {name: 全国,", "region: {name: 全国, publication_basis: 某条例,"), ChangeKind.LOOSER, "region 全国: 'publication_basis' became looser: — → 某条例"),
        (('version: "1"', 'version: "2"'), ChangeKind.CHANGED, "list '000000' 国家清单: 'version' changed: 1 → 2"),
    ],
)  # fmt: skip
def test_a_change_is_told_with_its_direction(
    tmp_path: Path, change: tuple[str, str], kind: ChangeKind, said: str
) -> None:
    found = {str(one): one.kind for one in difference(*changed(tmp_path, change)).changes}

    assert found.get(said) is kind, found


def test_what_is_stricter_forth_is_looser_back(tmp_path: Path) -> None:
    old, new = changed(
        tmp_path, ("LOW: 5", "LOW: 50"), ("proxy: false", "proxy: true"), ("timing: AFTER", "timing: DURING")
    )
    forth = {one.dimension: one.kind for one in difference(old, new).changes}
    back = {one.dimension: one.kind for one in difference(new, old).changes}
    turned = {ChangeKind.STRICTER: ChangeKind.LOOSER, ChangeKind.LOOSER: ChangeKind.STRICTER}

    assert len(forth) == 3
    assert back == {dimension: turned[kind] for dimension, kind in forth.items()}


def test_a_list_below_is_new_and_loosens_nothing(tmp_path: Path) -> None:
    found = difference(load_texts(tmp_path, NATION), load_texts(tmp_path, NATION, PROVINCE))

    assert [str(one) for one in found.changes] == ["list '230000' 省清单 is new"]


def test_the_shipped_lists_below_the_nations_loosen_nothing_of_it() -> None:
    files = shipped_catalogue_files()
    found = difference(load_catalogue(files[:1]), load_catalogue(files))

    assert {one.kind for one in found.changes} <= {ChangeKind.NEW, ChangeKind.STRICTER, ChangeKind.CHANGED}


def test_the_same_catalogue_differs_in_nothing_and_a_difference_has_a_canonical_form(tmp_path: Path) -> None:
    old, new = changed(tmp_path, ("LOW: 5", "LOW: 6"))

    assert difference(old, old).changes == ()
    assert canonical(difference(old, new).body())
