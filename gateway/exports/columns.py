"""The columns of a commitment in an export: the national layout where it fits, then where it stands and what proves it.

Source of the first part: the template 信用承诺及履行 of a county credit platform, which matches the national one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from gateway.flows.commitments.read import CommitmentRead
from gateway.letters import fulfilment
from gateway.rules.clocks import CHINA, legal_day
from gateway.rules.kept import rows, table, text
from gateway.rules.masking import MaskRules, Person, mask_code, mask_name, mask_number, mask_words, people_in
from gateway.rules.states import state_words
from ledger.canonical import Json

COLUMNS: tuple[tuple[str, str], ...] = (
    ("record", "承诺记录号"),
    ("subject_name", "承诺人名称"),
    ("subject_category", "承诺人类别"),
    ("subject_code", "承诺人代码"),
    ("commitment_type", "承诺类型"),
    ("reason", "承诺事由"),
    ("content", "承诺内容"),
    ("liability", "违诺责任"),
    ("commitment_date", "承诺作出日期"),
    ("fulfilment", "承诺履行状态"),
    ("accepted_by", "承诺受理单位"),
    ("accepted_by_code", "承诺受理单位代码"),
    ("publication", "公开类型"),
    ("supervision", "监管状态"),
    ("matter", "办理事项编码"),
    ("item", "证明事项编码"),
    ("case_id", "办件号"),
    ("state", "状态"),
    ("opened_at", "告知时间"),
    ("changed_at", "最近变更时间"),
    ("due_at", "到期时间"),
    ("document_digest", "文书摘要(SHA-256)"),
    ("document_erased", "文书是否已依法删除"),
    ("entry", "台账最新条目序号"),
)
"""The name of each column, in JSON, and its heading."""


def row_of(read: CommitmentRead, rules: MaskRules, may: fulfilment.Telling) -> dict[str, str]:
    """Give the row of a commitment, masked; of one without a document only what its life says.

    Of what was committed to, it shows what may be told of it.
    """
    life, row = read.life, read.life.row
    made = [line.at for line in life.history if line.kind == "CommitmentRecorded"]
    cells = dict.fromkeys((name for name, _ in COLUMNS), "")
    cells |= {
        "record": row.record.hex(),
        "commitment_date": legal_day(made[-1]).isoformat() if made else "",
        "fulfilment": fulfilment.fulfilment(life.state),
        "supervision": fulfilment.supervision(life.state),
        "matter": row.matter or "",
        "item": row.item or "",
        "state": state_words(life.state),
        "opened_at": _moment(row.opened_at),
        "changed_at": _moment(life.changed_at),
        # Older gateways left the date of the audit with what had ended.
        "due_at": "" if fulfilment.is_concluded(life.state) else _moment(row.due_at),
        "document_digest": read.digest.hex(),
        "document_erased": "是" if read.erased else "否",
        "entry": str(row.last_idx),
    }
    if read.document is not None:
        cells |= _said(read.document, rules, may, on=legal_day(row.opened_at))
    return cells


def _said(document: Mapping[str, Json], rules: MaskRules, may: fulfilment.Telling, *, on: date) -> dict[str, str]:
    people = _people(document)
    applicant, authority = table(document["applicant"]), table(document["authority"])
    id_type = text(applicant["id_type"])
    return {
        "subject_name": mask_name(text(applicant["name"]), id_type, rules),
        "subject_category": fulfilment.category(id_type),
        "subject_code": mask_number(text(applicant["id_number"]), id_type, rules),
        "commitment_type": fulfilment.KIND,
        "reason": fulfilment.reason(document),
        "content": mask_words(fulfilment.content(document, may), rules, people),
        "liability": fulfilment.liability(document),
        "accepted_by": text(authority["name"]),
        "accepted_by_code": text(authority["unit"]),
        "publication": fulfilment.publication(document),
        "case_id": mask_code(text(document["case"]), rules, people, on=on),
    }


def _people(document: Mapping[str, Json]) -> list[Person]:
    """Give whom a document names: the applicant, who acts for them, and whom the facts are about."""
    parties = [table(document[one]) for one in ("applicant", "proxy") if one in document]
    return [
        Person(name=text(party["name"]), number=text(party["id_number"]))
        for party in parties
        if text(party["id_type"]) != "uscc"
    ] + [person for row in rows(document["facts"]) for person in people_in(text(table(row)["value"]))]


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(CHINA).isoformat(timespec="seconds")
