"""Who may make a commitment at present.

Source: State Council General Office 2020/42 (as quoted in local rules): whoever made a false commitment may not use
it until the credit is repaired. A pending audit, a suspicion or an honest withdrawal never bars, except where the
matter itself says that withdrawal bars for the year: then it bars every commitment in that matter, by the rule that
the applicant was told of before signing what was withdrawn, whatever the catalogue says since.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from gateway.catalogue.words import SilentCredit, WithdrawalEffect
from gateway.rules.listing import Listing


class History(enum.Enum):
    """What an earlier commitment of the same person has come to."""

    IN_FORCE = "IN_FORCE"
    WITHDRAWN = "WITHDRAWN"
    LAPSED = "LAPSED"
    AUDIT_PENDING = "AUDIT_PENDING"
    HONOURED = "HONOURED"
    INCONCLUSIVE = "INCONCLUSIVE"
    BROKEN_NOT_FINAL = "BROKEN_NOT_FINAL"
    BROKEN = "BROKEN"
    BROKEN_REPAIRED = "BROKEN_REPAIRED"
    BROKEN_EXPIRED = "BROKEN_EXPIRED"


class BarCode(enum.Enum):
    """Why a person may not commit."""

    BROKEN_UNREPAIRED = "BROKEN_UNREPAIRED"
    CREDIT_PLATFORM = "CREDIT_PLATFORM"
    CREDIT_PLATFORM_SILENT = "CREDIT_PLATFORM_SILENT"
    WITHDRAWN_THIS_YEAR = "WITHDRAWN_THIS_YEAR"
    EXCLUDED_BY_MATTER = "EXCLUDED_BY_MATTER"
    CAPACITY = "CAPACITY"
    CAPACITY_DECLARED = "CAPACITY_DECLARED"
    CAPACITY_SILENT = "CAPACITY_SILENT"


CHINESE = {
    BarCode.BROKEN_UNREPAIRED: "申请人曾作出不实承诺,信用修复前不适用告知承诺;可依法申请信用修复或提出异议。",
    BarCode.CREDIT_PLATFORM: "申请人有较严重的不良信用记录,信用修复前不适用告知承诺;可依法申请信用修复或提出异议。",
    BarCode.CREDIT_PLATFORM_SILENT: "信用平台暂时无法应答,请稍后重试;不得因此认定申请人失信。",
    BarCode.WITHDRAWN_THIS_YEAR: (
        "申请人本年度在本办理事项中撤回过承诺,依照作出该承诺时告知的规定,至12月31日止在本办理事项中不适用告知承诺;"
        "请按一般程序办理。"
    ),
    BarCode.EXCLUDED_BY_MATTER: "本办理事项中该证明不适用告知承诺。",
    BarCode.CAPACITY: "作出承诺须具有完全民事行为能力;请由监护人依一般程序代为办理。",
    BarCode.CAPACITY_DECLARED: "申请人经法院宣告为无或者限制民事行为能力人,不能作出承诺;请由监护人依一般程序代为办理。",
    BarCode.CAPACITY_SILENT: "民事行为能力信息暂时无法查询,请稍后重试。",
}
_SILENT_OTHER_RUNGS = (
    "信用平台未能作出明确答复,本办件不适用告知承诺,请按部门协查、自行核查等其他途径办理;不得因此认定申请人失信。"
)

_ABOUT_THE_PERSON = frozenset(BarCode) - {BarCode.EXCLUDED_BY_MATTER, BarCode.CAPACITY}
_BY_HISTORY = frozenset({BarCode.BROKEN_UNREPAIRED, BarCode.WITHDRAWN_THIS_YEAR})
"""Bars by what the person did: lifted for what a reviewer knew of, and not for what came since."""
_WORKING_AGE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierCommitment:
    """One row of the person's own ledger history, with the matter it was made in and when it came to this; of one that
    was withdrawn, what that does to later ones, as it was told and recorded."""

    matter: str
    history: History
    on: date
    after_effect: WithdrawalEffect = WithdrawalEffect.NONE
    since: bool = False
    """Whether it came to this after the refusal that a reviewer lifted: nobody judged about it then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EligibilityInput:
    """Everything that decides; `waived` are bars that a reviewer lifted for this commitment (PIPL, article 24), of what
    the person did as far as it was known when it was refused."""

    matter: str
    today: date
    earlier: Sequence[EarlierCommitment] = ()
    credit: Listing = Listing.NOT_ASKED
    credit_silent: SilentCredit = SilentCredit.REFUSE_TEMPORARILY
    incapacity: Listing = Listing.NOT_ASKED
    excluded_by_matter: bool = False
    full_capacity: bool = True
    waived: frozenset[BarCode] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligible:
    """The person may make a commitment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One rule that stands against it; `temporary` ones pass by themselves."""

    code: BarCode
    chinese: str
    temporary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """The person may not, at present; every bar is named, the first is the one to tell."""

    bars: tuple[Bar, ...]

    @property
    def temporary(self) -> bool:
        """Whether all of it passes by itself."""
        return all(bar.temporary for bar in self.bars)

    @property
    def code(self) -> str:
        """The code of the first bar."""
        return self.bars[0].code.value

    @property
    def chinese(self) -> str:
        """All bars in Chinese, for the person at the window."""
        return "".join(bar.chinese for bar in self.bars)


def eligibility(given: EligibilityInput) -> Eligible | Barred:
    """Say whether the person may make a commitment now, and if not, by which rules."""
    lifted = given.waived - _BY_HISTORY
    codes = [code for code, stands in _rules(given) if stands and code not in lifted]
    return Barred(bars=tuple(_bar(code, given) for code in codes)) if codes else Eligible()


def is_liftable(code: BarCode, age: int | None) -> bool:
    """Say whether a reviewer may lift a bar: where a machine judged about a person, a person may judge otherwise.

    What the matter excludes is no judgement about a person. Of minors only who is sixteen and lives on their own
    labour counts as of full capacity (Civil Code, article 18), which no number tells and a reviewer can find out.
    """
    return code in _ABOUT_THE_PERSON or (code is BarCode.CAPACITY and age is not None and age >= _WORKING_AGE)


def _bar(code: BarCode, given: EligibilityInput) -> Bar:
    if code is BarCode.CREDIT_PLATFORM_SILENT and given.credit_silent is SilentCredit.OTHER_RUNGS:
        return Bar(code=code, chinese=_SILENT_OTHER_RUNGS)
    temporary = code in (BarCode.CREDIT_PLATFORM_SILENT, BarCode.CAPACITY_SILENT)
    return Bar(code=code, chinese=CHINESE[code], temporary=temporary)


def _rules(given: EligibilityInput) -> tuple[tuple[BarCode, bool], ...]:
    return (
        (BarCode.CAPACITY, not given.full_capacity),
        (BarCode.CAPACITY_DECLARED, given.incapacity is Listing.LISTED),
        (BarCode.EXCLUDED_BY_MATTER, given.excluded_by_matter),
        (
            BarCode.BROKEN_UNREPAIRED,
            any(row.history is History.BROKEN for row in _counting(given, BarCode.BROKEN_UNREPAIRED)),
        ),
        (BarCode.CREDIT_PLATFORM, given.credit is Listing.LISTED),
        (BarCode.WITHDRAWN_THIS_YEAR, _withdrew_this_year(given)),
        (BarCode.CREDIT_PLATFORM_SILENT, given.credit is Listing.UNKNOWN),
        (BarCode.CAPACITY_SILENT, given.incapacity is Listing.UNKNOWN),
    )


def _withdrew_this_year(given: EligibilityInput) -> bool:
    return any(
        row.history is History.WITHDRAWN
        and row.after_effect is WithdrawalEffect.BARRED_THIS_YEAR
        and row.matter == given.matter
        and row.on.year == given.today.year
        for row in _counting(given, BarCode.WITHDRAWN_THIS_YEAR)
    )


def _counting(given: EligibilityInput, code: BarCode) -> Sequence[EarlierCommitment]:
    """Give the earlier commitments that count for a bar: where it was lifted, those that came to what bars since."""
    return [row for row in given.earlier if row.since] if code in given.waived else given.earlier
