"""Every way in which the gateway refuses, typed; `gateway.rpc.status` alone turns them into gRPC codes.

    GatewayError
    ├── InvalidRequest            the request is malformed; names every mistake
    ├── CallerUnknown             a valid certificate that the configuration does not know
    ├── CallerRefused             a certificate that TLS took once and that does not count now
    ├── OperatorAssertionRequired who acts must be shown, and is not
    ├── OperatorAssertionRefused  what is shown of who acts does not count
    │   ├── CallerRevoked         its authority revoked it
    │   ├── CallerAuthorityWithdrawn  its authority was taken out of force
    │   └── CallerRevocationUnknown   no revocation list in force tells of it
    ├── NotEntitled               known, but this is not theirs to ask or do
    ├── RequestIdReused           the same request_id came with another body
    ├── LimitReached              asked too much for now; says when to come again
    │   ├── TooManyCalls          the caller has too many calls under way
    │   ├── CallsTooFast          the caller calls faster than it may
    │   ├── LettersWaiting        as many letters as may wait are being printed
    │   └── GuessBudgetSpent      too many different guesses about one fact of one person proved wrong
    ├── TooManyItems              a question stands beyond the number that one message may carry
    │   └── FarTooManyItems       a message carries far more than that, and ends its stream
    ├── Draining                  the gateway stops; another, or this one later, will answer
    ├── NotYetPublished           recorded, but no published checkpoint covers it yet: there is no receipt
    ├── RecordNotFound            no such verification, commitment, finding or report (or not yours to see)
    ├── StepRefused               the state of things does not allow this act now
    │   ├── NotACommitmentStep    the verification's next step is not COMMITMENT
    │   │   └── FoundSince        people found something after the newest answer
    │   ├── AssistanceUnseen      who acts on a request for assistance has not received it
    │   ├── AssistanceHeld        a colleague has claimed it
    │   ├── CalendarUnknown       a term reaches a year whose working days are not known here
    │   ├── CommitmentBarred      the person may not make commitments at present
    │   ├── ProxyRefused          nobody, or not this person, may act for the applicant
    │   ├── PublicationDeclined   the item's letters are published, and the applicant does not agree
    │   ├── CommitmentExists      the case already has a commitment for the item
    │   ├── VerificationOutdated  the verification is too old to commit upon
    │   ├── DocumentExpired       the document was not signed in time
    │   ├── TemplateUnfilled      the wording of a commitment needs what is not there
    │   ├── LetterMissing         a refusal has no letter
    │   ├── LetterUnprintable     the letter cannot be made as a PDF here
    │   ├── WithdrawalClosed      the window in which it could be withdrawn is over
    │   ├── MilestoneIrrelevant   the item's window does not end with this milestone
    │   ├── NotChecked            the item must be checked before the decision, and could not be
    │   ├── DiscrepancyFound      data contradict the commitment; no decision upon it before that is cleared
    │   ├── RefusalStands         no reviewer can lift this refusal, or not for what is asked now
    │   ├── StaffKeyRefused       a clerk's key cannot be proposed, enrolled or revoked like this
    │   ├── SameOfficer           the second officer is the first
    │   ├── PeriodRunning         the time for a defence or a remedy, or before a repair, has not ended
    │   └── ExportFormatMissing   what writes files of this form is not installed
    ├── ExportImpossible          there is no room to make the file
    ├── LetterDisagrees           a letter and its receipt do not say the same
    ├── CatalogueRefused          the catalogue files are wrong; the catalogue in force stays
    ├── SignatureRefused          a signature or its certificate does not hold
    ├── TimestampUnavailable      a signature must be time-stamped, and no authority gives a stamp now
    │   └── TimestampOff          the time in the stamp is too far from our clock
    ├── EvidenceMissing           a part of the evidence of a commitment is not here
    └── ConfigurationError        settings or the house they describe are not as they must be

No message holds a name, a number or a value of a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar

from gateway.rules.states import state_words
from ledger.records.commitments import Opening


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The proof that a refusal was recorded: a tlog-proof text, the entry's index, the tree size, and the record; and
    what opens the group of the entry that says why, where that is told."""

    proof: bytes
    index: int
    size: int
    record: bytes
    group: str = ""
    opening: Opening | None = None


class GatewayError(Exception):
    """The gateway refuses; `reason` is stable for programs, `chinese` is for the person at the window.

    `recording` proves that the refusal stands in the ledger; None where it does not (a malformed request).
    """

    reason: ClassVar[str] = "REFUSED"
    chinese: str = "请求被拒绝。"
    recording: Recording | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One mistake in a request: the field's path, what is wrong in English and in Chinese."""

    field: str
    description: str
    chinese: str


class InvalidRequest(GatewayError):
    """The request is malformed; `violations` names every mistake at once."""

    reason: ClassVar[str] = "INVALID_REQUEST"
    chinese = "请求有误,请按所列各项更正后重新提交。"

    def __init__(self, violations: Sequence[Violation], *, reason: str | None = None) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = tuple(violations)
        self.reason_given = reason or self.reason


class DeadlineRequired(GatewayError):
    """The call came without a deadline."""

    reason: ClassVar[str] = "DEADLINE_REQUIRED"
    chinese = "调用未设置时限(deadline),请设置后重试。"

    def __init__(self, cap: float) -> None:
        super().__init__(f"set a deadline on the call (at most {cap:g} s are used)")


class CallerUnknown(GatewayError):
    """The certificate is valid but the configuration does not know the system it names."""

    reason: ClassVar[str] = "CALLER_UNKNOWN"
    chinese = "证书有效,但该系统未在网关登记。"


class CallerRefused(GatewayError):
    """The caller's certificate was taken when its connection began, and does not count now."""

    told: ClassVar[str]

    def __init__(self) -> None:
        super().__init__(self.told)


class CallerRevoked(CallerRefused):
    """The caller's certificate, or that of the authority which issued it, is on a revocation list."""

    reason: ClassVar[str] = "CALLER_REVOKED"
    told = "the caller's certificate is revoked"
    chinese = "该系统的证书已被吊销,请更换证书后重新连接。"


class CallerAuthorityWithdrawn(CallerRefused):
    """The authority that issued the caller's certificate was taken out of force after the connection began."""

    reason: ClassVar[str] = "CALLER_AUTHORITY_WITHDRAWN"
    told = "the authority of the caller's certificate is not in force any more"
    chinese = "签发该系统证书的机构已停用,请更换证书后重新连接。"


class CallerRevocationUnknown(CallerRefused):
    """Whether the caller's certificate is revoked cannot be told: no list that is in force is of it."""

    reason: ClassVar[str] = "CALLER_REVOCATION_UNKNOWN"
    told = "whether the caller's certificate is revoked cannot be told, and must be"
    chinese = "无法确认该系统的证书是否已被吊销,请联系系统管理员更新证书吊销列表。"


class OperatorAssertionRequired(GatewayError):
    """The caller's unit must show who acts, by the word of its identity provider, and does not."""

    reason: ClassVar[str] = "OPERATOR_ASSERTION_REQUIRED"
    chinese = "调用未附经办人身份凭证,请重新登录本单位业务系统后再试。"

    def __init__(self) -> None:
        super().__init__("the systems of this unit must show an assertion of who acts")


class OperatorAssertionRefused(GatewayError):
    """What the caller shows of who acts does not count."""

    reason: ClassVar[str] = "OPERATOR_ASSERTION_REFUSED"
    chinese = "经办人身份凭证无效或已过期,请重新登录本单位业务系统后再试。"


class NotEntitled(GatewayError):
    """The caller is known, but this is not theirs to ask or do."""

    reason: ClassVar[str] = "NOT_ENTITLED"

    def __init__(self, rule: str, chinese: str) -> None:
        super().__init__(rule)
        self.chinese = chinese


class ItemBanned(GatewayError):
    """The item may not be demanded at all; the message is the rule that bans it."""

    reason: ClassVar[str] = "ITEM_BANNED"

    def __init__(self, item: str, rule: str) -> None:
        super().__init__(f"item {item!r} may not be demanded: {rule}")
        self.chinese = f"该证明事项不得索要:{rule}"


class RequestIdReused(GatewayError):
    """The request_id was used before with another body; `fields` names where they differ."""

    reason: ClassVar[str] = "REQUEST_ID_REUSED"
    chinese = "该请求编号已用于另一内容的请求,请使用新的编号。"

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__("request_id was used with another body; differing fields: " + (", ".join(fields) or "unknown"))
        self.fields = tuple(fields)


class LimitReached(GatewayError):
    """More was asked than may be asked now; `retry_after` says when to come again."""

    reason: ClassVar[str] = "LIMIT_REACHED"
    retry_after: timedelta

    def __init__(self, what: str, chinese: str, retry_after: timedelta) -> None:
        super().__init__(what)
        self.chinese = chinese
        self.retry_after = retry_after


class TooManyCalls(LimitReached):
    """The caller has as many calls under way as it may have."""

    reason: ClassVar[str] = "TOO_MANY_CALLS"

    def __init__(self, most: int, retry_after: timedelta) -> None:
        super().__init__(
            f"at most {most} calls of one caller may be under way", "并发调用过多,请稍后重试。", retry_after
        )


class CallsTooFast(LimitReached):
    """The caller calls faster than it may."""

    reason: ClassVar[str] = "CALLS_TOO_FAST"

    def __init__(self, rate: int, retry_after: timedelta) -> None:
        super().__init__(
            f"at most {rate} calls a second of one caller are taken", "调用过于频繁,请稍后重试。", retry_after
        )


class GuessBudgetSpent(LimitReached):
    """Too many different guesses about one fact of one person proved wrong; from `free_at` on one more may be made.

    Who may try any number of claims learns the record from the answers; the sources would be read, not asked.
    """

    reason: ClassVar[str] = "GUESS_BUDGET_SPENT"

    def __init__(self, fact_type: str, free_at: datetime, now: datetime) -> None:
        super().__init__(
            f"too many different claims about {fact_type} of this person proved wrong; "
            f"asked again from {free_at.isoformat(timespec='seconds')} on",
            "近期对该对象同一事实的不同陈述多次与数据不符,为防止试探,暂停核验;届时可再次核验,申请人有异议的可申请校核。",
            max(timedelta(seconds=1), free_at - now),
        )
        self.fact_type = fact_type
        self.free_at = free_at


class LettersWaiting(LimitReached):
    """As many letters as may wait for the printer are waiting."""

    reason: ClassVar[str] = "LETTERS_WAITING"

    def __init__(self, most: int, retry_after: timedelta) -> None:
        super().__init__(f"{most} letters are waiting to be printed", "承诺书打印繁忙,请稍后重试。", retry_after)


class TooManyItems(GatewayError):
    """The question stands beyond the number that one message may carry; nothing was asked."""

    reason: ClassVar[str] = "TOO_MANY_ITEMS"
    chinese = "单条消息所含核验请求过多,请分条发送。"

    def __init__(self, most: int) -> None:
        super().__init__(f"one message may carry {most} questions; this one stands beyond")


class FarTooManyItems(TooManyItems):
    """A message carries far more questions than it may; nothing of it was looked at, and its stream ends."""

    chinese = "单条消息所含核验请求远超上限,整条未予受理,请分条发送;此前的请求已作答复。"

    def __init__(self, most: int) -> None:
        GatewayError.__init__(self, f"one message may carry {most} questions; this one carries far more")


class MessageTooLarge(GatewayError):
    """The message has more bytes than its method takes; nothing of it was looked at."""

    reason: ClassVar[str] = "MESSAGE_TOO_LARGE"
    chinese = "请求内容过大,未予受理,请减少内容后重试。"

    def __init__(self, most: int) -> None:
        super().__init__(f"a message of this method may have {most} bytes")


class MessageUnreadable(GatewayError):
    """The bytes are no message of the method's type, or one with text that is not UTF-8; nothing was looked at."""

    reason: ClassVar[str] = "MESSAGE_UNREADABLE"
    chinese = "请求内容无法解析,未予受理,请检查接口版本和字符编码(应为UTF-8)。"

    def __init__(self) -> None:
        super().__init__("the bytes are no message of this method, or a text in it is not UTF-8")


class Draining(GatewayError):
    """The gateway stops; what it did not take will be answered by another process, or by this one later."""

    reason: ClassVar[str] = "DRAINING"
    chinese = "系统正在停机维护,请稍后重试。"

    def __init__(self) -> None:
        super().__init__("the gateway is stopping; ask again")


class NotYetPublished(GatewayError):
    """What is asked for is recorded, but no published checkpoint covers it yet, so that nothing proves it."""

    reason: ClassVar[str] = "NOT_YET_PUBLISHED"
    chinese = "该记录已登记入账,但台账签名发布尚未完成,暂不能出具回执,请稍后重试;重新提交的,请沿用原请求编号。"

    def __init__(self) -> None:
        super().__init__("it is recorded, and no published checkpoint covers it yet; ask again")


class RecordNotFound(GatewayError):
    """No such record, or it is not the caller's to see; the two are not told apart."""

    reason: ClassVar[str] = "RECORD_NOT_FOUND"
    chinese = "未找到该记录,或无权查看。"

    def __init__(self, family: str) -> None:
        super().__init__(f"no such {family}")


class DocumentErased(GatewayError):
    """The document behind the entry was erased; the entry and its proof stay."""

    reason: ClassVar[str] = "DOCUMENT_ERASED"
    chinese = "该记录的文书已依法删除,仅存证明。"

    def __init__(self) -> None:
        super().__init__("the document was erased; entry and proof remain")


class StepRefused(GatewayError):
    """The state of things does not allow this act now."""

    reason: ClassVar[str] = "STEP_REFUSED"
    chinese = "当前状态不允许此操作。"


class TransitionNotAllowed(StepRefused):
    """The record's life does not allow this event now."""

    reason: ClassVar[str] = "TRANSITION_REFUSED"

    def __init__(self, kind: str, state: str) -> None:
        super().__init__(f"{kind} may not follow: the record is {state}")
        self.chinese = f"当前状态({state_words(state, kind)})不允许此操作。"


class CalendarUnknown(StepRefused):
    """A term reaches a year whose working days are not known here: neither announced nor configured."""

    reason: ClassVar[str] = "CALENDAR_UNKNOWN"

    def __init__(self, year: int) -> None:
        super().__init__(
            f"the working days of {year} are not known: configure [calendar] for that year, or restart a gateway that "
            "was started years ago"
        )
        self.year = year
        self.chinese = (
            f"{year}年的工作日安排未知,无法计算期限。请运维人员在系统配置中补充该年度日历并重启网关后再办理。"
        )


class StepNotCalledFor(StepRefused):
    """The newest answer to the claim calls for another step, or none, so that people are not to be asked now."""

    reason: ClassVar[str] = "STEP_NOT_CALLED_FOR"
    chinese = "最近一次核验的下一步不是此项工作,请按最近一次核验结果办理。"

    def __init__(self, wanted: str, step: str) -> None:
        super().__init__(f"the next step of the newest answer to the claim is {step}, not {wanted}")


class AssistanceOpen(StepRefused):
    """The unit was asked about this already and has not answered yet."""

    reason: ClassVar[str] = "ASSISTANCE_OPEN"
    chinese = "已就同一事实向该单位发起协查,尚未办结,不得重复发起。"

    def __init__(self) -> None:
        super().__init__("the unit was asked about this type of fact already, and the request is open")


class AssistanceUnseen(StepRefused):
    """Who acts on the request, or the second person with them, has not received it, so that they cannot have looked."""

    reason: ClassVar[str] = "ASSISTANCE_UNSEEN"
    chinese = "办理人员(含共同办理的第二人)尚未查看协查内容,请先签收协查内容,再予办理。"

    def __init__(self) -> None:
        super().__init__("receive the request first: each who acts on it must have seen what is asked")


class AssistanceHeld(StepRefused):
    """Another person of the unit has taken the request on."""

    reason: ClassVar[str] = "ASSISTANCE_HELD"
    chinese = "该协查已由本单位其他人员认领;其不能办理的,可注明接办后认领。"

    def __init__(self) -> None:
        super().__init__("another person of the unit has claimed the request; say `take_over` to take it over")


class NotACommitmentStep(StepRefused):
    """The verification's next step is not COMMITMENT."""

    reason: ClassVar[str] = "NOT_A_COMMITMENT_STEP"
    chinese = "该次核验的下一步不是告知承诺,不能以承诺代替。"

    def __init__(self, step: str, detail: str = "") -> None:
        super().__init__(detail or f"the verification's next step is {step}, not COMMITMENT")


class ClosedByCatalogue(NotACommitmentStep):
    """The catalogue in force opens no commitment for this item in this matter, whatever it did when it was asked."""

    chinese = "现行目录不允许在本办理事项中以告知承诺代替该证明事项,请按一般程序办理。"

    def __init__(self) -> None:
        super().__init__("", "the catalogue in force opens no commitment for this item in this matter")


class FoundSince(NotACommitmentStep):
    """People answered or checked after the newest answer to the claim: it must be asked again."""

    reason: ClassVar[str] = "FOUND_SINCE"
    chinese = (
        "有关单位或核查人员在最近一次核验后又有答复,请重新核验后再办理;因多次与数据不符而暂停核验的,"
        "请在核验时告知的暂停时间届满后重新核验。"
    )

    def __init__(self) -> None:
        super().__init__("", "people found something since the newest answer; the claim must be asked again")


class CommitmentBarred(StepRefused):
    """The person may not make commitments at present; `codes` say by which rules, `code` is the one to tell.

    `retry_after` is given where all of it passes by itself.
    """

    reason: ClassVar[str] = "COMMITMENT_BARRED"

    def __init__(self, codes: Sequence[str], chinese: str, retry_after: timedelta | None = None) -> None:
        super().__init__(f"the person may not make a commitment: {', '.join(codes)}")
        self.codes = tuple(codes)
        self.code = codes[0]
        self.chinese = chinese
        self.retry_after = retry_after


class ProxyRefused(StepRefused):
    """Nobody, or not this person, may act for the applicant; `code` says which rule it breaks.

    `retry_after` is given where it passes by itself.
    """

    reason: ClassVar[str] = "PROXY_REFUSED"

    def __init__(self, code: str, detail: str, chinese: str, retry_after: timedelta | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.chinese = chinese
        self.retry_after = retry_after


class PublicationDeclined(StepRefused):
    """The letters of this item are published, and the applicant does not agree: the certificate is handed in instead.

    Source: 国办发〔2020〕42号, an applicant who refuses publication follows the ordinary procedure.
    """

    reason: ClassVar[str] = "PUBLICATION_DECLINED"
    chinese = "该事项的承诺书依规定公开;申请人不同意公开的,不适用告知承诺,请按一般程序提交证明材料。"

    def __init__(self) -> None:
        super().__init__("letters of this item are published, and the applicant declined")


class CommitmentExists(StepRefused):
    """The case already has a commitment for the item; `commitment` is its record, empty where it is not known."""

    reason: ClassVar[str] = "COMMITMENT_EXISTS"
    chinese = "本办件的该事项已有承诺。"

    def __init__(self, commitment: bytes = b"") -> None:
        super().__init__("the case already has a commitment for this item")
        self.commitment = commitment


class VerificationOutdated(StepRefused):
    """The verification is too old to commit upon."""

    reason: ClassVar[str] = "VERIFICATION_OUTDATED"
    chinese = "该次核验已过时效,请重新核验。"

    def __init__(self) -> None:
        super().__init__("the verification is too old; verify again")


class DocumentExpired(StepRefused):
    """The document was not signed in time."""

    reason: ClassVar[str] = "DOCUMENT_EXPIRED"
    chinese = "告知书已过有效期,请重新办理告知。"

    def __init__(self) -> None:
        super().__init__("the document expired; prepare a new one")


class TemplateUnfilled(StepRefused):
    """The wording of a commitment needs what is not there; `placeholders` names everything."""

    reason: ClassVar[str] = "TEMPLATE_UNFILLED"

    def __init__(self, template: str, placeholders: Sequence[str]) -> None:
        super().__init__(f"template {template} needs what is not there: " + ", ".join(placeholders))
        self.template = template
        self.placeholders = tuple(placeholders)
        self.chinese = f"告知承诺书样式({template})所需内容不全,请联系系统管理员补充:{'、'.join(placeholders)}。"


class LetterMissing(StepRefused):
    """The record is a refusal: no document was handed out, so there is no letter."""

    reason: ClassVar[str] = "LETTER_MISSING"
    chinese = "该次承诺未予受理,没有告知承诺书。"

    def __init__(self) -> None:
        super().__init__("no document was handed out: there is no letter")


class LetterUnprintable(StepRefused):
    """The letter cannot be made as a PDF here; as text it can be had."""

    reason: ClassVar[str] = "LETTER_UNPRINTABLE"

    def __init__(self, why: str, chinese: str) -> None:
        super().__init__(why)
        self.chinese = chinese


class LetterDisagrees(GatewayError):
    """A letter and its receipt do not say the same; `mistakes` lists every disagreement."""

    reason: ClassVar[str] = "LETTER_DISAGREES"
    chinese = "承诺书与回执不一致。"

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)


class WithdrawalClosed(StepRefused):
    """The window in which the commitment could be withdrawn is over."""

    reason: ClassVar[str] = "WITHDRAWAL_CLOSED"
    chinese = "已过可以撤回承诺的期限,不能撤回。"

    def __init__(self, until: str) -> None:
        super().__init__(f"the commitment could be withdrawn until {until}, which is past")


class MilestoneIrrelevant(StepRefused):
    """The item's commitments can be withdrawn past this milestone, so recording it would take a right away."""

    reason: ClassVar[str] = "MILESTONE_IRRELEVANT"
    chinese = "该事项承诺的撤回期限与此节点无关,不予登记。"

    def __init__(self, until: str) -> None:
        super().__init__(f"commitments of this item can be withdrawn until {until}; this milestone ends nothing")


class NotChecked(StepRefused):
    """The item must be checked before the decision, and its sources could not be asked now.

    `retry_after` is None where asking again does not help: what was asked is erased or no longer in the catalogue, or
    no source covers it.
    """

    reason: ClassVar[str] = "NOT_CHECKED"
    chinese = "该事项须在作出决定前核查,数据来源暂时无法应答,请稍后重试。"

    def __init__(self, retry_after: timedelta | None, *, covered: bool = True) -> None:
        what = "no source answered" if retry_after else "what was asked cannot be asked again"
        if not covered:
            what = "no source covers what was asked: a check by people counts"
        super().__init__(f"the commitment must be checked before the decision, and {what}")
        self.retry_after = retry_after
        if not covered:
            self.chinese = (
                "该事项须在作出决定前核查,而没有数据来源可供查询;请自行核查或者委托第三方核查,登记核查结果后再作决定,"
                "或者按一般程序办理;核查前不得据该承诺作出决定。"
            )
        elif retry_after is None:
            self.chinese = (
                "该事项须在作出决定前核查,而所依据的核验记录已依法删除或者该事项已不在现行目录内,无法再向数据来源核查;"
                "不得据该承诺作出决定,请按一般程序办理。"
            )


class DiscrepancyFound(StepRefused):
    """Data contradict the commitment; `finding` is the record in which that is looked into, by people."""

    reason: ClassVar[str] = "DISCREPANCY_FOUND"
    chinese = (
        "核查发现数据与承诺不一致,请要求申请人提供佐证材料并核实后再作决定;"
        "核实前不得据此认定承诺不实,也不得据该承诺作出决定。"
    )

    def __init__(self, finding: bytes) -> None:
        super().__init__("data contradict the commitment; a finding is open")
        self.finding = finding


class RefusalStands(StepRefused):
    """No reviewer can lift this refusal, or the one that was lifted is not for what is asked now."""

    reason: ClassVar[str] = "REFUSAL_STANDS"

    def __init__(self, detail: str, chinese: str) -> None:
        super().__init__(detail)
        self.chinese = chinese


class StaffKeyRefused(StepRefused):
    """A clerk's key cannot be proposed, enrolled or revoked like this; `code` says which rule it breaks."""

    reason: ClassVar[str] = "STAFF_KEY_REFUSED"

    def __init__(self, code: str, detail: str, chinese: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.chinese = chinese


class SameOfficer(StepRefused):
    """The officer who decides is the one who proposed."""

    reason: ClassVar[str] = "SAME_OFFICER"
    chinese = "提出与决定须由不同的人员作出。"

    def __init__(self) -> None:
        super().__init__("who proposed may not decide")


class CommitmentHandled(StepRefused):
    """The officer had a part in the commitment, or asked what it stands in for, and may not audit it."""

    reason: ClassVar[str] = "COMMITMENT_HANDLED"
    chinese = "参与该件核验、告知承诺办理或者决定的人员,不得对该承诺进行核查、认定,须由其他人员办理。"

    def __init__(self) -> None:
        super().__init__("who handled the commitment may not audit it")


class SecondPersonRequired(StepRefused):
    """Two people find this together, and the second is missing, or is the first."""

    reason: ClassVar[str] = "SECOND_PERSON_REQUIRED"
    chinese = "此项须由两名工作人员共同办理,请填写另一名工作人员。"

    def __init__(self) -> None:
        super().__init__("two people find this together: name the second, who is not the first")


class CheckedBefore(StepRefused):
    """Who records a check again is one of the two who checked before, and cannot be who looks again."""

    reason: ClassVar[str] = "CHECKED_BEFORE"
    chinese = "对原核查结果重新核查的,须由未参与原核查的另一名工作人员登记。"

    def __init__(self) -> None:
        super().__init__("a check is looked at again by a person who took no part in it before")


class PeriodRunning(StepRefused):
    """A period must be over first: `period` is `defence`, `remedy` or `repair`."""

    reason: ClassVar[str] = "PERIOD_RUNNING"
    _CHINESE: ClassVar[Mapping[str, str]] = {
        "defence": "陈述申辩期限尚未届满,至 {} 止,期满后方可办理;当事人可继续陈述申辩。",
        "remedy": "申请行政复议的期限尚未届满,至 {} 止,期满后认定方可生效。",
        "repair": "失信认定的最短期限尚未届满,至 {} 止,期满后方可信用修复。",
    }

    def __init__(self, period: str, until: date) -> None:
        super().__init__(f"the {period} period runs until the end of {until.isoformat()}")
        self.chinese = self._CHINESE[period].format(until.isoformat())


class ExportFormatMissing(StepRefused):
    """What writes files of this form is not installed here; `extra` names what to install."""

    reason: ClassVar[str] = "EXPORT_FORMAT_MISSING"

    def __init__(self, form: str, extra: str) -> None:
        super().__init__(f"{form} files need the extra `{extra}`, which is not installed at the gateway")
        self.chinese = f"网关未安装 {form} 导出组件,请改用其他格式或联系运维人员。"


class ExportImpossible(GatewayError):
    """The file cannot be made at the gateway, for want of room; nothing was sent or recorded."""

    reason: ClassVar[str] = "EXPORT_IMPOSSIBLE"
    chinese = "网关暂存空间不足,无法生成导出文件,请缩小范围或联系运维人员。"

    def __init__(self) -> None:
        super().__init__("the file could not be written at the gateway; nothing was sent")


class CatalogueRefused(GatewayError):
    """The catalogue files are wrong: nothing changed; `mistakes` lists every one as `file:line: what is wrong`."""

    reason: ClassVar[str] = "CATALOGUE_REFUSED"

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)
        self.chinese = f"目录文件有 {len(self.mistakes)} 处错误,现行目录未作更改。"


class SignatureRefused(GatewayError):
    """A signature or the certificate behind it does not hold; `code` says which rule it breaks."""

    reason: ClassVar[str] = "SIGNATURE_REFUSED"

    def __init__(self, code: str, detail: str, chinese: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.chinese = chinese


class TimestampUnavailable(GatewayError):
    """A time stamp of the signature is required, and the authority cannot be reached or gives none that holds."""

    reason: ClassVar[str] = "TIMESTAMP_UNAVAILABLE"
    chinese = "时间戳服务暂不可用,签名未被受理,请稍后重试。"

    def __init__(self, detail: str = "the signature cannot be time-stamped now; ask again") -> None:
        super().__init__(detail)


class TimestampOff(TimestampUnavailable):
    """The time in the stamp of a signature is too far from our clock: one of the two clocks is wrong."""

    reason: ClassVar[str] = "TIMESTAMP_OFF"
    chinese = "时间戳所载时间与系统时间相差过大,签名未被受理,请联系系统管理员核对系统时钟。"

    def __init__(self) -> None:
        super().__init__("the time stamp of the signature is too far from our clock")


class ClockBehind(GatewayError):
    """Our clock is before the newest entry of the record: one of the clocks that told the two times is wrong."""

    reason: ClassVar[str] = "CLOCK_BEHIND"
    chinese = "系统时间早于该记录上一步的时间,本次请求未予记录,请稍后重试;仍不成功的,请联系系统管理员核对系统时钟。"

    def __init__(self) -> None:
        super().__init__("our clock is before the newest entry of the record; ask again")


class CapacityUnknown(GatewayError):
    """The register of declared incapacity does not say whether the person may be reported; nothing is recorded."""

    reason: ClassVar[str] = "CAPACITY_UNKNOWN"
    chinese = "民事行为能力信息暂时无法查询,认定未予生效,请稍后重试;该期间不得向信用平台报送。"

    def __init__(self, retry_after: timedelta | None) -> None:
        super().__init__("the register of declared incapacity gives no usable answer about the person; ask again")
        self.retry_after = retry_after


class EvidenceMissing(GatewayError):
    """A part of a commitment's evidence is not kept here, such as a revocation list that another machine read."""

    reason: ClassVar[str] = "EVIDENCE_MISSING"
    chinese = "证据材料不完整,请联系系统管理员。"

    def __init__(self, what: str) -> None:
        super().__init__(f"the evidence lacks {what}")


class PackTooLarge(GatewayError):
    """An evidence pack has more bytes than a message may have: who has the machine can export it as a file."""

    reason: ClassVar[str] = "PACK_TOO_LARGE"
    chinese = "证据包超出接口可传输的大小,请联系系统管理员用 chengxin evidence export 命令导出。"

    def __init__(self, size: int, most: int) -> None:
        super().__init__(
            f"the pack has {size} bytes, of which a message may have {most}: `chengxin evidence export` writes it"
        )


class ConfigurationError(GatewayError):
    """Settings are not as they must be; `mistakes` lists every one, `where` says of which part or file."""

    reason: ClassVar[str] = "CONFIGURATION"

    def __init__(self, where: str, mistakes: Sequence[str]) -> None:
        super().__init__(f"{where}:\n" + "\n".join(f"  - {m}" for m in mistakes))
        self.where = where
        self.mistakes = tuple(mistakes)
