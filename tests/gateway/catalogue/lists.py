"""A small chain of lists, as YAML that a test changes in one place."""

# ruff: noqa: E501  YAML as it is written

from __future__ import annotations

from pathlib import Path

from gateway.catalogue.loader import load_catalogue
from gateway.catalogue.mistakes import CatalogueError
from gateway.catalogue.model import Catalogue

NATION = """\
level: nation
code: "000000"
version: "1"
title: 国家清单
region: {name: 全国, credit_platform: 平台, credit_site: 网站}
fact_types:
  - code: home
    title: 房屋登记
    authority: 自然资源部门
    attributes: {address: string, use: "enum[LIVE,WORK]"}
    labels: {use: 用途, LIVE: 居住, WORK: 经营}
    given: {owner: person}
    absence: inconclusive
    sharing: CONDITIONAL
    sources: {policy: quorum, k: 2}
  - code: illness
    title: 疾病
    authority: 医院
    absence: inconclusive
    sensitivity: SENSITIVE
items:
  - code: premises
    number: 1
    title: 住所证明
    state: TRANSITIONAL
    legal_basis:
      - {text: 某条, source: 某法, certainty: L}
    demanded_by: 甲
    issued_by: 乙
    checked_by: 丙
    guide: 说明
    parameters:
      address: {type: string, label: 地址}
      owner: {type: person, label: 业主, required: false}
      use: {type: "enum[LIVE,WORK]", label: 用途, labels: {LIVE: 居住, WORK: 经营}}
    expression: {fact: home, expect: {address: $address, use: $use}, given: {owner: $owner}}
    ladder: [ASSISTANCE, OWN_OR_COMMISSIONED_CHECK, COMMITMENT]
    commitment: {allowed: BY_DEFAULT, mode: APPLICANT_CHOICE, template: general, proxy: false, withdrawal: {until: CLOSING_DATE, after_effect: NONE}, publication: LIMITED}
    audit: {timing: AFTER, due_working_days: 60, due_source: 某规定, sampling: {LOW: 5, MEDIUM: 20, HIGH: 100}}
    disclosure: PER_FACT
    sensitivity: ORDINARY
    transition: {scope: 范围, risk_assessment: 评估, review_by: 2027-01-01}
  - code: kept
    number: 2
    title: 保留证明
    state: RETAINED
    legal_basis:
      - {text: 某条, source: 某法, certainty: L}
    demanded_by: 甲
    issued_by: 乙
    checked_by: 丙
    guide: 说明
    ladder: []
    issuing: {form: 表, procedure: 程, time_limit: 限, use: 用, flow: 流, communal_interest: true, deliberation: 议}
matters:
  - code: 230000-MSA-001
    title: 登记
    departments: [{uscc: 11230000000000101E, name: 某局}]
    purposes: [办理行政许可, 核查]
    patience_seconds: 3600
    retry_after_seconds: 60
    items:
      - {item: premises, ladder: [ASSISTANCE, COMMITMENT], commitment_mode: LAST_RESORT, disclosure: AGGREGATE, patience_seconds: 600, confirm_by_clerk: true}
"""

PROVINCE = """\
level: province
code: "230000"
version: "1"
title: 省清单
parent: "000000"
adopts: all
"""


def load_texts(folder: Path, *texts: str) -> Catalogue:
    """Load lists written as `nation.yaml`, `province.yaml` and `city.yaml`."""
    files = []
    for name, text in zip(("nation", "province", "city"), texts, strict=False):
        file = folder / f"{name}.yaml"
        file.write_text(text, "utf-8")
        files.append(file)
    return load_catalogue(files)


def mistakes_of(folder: Path, *texts: str) -> list[str]:
    """Load lists that are wrong, and return what is wrong with them."""
    try:
        load_texts(folder, *texts)
    except CatalogueError as error:
        return [str(mistake) for mistake in error.mistakes]
    return []


def replaced(text: str, *changes: tuple[str, str]) -> str:
    """Replace each text, which must be there exactly once."""
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    return text
