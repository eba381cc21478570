"""What an item comes to, in plain Chinese: who would be asked, what each answer leads to, what the applicant is asked.

Nothing is told here that the rules do not do: the steps are got by asking `gateway.rules.fallback` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.catalogue.chinese import chinese
from gateway.catalogue.expression import facts_of
from gateway.catalogue.expression_words import Line, expression_lines, parameter_type_words
from gateway.catalogue.model import Catalogue, FactType, Item, Matter
from gateway.catalogue.words import AuditTiming, CommitmentAllowance, ItemState, Risk, Rung, SourcePolicyKind
from gateway.rules.fallback import FallbackSettings, Situation, StepKind, course, settings_for, settings_of

SourcesFor = Callable[[str], Sequence[str]]
"""Names the configured sources of a type of fact, in order; none are known where only the catalogue is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactLine:
    """One type of fact that may be asked; `sources` are the configured ones, in order."""

    code: str
    title: str
    authority: str
    weighing: str
    absence: str
    sensitivity: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionLine:
    """One thing that the applicant is asked."""

    name: str
    label: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseLine:
    """What follows an answer: the situation, and the steps in their order as long as nothing changes."""

    situation: Situation
    words: str
    steps: tuple[StepKind, ...]
    steps_words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An item in words; of `matter` where one is named, else as the item itself says."""

    catalogue_version: str
    item: str
    title: str
    state: str
    matter: str
    matter_title: str
    not_verified: str
    """Why nobody is asked; empty where somebody is."""
    asks: tuple[Line, ...]
    facts: tuple[FactLine, ...]
    courses: tuple[CourseLine, ...]
    applicant: tuple[QuestionLine, ...]
    ladder: tuple[str, ...]
    rules: tuple[str, ...]
    """Commitment, audit, disclosure and waiting, a sentence each."""

    def text(self) -> str:
        """Render it for a terminal or a window."""
        return "\n".join(_rendered(self)) + "\n"


def explain(
    catalogue: Catalogue, item: Item, matter: Matter | None = None, *, sources_for: SourcesFor | None = None
) -> Explanation:
    """Explain an item, for a matter where one is given.

    Raises:
        KeyError: the matter may not ask the item.
    """
    settings = settings_of(item) if matter is None else settings_for(item, matter)
    verified = item.expression is not None and item.state is not ItemState.BANNED
    return Explanation(
        catalogue_version=catalogue.version,
        item=item.code,
        title=item.title,
        state=chinese(item.state),
        matter=matter.code if matter else "",
        matter_title=matter.title if matter else "",
        not_verified="" if verified else _why_nobody_is_asked(item),
        asks=expression_lines(item, catalogue.fact_types) if verified else (),
        facts=_facts(catalogue, item, sources_for) if verified else (),
        courses=courses(settings) if verified else (),
        applicant=_questions(item) if verified else (),
        ladder=_ladder(settings) if verified else (),
        rules=_rules(item, matter, settings) if verified else (),
    )


def _why_nobody_is_asked(item: Item) -> str:
    if item.state is ItemState.BANNED:
        return "任何单位不得索要此项证明,也不核查:" + ";".join(basis.text for basis in item.legal_basis)
    return "此项证明由基层群众性自治组织出具,本系统不核查;出具办法见办事指南。"


def _facts(catalogue: Catalogue, item: Item, sources_for: SourcesFor | None) -> tuple[FactLine, ...]:
    if item.expression is None:
        return ()
    codes = dict.fromkeys(fact.fact for fact in facts_of(item.expression))
    return tuple(_fact(catalogue.fact_types[code], sources_for) for code in codes)


def _fact(fact: FactType, sources_for: SourcesFor | None) -> FactLine:
    weighing = chinese(fact.sources.kind)
    if fact.sources.kind is not SourcePolicyKind.FIRST and fact.sources.k > 1:
        weighing += f"(至少 {fact.sources.k} 个)"
    return FactLine(
        code=fact.code,
        title=fact.title,
        authority=fact.authority,
        weighing=weighing,
        absence=chinese(fact.absence),
        sensitivity=chinese(fact.sensitivity),
        sources=tuple(sources_for(fact.code)) if sources_for else (),
    )


def _questions(item: Item) -> tuple[QuestionLine, ...]:
    return tuple(
        QuestionLine(name=one.name, label=one.label, type=parameter_type_words(one), required=one.required)
        for one in item.parameters.values()
    )


SITUATIONS = {
    Situation.ESTABLISHED: "数据与申请人所述一致",
    Situation.CONTRADICTED: "数据或者人工核实的结果与申请人所述不一致",
    Situation.PENDING: "有关单位正在人工协查",
    Situation.NEEDS_ATTRIBUTE: "还需申请人补充一项信息才能核查",
    Situation.TEMPORARY: "数据来源暂时无法应答,或者数据已过更新期限",
    Situation.UNCLEAR: "查到多条候选记录、来源之间不一致,或者记录主体已注销",
    Situation.DISPROVED: "经人工核实,其中一类事实与申请人所述不符,其余的不能证实所述",
    Situation.MISSING: "可以询问的来源都没有数据(查无记录、不覆盖、未登载或者不予提供)",
}
"""Each row of the fallback table in words."""

STEPS = {
    StepKind.NONE: "直接使用,不再要求申请人提交证明",
    StepKind.DISPUTE: "申请人可以提出异议,由来源单位或者核实单位校核;不得以承诺代替",
    StepKind.WAIT: "等待协查答复",
    StepKind.ASK_APPLICANT: "向申请人补充询问后重新核验",
    StepKind.RETRY_AFTER: "稍后自动重新核验,不得要求申请人提交证明或者承诺",
    StepKind.ASSISTANCE: "部门间协查",
    StepKind.OWN_OR_COMMISSIONED_CHECK: "自行核查或者委托第三方核查",
    StepKind.COMMITMENT: "经书面告知,申请人可以作出个人承诺",
    StepKind.NOT_ESTABLISHABLE: "暂不能核实,列明已采取的措施",
}
"""Each step in words."""


def courses(settings: FallbackSettings) -> tuple[CourseLine, ...]:
    """Say for every situation which steps follow, by the rules themselves."""
    found = []
    for situation, words in SITUATIONS.items():
        steps = course(situation, settings)
        told = ",仍不能核实的,".join(STEPS[step] for step in steps)
        found.append(CourseLine(situation=situation, words=words, steps=steps, steps_words=told))
    return tuple(found)


def _ladder(settings: FallbackSettings) -> tuple[str, ...]:
    open_rungs = (rung for rung in settings.ladder if rung is not Rung.COMMITMENT or settings.commitment_open)
    return tuple(chinese(rung) for rung in open_rungs)


def _rules(item: Item, matter: Matter | None, settings: FallbackSettings) -> tuple[str, ...]:
    rules = [_commitment_words(item, matter, settings)]
    if settings.commitment_open or (matter is None and item.commitment.allowed is not CommitmentAllowance.NEVER):
        rules.append(_audit_words(item))
    if matter is not None and settings.commitment_open:
        rules.append(f"{chinese(matter.credit_silent)}。")
    disclosure = matter.disclosure_of(item) if matter else item.disclosure
    rules.append(f"{chinese(disclosure)}。")
    if matter is not None:
        minutes = int(settings.retry_after.total_seconds()) // 60 or 1
        hours = settings.patience.total_seconds() / 3600
        rules.append(f"来源暂时无法应答的,每 {minutes} 分钟后可再核验;超过 {hours:g} 小时仍无法应答的,转人工核查。")
    if settings.confirm_by_clerk:
        rules.append("下一步骤须经办人确认。")
    return tuple(rules)


def _commitment_words(item: Item, matter: Matter | None, settings: FallbackSettings) -> str:
    rules = item.commitment
    if rules.allowed is CommitmentAllowance.NEVER:
        return "本事项不得以承诺代替核查。"
    if not settings.commitment_open:
        return "本办理事项不适用告知承诺。" if matter else f"{chinese(rules.allowed)}。"
    proxy = "可以由代理人承诺" if rules.proxy else "不得代为承诺"
    words = (settings.commitment_mode, rules.withdrawal.until, rules.withdrawal.after_effect, rules.publication)
    return ";".join([chinese(words[0]), proxy, *(chinese(word) for word in words[1:])]) + "。"


def _audit_words(item: Item) -> str:
    audit = item.audit
    if audit.timing is AuditTiming.NONE:
        return f"承诺{chinese(audit.timing)}({audit.due_source})。"
    shares = "、".join(f"{chinese(risk)} {audit.sampling.get(risk, 0)}%" for risk in Risk)
    return (
        f"承诺{chinese(audit.timing)},{audit.due_working_days} 个工作日内完成({audit.due_source});抽查比例:{shares}。"
    )


def _rendered(told: Explanation) -> list[str]:
    lines = [f"{told.title}({told.item})", f"状态:{told.state}"]
    if told.matter:
        lines.append(f"办理事项:{told.matter_title}({told.matter})")
    lines.append(f"目录版本:{told.catalogue_version}")
    if told.not_verified:
        return [*lines, "", told.not_verified]
    lines += ["", "一、向谁核查"]
    lines += [f"{'  ' * (line.depth + 1)}{line.text}" for line in told.asks]
    lines += ["", "二、各类数据"]
    for fact in told.facts:
        sources = f";已接入:{' → '.join(fact.sources)}" if fact.sources else ""
        lines.append(f"  {fact.title}({fact.authority}):{fact.weighing};{fact.absence};{fact.sensitivity}{sources}")
    lines += ["", "三、核查结果与下一步"]
    lines += [f"  {line.words}:{line.steps_words}" for line in told.courses]
    lines += ["", "四、需要申请人说明的"]
    lines += [f"  {one.label}({one.type}{'' if one.required else ',可不填'})" for one in told.applicant] or ["  无"]
    lines += ["", "五、数据缺失时依次采取的措施"]
    lines += [f"  {number}. {words}" for number, words in enumerate(told.ladder, 1)] or ["  无"]
    lines += ["", "六、规则", *(f"  {rule}" for rule in told.rules)]
    return lines
