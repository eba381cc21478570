"""Asking one witness: one checkpoint, at most three requests, and an answer that is judged before it is believed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import httpx

from ledger.errors import EntryMissing, LedgerError, NoteError, ProofError, WitnessError
from ledger.log.checkpoint import Checkpoint, read_checkpoint
from ledger.log.note import join_note, split_note
from ledger.merkle import verify_consistency
from ledger.witness.outcomes import (
    Ahead,
    Contradicts,
    CosignedBy,
    Forgetful,
    Outcome,
    RefusedBy,
    Shows,
    Unproven,
    Unreachable,
)
from ledger.witness.policy import PolicyWitness, open_cosignatures
from ledger.witness.protocol import (
    ADD_CHECKPOINT,
    LONGEST_ANSWER,
    SIZE_TYPE,
    Request,
    format_request,
    origin_hash,
    parse_answer,
    parse_size,
)

Prove = Callable[[int, int], list[bytes]]
"""`(old, new)` to the consistency proof between two sizes of our log; `EntryMissing` if it has fewer than `new`."""
OpenOurs = Callable[[bytes], Checkpoint]
"""Verifies a note with the keys that may sign our log at its size, and reads it; raises `NoteError`."""
_TRIES = 3
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The checkpoint to be cosigned, and how to prove that it extends an older one."""

    note: bytes
    text: str
    checkpoint: Checkpoint
    prove: Prove

    @classmethod
    def read(cls, note: bytes, size: int, prove: Prove) -> Self:
        """Read a checkpoint; raises `NoteError` if it is none, or not of `size`."""
        checkpoint = read_checkpoint(note)
        if checkpoint.size != size:
            raise NoteError(f"the checkpoint is of size {checkpoint.size}, not {size}")
        return cls(note=note, text=split_note(note)[0], checkpoint=checkpoint, prove=prove)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    kind: str
    body: bytes


class WitnessCaller:
    """One witness at one address. Belongs to one thread at a time; remembers the size the witness told last."""

    def __init__(
        self,
        witness: PolicyWitness,
        url: str,
        client: httpx.Client,
        *,
        open_ours: OpenOurs,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = witness.name
        self.size = 0
        self._cosigned_size = 0
        self._witness = witness
        self._url = url
        self._client = client
        self._open_ours = open_ours
        self._patience = patience
        self._clock = clock

    def submit(self, asked: Asked) -> Outcome:
        """Ask for a cosignature; never raises for what the witness or the network does.

        A witness that says that it holds more than our log, or something else, is asked to show it: only a checkpoint
        that the log itself signed proves that, so that a witness that lies can do no more than be named.
        """
        outcome = self._ask(asked)
        if isinstance(outcome, Ahead | Contradicts):
            shown = self.newest(asked.checkpoint.origin)
            if isinstance(shown, Shows) and _is_against(asked, shown.checkpoint):
                reason = f"it shows that this log signed another history, of size {shown.checkpoint.size}"
                return Contradicts(witness=self.name, reason=reason, proof=shown.note)
        return outcome

    def _ask(self, asked: Asked) -> Outcome:
        for _ in range(_TRIES):
            # A witness whose size is larger than our checkpoint's is asked all the same: only its answer counts.
            old = min(self.size, asked.checkpoint.size)
            try:
                proof = asked.prove(old, asked.checkpoint.size) if old else []
                body = format_request(Request(old=old, proof=tuple(proof), note=asked.note))
            except LedgerError as failure:
                return Unproven(witness=self.name, reason=str(failure))
            outcome = self._post(body, old, asked)
            if outcome is not None:
                return outcome
        return RefusedBy(witness=self.name, status=409, reason="its size changed with every answer")

    def _post(self, body: bytes, old: int, asked: Asked) -> Outcome | None:
        """Send one request; None if the witness told another size, from which to try again."""
        try:
            answer = self._request("POST", ADD_CHECKPOINT, body)
        except httpx.HTTPError as failure:
            return _unreachable(self.name, failure)
        try:
            if answer.status == 200:
                return self._cosigned(answer.body, asked)
            if answer.status == 409:
                return self._conflict(answer, old, asked)
        except (NoteError, WitnessError) as failure:
            return RefusedBy(witness=self.name, status=answer.status, reason=f"its answer is not in order: {failure}")
        return self._refusal(answer, old)

    def _refusal(self, answer: _Answer, old: int) -> Outcome:
        reason = f"status {answer.status}{_told(answer)}"
        if answer.status == 422 and old:
            return Contradicts(witness=self.name, reason=f"our log does not extend what it cosigned, {old}: {reason}")
        if answer.status >= 500 or answer.status in (408, 429):
            return Unreachable(witness=self.name, reason=reason)
        return RefusedBy(witness=self.name, status=answer.status, reason=reason)

    def _cosigned(self, body: bytes, asked: Asked) -> Outcome:
        lines = open_cosignatures(join_note(asked.text, parse_answer(body)), [self._witness.key])
        if not lines:
            raise WitnessError("no line is of the witness's key")
        self.size = asked.checkpoint.size
        self._cosigned_size = max(self._cosigned_size, self.size)
        return CosignedBy(witness=self.name, lines=lines)

    def _conflict(self, answer: _Answer, old: int, asked: Asked) -> Outcome | None:
        """Learn the witness's size; a conflict at our own size means another root (v1.0.0, where v1.1.0 has 422)."""
        told = parse_size(answer.body) if answer.kind == SIZE_TYPE else old
        if told == old == asked.checkpoint.size:
            return Contradicts(witness=self.name, reason=f"it cosigned another root for size {told}")
        if told == old:
            return RefusedBy(witness=self.name, status=409, reason="a conflict over the size it has itself")
        if told < self._cosigned_size:
            return Forgetful(witness=self.name, cosigned=self._cosigned_size, size=told)
        self.size = told
        return Ahead(witness=self.name, size=told) if told > asked.checkpoint.size else None

    def newest(self, origin: str) -> Shows | Unreachable | RefusedBy:
        """Fetch the newest checkpoint of our log that it serves. Who cosigned it does not matter: the log signed it."""
        try:
            answer = self._request("GET", f"{origin_hash(origin)}/checkpoint")
            if answer.status != 200:
                reason = f"status {answer.status}{_told(answer)}"
                return RefusedBy(witness=self.name, status=answer.status, reason=reason)
            checkpoint = self._open_ours(answer.body)
        except httpx.HTTPError as failure:
            return _unreachable(self.name, failure)
        except NoteError as failure:
            return RefusedBy(witness=self.name, status=200, reason=f"it shows no checkpoint of this log: {failure}")
        if checkpoint.origin != origin:
            return RefusedBy(witness=self.name, status=200, reason="it shows a checkpoint of another log")
        self.size = max(self.size, checkpoint.size)
        return Shows(witness=self.name, note=answer.body, checkpoint=checkpoint)

    def _request(self, method: str, path: str, body: bytes | None = None) -> _Answer:
        """Send a request and read a short answer within the witness's time, however slowly it drips."""
        until = self._clock() + self._patience
        received = bytearray()
        plain = {"Accept-Encoding": "identity"}
        with self._client.stream(method, f"{self._url}/{path}", content=body, headers=plain) as response:
            for chunk in response.iter_raw():
                received += chunk
                if len(received) > LONGEST_ANSWER:
                    raise httpx.DecodingError("the answer is too long")
                if self._clock() > until:
                    raise httpx.ReadTimeout("the answer came too slowly")
        return _Answer(status=response.status_code, kind=response.headers.get("content-type", ""), body=bytes(received))


def _unreachable(name: str, failure: httpx.HTTPError) -> Unreachable:
    return Unreachable(witness=name, reason=type(failure).__name__, slow=isinstance(failure, httpx.TimeoutException))


def _is_against(asked: Asked, shown: Checkpoint) -> bool:
    """Tell whether a checkpoint that our log signed cannot be of the same history as the one to be cosigned."""
    ours = asked.checkpoint
    old, new = (ours, shown) if ours.size < shown.size else (shown, ours)
    try:
        proof = asked.prove(old.size, new.size)
    except EntryMissing:
        return shown.size > ours.size  # our log has fewer entries than it signed
    except LedgerError:
        return False  # that we cannot prove it now says nothing
    try:
        verify_consistency(old.size, new.size, proof, old.root, new.root)
    except ProofError:
        return True
    return False


def _told(answer: _Answer) -> str:
    """Quote the first line of a refusal, cut short and harmless to print."""
    line = answer.body.split(b"\n", 1)[0][:_LONGEST_REASON].decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() else "?" for c in line)
    return f": {shown}" if shown else ""
