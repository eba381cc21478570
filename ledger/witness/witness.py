"""What a witness does with a checkpoint: verify, remember, cosign; or refuse (https://c2sp.org/tlog-witness, v1.1.0).

It cosigns a checkpoint only if a key it trusts for the log, at that size, signed it and a proof shows that it extends
the one it cosigned before. So two of its cosignatures never stand on two histories of one log, whatever the log does.
What it cannot know is what a log's entries say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from ledger.errors import KeyHistoryError, NoteError, ProofError, WitnessError, WrongKey
from ledger.keyring.history import KeyHistory, require_ranges
from ledger.log.algorithms.ed25519 import Ed25519Verifier
from ledger.log.algorithms.timestamp import cosigned_at
from ledger.log.checkpoint import Checkpoint, parse_checkpoint
from ledger.log.key_file import KeyedSigner
from ledger.log.note import Verifier, add_lines, format_line, join_note, open_note, parse_line, split_note
from ledger.log.vkey import PublicKey
from ledger.merkle import EMPTY_ROOT, verify_consistency
from ledger.witness.protocol import Request, origin_hash, parse_request
from ledger.witness.state import Cosigned, Evidence, WitnessState


class Refused(WitnessError):
    """The witness does not cosign; `status` is the protocol's HTTP status, `size` what a conflict (409) must tell."""

    def __init__(self, status: int, reason: str, *, size: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.size = size


class Witness:
    """A witness: its keys, the logs it knows by their keys, and its memory. Safe for several threads.

    `logs` are the keys of logs; a key's name is the origin of its log, and a log may have keys of further lines.
    `histories` tell, for logs whose key has changed, which key may sign which sizes; each begins with a key in `logs`.
    `now` must be the clock that the cosigners date by.

    Raises:
        KeyHistoryError: a log has several keys and no history, or its history begins with another key.
    """

    def __init__(
        self,
        *,
        cosigners: Sequence[KeyedSigner],
        logs: Sequence[PublicKey],
        state: WitnessState,
        now: Callable[[], datetime],
        histories: Sequence[KeyHistory] = (),
    ) -> None:
        self._cosigners = tuple(cosigners)
        self._histories = {history.origin: history for history in histories}
        require_sure(logs, self._histories)
        self._logs: dict[str, list[PublicKey]] = {}
        for key in logs:
            self._logs.setdefault(key.name, []).append(key)
        self._hashes = {origin_hash(origin): origin for origin in self._logs}
        self._state = state
        self._now = now

    def add_checkpoint(self, body: bytes) -> list[str]:
        """Cosign the checkpoint of a request; the cosigned state is durable before the lines are returned.

        Raises:
            Refused: the request is malformed (400), the log unknown (404), its signature missing or bad (403), the
                old size not the one remembered (409), the history another one (422), or the clock wrong (503).
            WitnessStateError: the state cannot be written; nothing was cosigned.
        """
        request, checkpoint = _read(body)
        note = self._verified(request.note, checkpoint)
        if request.old > checkpoint.size:
            raise Refused(400, "the old size exceeds the size of the checkpoint")
        known: Cosigned | None = None
        try:
            with self._state.turn(checkpoint.origin) as turn:
                known = turn.read()
                _require_growth(request, checkpoint, known)
                lines = self._cosign(note, known)
                at = max(cosigned_at(line) for line in lines)
                turn.write(checkpoint.size, checkpoint.root, add_lines(note, lines), at)
        except Refused as refusal:
            self._keep_evidence(refusal, checkpoint, note, known)
            raise
        return lines

    def checkpoint(self, name: str) -> bytes:
        """Return the newest checkpoint cosigned, with the lines of log and witness; `name` is the hash of the origin.

        Raises:
            Refused: the log is unknown here, or nothing of it was cosigned (404).
        """
        origin = self._hashes.get(name)
        newest = None if origin is None else self._state.newest(origin)
        if newest is None:
            raise Refused(404, "no checkpoint of such a log was cosigned here")
        return newest.note

    def check(self) -> None:
        """Read the whole state once; raises `WitnessStateError` if that is impossible."""
        self._state.all()

    def _verified(self, note: bytes, checkpoint: Checkpoint) -> bytes:
        """Return the note with the log's own lines only, every one verified."""
        if checkpoint.origin not in self._logs:
            raise Refused(404, "this witness does not know the log")
        try:
            opened = open_note(note, self._keys_at(checkpoint.origin, checkpoint.size))
        except WrongKey:
            raise Refused(403, "no signature by a key that this witness trusts for the log at this size") from None
        except NoteError as failure:
            raise Refused(403, str(failure)) from None
        return join_note(opened.text, opened.lines)

    def _keys_at(self, origin: str, size: int) -> Sequence[Verifier]:
        """Choose the keys that may sign a checkpoint of this size: a retired one is nobody's any more."""
        history, listed = self._histories.get(origin), self._logs[origin]
        if history is None:
            return listed
        return [*history.verifiers_at(size), *(key for key in listed if not isinstance(key, Ed25519Verifier))]

    def _cosign(self, note: bytes, known: Cosigned | None) -> list[str]:
        earliest = 1 if known is None else max(1, known.cosigned_at)
        if int(self._now().timestamp()) < earliest:
            raise Refused(503, "the clock of this witness is behind its last cosignature of the log")
        text = split_note(note)[0].encode()
        return [format_line(signer.name, signer.key_id, signer.sign(text)) for signer in self._cosigners]

    def _keep_evidence(self, refusal: Refused, checkpoint: Checkpoint, note: bytes, known: Cosigned | None) -> None:
        """Keep what proves that the log signed two histories: two roots for one size, both under its signature.

        A checkpoint of another size with a bad proof proves nothing: anybody can send one that the log published.
        """
        if known is None:
            return
        if known.size != checkpoint.size or known.root == checkpoint.root:
            if refusal.status == 422:
                self._state.count_unproven(checkpoint.origin)
            return
        self._state.keep(
            Evidence(
                origin=checkpoint.origin,
                size=checkpoint.size,
                root=checkpoint.root,
                note=note,
                known=known.note,
                reason=str(refusal),
                at=int(self._now().timestamp()),
            )
        )


def require_sure(logs: Sequence[PublicKey], histories: Mapping[str, KeyHistory]) -> None:
    """Refuse keys of logs of which a witness cannot tell which may sign; `histories` are by origin.

    Raises:
        KeyHistoryError: a log has several keys and no history, or its history begins with another key.
    """
    require_ranges([key for key in logs if key.name not in histories])
    listed = {key.vkey for key in logs}
    for history in histories.values():
        if history.keys[0].vkey not in listed:
            raise KeyHistoryError(f"the history of {history.origin} begins with a key that is not listed")


def _read(body: bytes) -> tuple[Request, Checkpoint]:
    try:
        request = parse_request(body)
        text, lines = split_note(request.note)
        for line in lines:
            parse_line(line)
        return request, parse_checkpoint(text)
    except (NoteError, WitnessError) as failure:
        raise Refused(400, str(failure)) from None


def _require_growth(request: Request, checkpoint: Checkpoint, known: Cosigned | None) -> None:
    size, root = (0, EMPTY_ROOT) if known is None else (known.size, known.root)
    if request.old != size:
        raise Refused(409, f"this witness cosigned size {size} last", size=size)
    try:
        verify_consistency(size, checkpoint.size, request.proof, root, checkpoint.root)
    except ProofError as failure:
        raise Refused(422, f"not shown to extend the checkpoint cosigned last: {failure}") from None
