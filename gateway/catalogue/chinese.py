"""The Chinese for every word of the catalogue, as clerks and citizens read it: glossary of guide and explanation."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from gateway.catalogue.words import (
    Absence,
    AuditTiming,
    Certainty,
    CommitmentAllowance,
    CommitmentMode,
    Disclosure,
    ItemState,
    Level,
    Publication,
    Risk,
    Rung,
    Sensitivity,
    Sharing,
    SilentCredit,
    SourcePolicyKind,
    ValueKind,
    WithdrawalEffect,
    WithdrawalUntil,
)

GLOSSARY: Mapping[enum.Enum, str] = {
    Level.NATION: "国家",
    Level.PROVINCE: "省级",
    Level.CITY: "市级",
    ItemState.BANNED: "取消,任何单位不得索要",
    ItemState.NOT_ISSUED_BY_COMMITTEE: "不应由基层群众性自治组织出具,由行政审批部门核查",
    ItemState.TRANSITIONAL: "过渡期内可以据实出具",
    ItemState.RETAINED: "保留,由基层群众性自治组织出具",
    Certainty.LAW_READ: "已核对法律文本",
    Certainty.SITE_READ: "已核对公开网页",
    Certainty.MEMORY: "来源待核实",
    Certainty.INFERRED: "系推断,待核实",
    ValueKind.STRING: "文字",
    ValueKind.INTEGER: "整数",
    ValueKind.BOOLEAN: "是或者否",
    ValueKind.DATE: "日期",
    ValueKind.ENUM: "选择",
    ValueKind.PERSON: "姓名和证件号码",
    ValueKind.DIVISION: "六位行政区划代码",
    Absence.CONCLUSIVE: "数据覆盖的地区和年份内查无记录的,视为没有",
    Absence.INCONCLUSIVE: "查无记录不说明没有",
    Sensitivity.ORDINARY: "一般信息",
    Sensitivity.SENSITIVE: "敏感个人信息,不进入信用报送",
    Sharing.UNCONDITIONAL: "无条件共享",
    Sharing.CONDITIONAL: "有条件共享",
    Sharing.NOT_SHARED: "不予共享",
    SourcePolicyKind.FIRST: "按顺序询问,先有明确答复的为准",
    SourcePolicyKind.QUORUM: "须有规定数量的来源答复一致",
    SourcePolicyKind.ALL_AGREE: "全部来源均须答复且一致",
    Rung.ASSISTANCE: "部门间协查",
    Rung.OWN_OR_COMMISSIONED_CHECK: "行政审批部门自行核查或者有偿委托第三方核查",
    Rung.COMMITMENT: "个人书面告知承诺",
    CommitmentAllowance.NEVER: "不得以承诺代替",
    CommitmentAllowance.BY_MATTER: "仅在办理事项明确列明时可以承诺",
    CommitmentAllowance.BY_DEFAULT: "可以承诺",
    CommitmentMode.LAST_RESORT: "穷尽其他途径后方可承诺",
    CommitmentMode.APPLICANT_CHOICE: "数据缺失时申请人可以自主选择承诺",
    WithdrawalUntil.DECISION: "办结前可以撤回承诺",
    WithdrawalUntil.FEE_PAYMENT: "缴费前可以撤回承诺",
    WithdrawalUntil.CLOSING_DATE: "报名截止前可以撤回承诺",
    WithdrawalEffect.NONE: "撤回不影响以后承诺",
    WithdrawalEffect.BARRED_THIS_YEAR: "撤回后当年内该办理事项不再适用承诺",
    SilentCredit.REFUSE_TEMPORARILY: "信用平台无法应答的,暂不适用承诺,恢复后再办",
    SilentCredit.OTHER_RUNGS: "信用平台无法应答的,不适用承诺,改按其他途径核查",
    Publication.PUBLIC: "承诺书向社会公开",
    Publication.LIMITED: "承诺书在特定范围内公开",
    Publication.NOT_PUBLIC: "承诺书不公开",
    AuditTiming.NONE: "免予核查",
    AuditTiming.DURING: "办理中核查",
    AuditTiming.AFTER: "办结后核查",
    Risk.LOW: "低风险",
    Risk.MEDIUM: "中风险",
    Risk.HIGH: "高风险",
    Disclosure.PER_FACT: "告知经办人各项事实的核查结果",
    Disclosure.AGGREGATE: "只告知经办人总的结论,不显示各项事实",
}


def chinese(word: enum.Enum) -> str:
    """Return the Chinese for a word of the catalogue's vocabularies."""
    return GLOSSARY[word]
