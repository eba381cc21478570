"""The Chinese for every state of a record, as clerks and citizens read it: in refusals and in exports. Pure."""

from __future__ import annotations

from collections.abc import Mapping

COMMITMENT: Mapping[str, str] = {
    "PREPARED": "已告知",
    "RECORDED": "已承诺",
    "BINDING": "已承诺(不可撤回)",
    "QUESTIONED": "存疑",
    "WITHDRAWN": "已撤回",
    "IN_FORCE": "生效",
    "LAPSED": "失效",
    "CONFIRMED": "核查属实",
    "DISPUTED": "核查存疑",
    "BROKEN": "认定不实",
    "INCONCLUSIVE": "无法核实",
    "REPAIRED": "已修复",
    "EXPIRED": "告知逾期",
    "REFUSED": "不予适用",
    "CONTESTED": "异议处理中",
    "REFUSAL_UPHELD": "异议不成立",
    "REFUSAL_LIFTED": "异议成立",
}
"""Each state of a commitment."""
ASSISTANCE: Mapping[str, str] = {
    "SENT": "已发出", "RECEIVED": "已签收", "CLAIMED": "已认领", "ANSWERED": "已答复", "REFUSED": "不予协查",
    "RETURNED": "已退回", "OVERDUE": "已逾期",
}  # fmt: skip
"""Each state of a request for assistance."""
_OTHERS: Mapping[str, str] = {
    "ABSENT": "尚无记录",
    "DONE": "已完成", "ANSWERED": "已答复",
    "DISCREPANCY": "发现不一致", "EVIDENCE_REQUESTED": "已要求佐证", "CLEARED": "已澄清",
    "MINOR_ERROR": "轻微差错已更正",
    "FALSE_PROPOSED": "拟认定不实", "NOTIFIED": "已告知当事人", "DEFENCE_HEARD": "已听取陈述申辩", "DECIDED": "已决定",
    "DISMISSED": "不予认定", "FINAL": "已生效", "REVOKED": "已撤销",
    "EFFECT_ENDED": "效力期已满",
    "ISSUED": "已报送", "ACKNOWLEDGED": "已接收", "REJECTED": "被退回", "RECALLED": "已召回",
    "CLOSED": "已了结",
    "KEY_IN_FORCE": "密钥使用中", "KEY_RETIRED": "密钥已停用",
    "KEY_PROPOSED": "密钥待登记", "KEY_ENROLLED": "密钥已登记", "KEY_REJECTED": "密钥未获登记",
    "KEY_REVOKED": "密钥已吊销",
    "ERASURE_PROPOSED": "拟删除", "ERASURE_REJECTED": "不予删除", "HELD": "依法留存", "RELEASED": "留存已解除",
}  # fmt: skip
"""The states of other records; ABSENT is that there is none yet."""


UNTOLD = "其他"
"""Of a state that this table does not know: a refusal is no place to fail."""


def state_words(state: str, kind: str = "") -> str:
    """Give the Chinese for a state of any record; `kind` is of an entry of its family, where families differ."""
    if kind.startswith("Assistance"):
        return ASSISTANCE.get(state, UNTOLD)
    return COMMITMENT.get(state) or _OTHERS.get(state) or ASSISTANCE.get(state, UNTOLD)
