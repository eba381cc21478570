"""StaffKeyService: a thin servicer over `gateway.flows.administration.staff_keys`."""

from __future__ import annotations

from gateway.flows.administration.staff_keys import FAMILY, Proposal, StaffKeys
from gateway.flows.look_up import LookUp
from gateway.flows.once import Recorded
from gateway.rpc import translate
from gateway.rpc.commitment import acting
from gateway.rpc.door import Context, Door
from gateway.rpc.paging import fill, position_of
from gateway.rules.admission import Mistakes
from gateway.rules.roles import Caller, Role
from gateway.v1 import commitment_pb2
from gateway.v1 import staff_pb2 as pb
from ledger.canonical import Json

_METHOD = "gateway.v1.StaffKeyService"
_READERS = (Role.CLERK, Role.OFFICER, Role.AUDITOR, Role.REVIEWER)
_LONGEST_KEY = 2048
_LONGEST_SIGNATURE = 2048
_MOST_PER_PAGE = 1000


class StaffKeyServicer:
    """Serves the life of clerks' keys; which roles may propose and decide is configured."""

    def __init__(
        self,
        *,
        door: Door,
        staff_keys: StaffKeys,
        look_up: LookUp,
        proposers: frozenset[Role],
        deciders: frozenset[Role],
    ) -> None:
        self._door = door
        self._staff_keys = staff_keys
        self._look_up = look_up
        self._proposers = _ordered(proposers)
        self._deciders = _ordered(deciders)
        self._revokers = _ordered(proposers | deciders)
        self._readers = _ordered(proposers | deciders | frozenset(_READERS))

    async def ProposeStaffKey(  # noqa: N802
        self, request: pb.ProposeStaffKeyRequest, context: Context
    ) -> pb.ProposeStaffKeyResponse:
        """Propose a key."""

        async def handle(caller: Caller, _deadline: float) -> pb.ProposeStaffKeyResponse:
            mistakes = Mistakes()
            proposal = _proposal(request, mistakes)
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                _body(
                    "ProposeStaffKey", person=proposal.person, algorithm=proposal.algorithm,
                    public_key=proposal.public_key.hex(), possession=proposal.possession.hex(),
                    replaces=request.replaces,
                ),
            )  # fmt: skip
            recorded = await self._staff_keys.propose(act, proposal)
            receipt = translate.receipt(recorded)
            return pb.ProposeStaffKeyResponse(
                key=await self._then(bytes.fromhex(receipt.record), caller, recorded), receipt=receipt
            )

        return await self._door.unary(context, "StaffKeyService/ProposeStaffKey", self._proposers, handle)

    async def DecideStaffKey(  # noqa: N802
        self, request: pb.DecideStaffKeyRequest, context: Context
    ) -> pb.DecideStaffKeyResponse:
        """Enrol or reject a proposed key."""

        async def handle(caller: Caller, _deadline: float) -> pb.DecideStaffKeyResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            if request.decision not in (pb.STAFF_KEY_DECISION_ENROL, pb.STAFF_KEY_DECISION_REJECT):
                mistakes.add("decision", "must be ENROL or REJECT", "请选择同意登记或者不予登记。")
            enrol = request.decision == pb.STAFF_KEY_DECISION_ENROL
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                _body("DecideStaffKey", record=request.record, enrol=enrol),
            )  # fmt: skip
            recorded = await self._staff_keys.decide(act, record, enrol=enrol)
            return pb.DecideStaffKeyResponse(
                key=await self._then(record, caller, recorded), receipt=translate.receipt(recorded)
            )

        return await self._door.unary(context, "StaffKeyService/DecideStaffKey", self._deciders, handle)

    async def RevokeStaffKey(  # noqa: N802
        self, request: pb.RevokeStaffKeyRequest, context: Context
    ) -> pb.RevokeStaffKeyResponse:
        """End a key."""

        async def handle(caller: Caller, _deadline: float) -> pb.RevokeStaffKeyResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            reason = mistakes.text("reason", request.reason, "吊销理由")
            act = acting(
                mistakes, caller, request.request_id, request.operator,
                _body("RevokeStaffKey", record=request.record, reason=reason),
            )  # fmt: skip
            recorded = await self._staff_keys.revoke(act, record, reason)
            return pb.RevokeStaffKeyResponse(
                key=await self._then(record, caller, recorded), receipt=translate.receipt(recorded)
            )

        return await self._door.unary(context, "StaffKeyService/RevokeStaffKey", self._revokers, handle)

    async def GetStaffKey(self, request: pb.GetStaffKeyRequest, context: Context) -> pb.GetStaffKeyResponse:  # noqa: N802
        """Return a key of the caller's unit."""

        async def handle(caller: Caller, _deadline: float) -> pb.GetStaffKeyResponse:
            mistakes = Mistakes()
            record = mistakes.record("record", request.record)
            mistakes.finish()
            return pb.GetStaffKeyResponse(key=translate.staff_key(await self._staff_keys.own(record, caller)))

        return await self._door.unary(context, "StaffKeyService/GetStaffKey", self._readers, handle)

    async def ListStaffKeys(self, request: pb.ListStaffKeysRequest, context: Context) -> pb.ListStaffKeysResponse:  # noqa: N802
        """List the keys of the caller's unit."""

        async def handle(caller: Caller, _deadline: float) -> pb.ListStaffKeysResponse:
            mistakes = Mistakes()
            size = request.page_size or 100
            if not 1 <= size <= _MOST_PER_PAGE:
                mistakes.add("page_size", f"must be 1 to {_MOST_PER_PAGE}", "每页条数有误。")
            before = position_of(request.page_token, mistakes)
            mistakes.finish()
            keys, following = await self._staff_keys.list(caller, before=before, size=size)
            response = pb.ListStaffKeysResponse()
            told = fill(response.keys, map(translate.staff_key, keys), self._door.page_bytes)
            after = following if told == len(keys) else keys[told - 1].life.row.first_idx
            response.next_page_token = "" if after is None else str(after)
            return response

        return await self._door.unary(context, "StaffKeyService/ListStaffKeys", self._readers, handle)

    async def _then(self, record: bytes, caller: Caller, recorded: Recorded) -> pb.StaffKey:
        row = await self._look_up.own(FAMILY, record, caller)
        return translate.staff_key(await self._staff_keys.told(row, until=recorded.first))


def _proposal(request: pb.ProposeStaffKeyRequest, mistakes: Mistakes) -> Proposal:
    person = mistakes.text("person", request.person, "持有人工号", longest=128)
    if request.algorithm == commitment_pb2.SIGNATURE_ALGORITHM_UNSPECIFIED:
        mistakes.add("algorithm", "is required", "请选择签名算法。")
    if not 0 < len(request.public_key) <= _LONGEST_KEY:
        mistakes.add("public_key", f"must be 1 to {_LONGEST_KEY} bytes", "请提交公钥。")
    if not 0 < len(request.possession) <= _LONGEST_SIGNATURE:
        mistakes.add("possession", f"must be 1 to {_LONGEST_SIGNATURE} bytes", "请提交持有证明签名。")
    replaces = mistakes.record("replaces", request.replaces) if request.replaces else None
    return Proposal(
        person=person.strip(),
        algorithm=translate.algorithm_name(request.algorithm),
        public_key=request.public_key,
        possession=request.possession,
        replaces=replaces,
    )


def _body(method: str, **fields: Json) -> dict[str, Json]:
    return {"method": f"{_METHOD}/{method}", **fields}


def _ordered(roles: frozenset[Role]) -> tuple[Role, ...]:
    return tuple(role for role in Role if role in roles)
