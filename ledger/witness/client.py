"""The log's side of witnessing: all witnesses of a policy are asked at once for cosignatures of a checkpoint.

Nobody waits for a witness that the quorum does not need: what comes after the quorum is collected in the next round.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import httpx

from ledger.detached import detached
from ledger.errors import PolicyError, SplitView
from ledger.exchange import is_web
from ledger.keyring.history import require_ranges
from ledger.log.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from ledger.witness.asking import Asked, OpenOurs, Prove, WitnessCaller
from ledger.witness.outcomes import Contradicts, CosignedBy, Outcome, RefusedBy, Shows, Unreachable
from ledger.witness.policy import Policy, log_keys

_MOST_WITNESSES = 64
_GRACE = 0.2
"""Seconds that the others have once the quorum holds: so the usual receipt carries every witness's line."""
_REST = 30.0
"""Seconds for which a witness that let its time run out is not asked, where the quorum can do without it."""
_LATE = "it did not answer in time"


@dataclass(slots=True, kw_only=True)
class _Call:
    """One witness that is being asked for a cosignature, or was and has not been heard yet."""

    asked: Asked
    since: float
    answer: Future[Outcome]
    overdue: bool = False


class Cosigners(Protocol):
    """Who cosigns checkpoints before they count as witnessed."""

    def collect(self, note: bytes, size: int, prove: Prove) -> list[str]:
        """Ask for cosignatures of the checkpoint `note` of `size` entries, and return verified lines.

        `prove(old, new)` makes consistency proofs; it is called from several threads.

        Raises:
            SplitView: somebody says that there is another history of this log, or proves it.
        """
        ...

    def satisfied(self, lines: Sequence[str]) -> bool:
        """Tell whether these verified lines are enough."""
        ...


class WitnessCosigners:
    """The witnesses of a policy that have a URL. Safe for several threads; close it, or use it as a context manager.

    `urls` gives submission prefixes by the names of the policy, and goes before those the policy gives; `timeout` is
    the longest that `collect` waits; `tls` verifies https witnesses of a private authority; `told`
    gets what each witness did. `open_ours` verifies checkpoints of our own log, which prove what a witness says of
    another history: `KeyHistory.open`, or, by default, with the one key of a log that the policy lists. What size each
    witness has is kept in memory: after a start, the first answer tells.

    Raises:
        PolicyError: `urls` names a witness that the policy does not, or the quorum cannot be reached through URLs.
        KeyHistoryError: the policy lists several keys of a log, and there is no `open_ours` that knows their ranges.
    """

    def __init__(
        self,
        policy: Policy,
        urls: Mapping[str, str] | None = None,
        timeout: timedelta = timedelta(seconds=10),
        *,
        open_ours: OpenOurs | None = None,
        tls: ssl.SSLContext | None = None,
        told: Callable[[Outcome], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._patience = timeout.total_seconds()
        self._told = told
        self._client = httpx.Client(timeout=self._patience, verify=True if tls is None else tls)
        found = _addresses(policy, urls or {})
        opened = open_ours or _open_listed(policy)
        self._callers = [
            WitnessCaller(
                witness,
                found[witness.name],
                self._client,
                open_ours=opened,
                patience=self._patience,
                clock=clock,
            )
            for witness in policy.witnesses
            if witness.name in found
        ]
        self._clock = clock
        self._calls: dict[str, _Call] = {}
        self._showing: dict[str, Future[Shows | Unreachable | RefusedBy]] = {}
        self._rests: dict[str, float] = {}
        self._guard = threading.Lock()

    def collect(self, note: bytes, size: int, prove: Prove) -> list[str]:
        """Ask every witness for a cosignature; returns soon after the quorum holds, at the latest when time is over.

        A witness that has not answered by then is left out, and not asked again until its call has ended; what it
        answers is taken up in the next round, its line too if that asks for the same checkpoint. One that let its time
        run out rests for a while, unless the quorum needs it.

        Raises:
            NoteError: `note` is no checkpoint, or not of `size`.
            SplitView: a witness says that it holds another history of this log; it carries the proofs that were shown,
                and the lines of the others.
        """
        asked = Asked.read(note, size, prove)
        with self._guard:
            outcomes, lines = self._round(asked)
        for outcome in outcomes:
            if self._told is not None:
                self._told(outcome)
        against = [one for one in outcomes if isinstance(one, Contradicts)]
        if against:
            proofs = {one.witness: one.proof for one in against if one.proof is not None}
            raise SplitView({one.witness: one.reason for one in against}, lines, proofs)
        return lines

    def _round(self, asked: Asked) -> tuple[list[Outcome], list[str]]:
        """Ask who is to be asked, and hear them; returns what each did, in the policy's order, and the lines."""
        began = time.monotonic()
        until = began + self._patience
        outcomes, found = self._hear(asked)  # of those who were late in an earlier round
        for caller in self._due({one.witness for one in found}):
            answer = detached(partial(caller.submit, asked), f"witness {caller.name}")
            self._calls[caller.name] = _Call(asked=asked, since=began, answer=answer)
        enough = False
        while running := [call.answer for call in self._calls.values() if call.asked.note == asked.note]:
            # With the quorum `none` no line is needed, and every one is welcome: nothing is enough.
            if not enough and found and self._policy.satisfied(_lines(found)):
                enough, until = True, min(until, time.monotonic() + _GRACE)
            left = until - time.monotonic()
            if left <= 0:
                break
            wait(running, timeout=left, return_when=FIRST_COMPLETED)
            more, cosigned = self._hear(asked)
            outcomes += more
            found += cosigned
        outcomes += self._overdue()
        places = {caller.name: place for place, caller in enumerate(self._callers)}
        found.sort(key=lambda one: places[one.witness])
        return sorted(outcomes, key=lambda one: places[one.witness]), _lines(found)

    def _hear(self, asked: Asked) -> tuple[list[Outcome], list[CosignedBy]]:
        """Take up what has been answered: everything, and of it the cosignatures of the checkpoint asked for."""
        done = {name: call for name, call in self._calls.items() if call.answer.done()}
        outcomes: list[Outcome] = []
        cosigned: list[CosignedBy] = []
        for name, call in done.items():
            del self._calls[name]
            outcome = call.answer.result()
            if not (call.overdue and isinstance(outcome, Unreachable)):  # that is known already
                outcomes.append(outcome)
            if isinstance(outcome, CosignedBy) and call.asked.note == asked.note:
                cosigned.append(outcome)
            if isinstance(outcome, Unreachable) and outcome.slow:
                self._rests[name] = self._clock() + _REST
            else:
                self._rests.pop(name, None)
        return outcomes, cosigned

    def _overdue(self) -> list[Unreachable]:
        """Name the witnesses whose time is over while their calls still run."""
        ends = time.monotonic() - self._patience
        late = [name for name, call in self._calls.items() if call.since <= ends]
        for name in late:
            self._calls[name].overdue = True
        self._rests.update(dict.fromkeys(late, self._clock() + _REST))
        return [Unreachable(witness=name, reason=_LATE, slow=True) for name in late]

    def _due(self, cosigned: set[str]) -> list[WitnessCaller]:
        """Choose whom to ask: who is not being asked, and does not rest or is needed all the same."""
        now = self._clock()
        awake = {caller.name for caller in self._callers if self._rests.get(caller.name, now) <= now} | cosigned
        needed = not self._policy.reachable(awake)
        return [
            caller
            for caller in self._callers
            if caller.name not in cosigned and not self._busy(caller.name) and (needed or caller.name in awake)
        ]

    def _busy(self, name: str) -> bool:
        showing = self._showing.get(name)
        return name in self._calls or (showing is not None and not showing.done())

    def satisfied(self, lines: Sequence[str]) -> bool:
        """Tell whether lines that `collect` returned reach the policy's quorum."""
        return self._policy.satisfied(lines)

    def sizes(self) -> dict[str, int]:
        """Return the size each witness is known to have cosigned, by name; 0 where nothing is known."""
        return {caller.name: caller.size for caller in self._callers}

    def newest(self, origin: str) -> list[Shows | Unreachable | RefusedBy]:
        """Ask every witness to show the newest checkpoint it holds of the log `origin`; one answer for each.

        What is shown was signed by a key of the log for its size: on a start it tells whether the log was rolled back
        (`Remembered`). Returns when all have answered or their time is over.
        """
        with self._guard:
            free = [caller for caller in self._callers if not self._busy(caller.name)]
            asked = {caller.name: detached(partial(caller.newest, origin), f"witness {caller.name}") for caller in free}
            self._showing.update(asked)
            wait(asked.values(), timeout=self._patience)
        shown = {name: answer.result() for name, answer in asked.items() if answer.done()}
        late = {caller.name: Unreachable(witness=caller.name, reason=_LATE, slow=True) for caller in self._callers}
        return list({**late, **shown}.values())

    def close(self) -> None:
        """Close every connection; calls that still run end with them, and nobody waits for them."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_listed(policy: Policy) -> OpenOurs:
    require_ranges([log.key for log in policy.logs])

    def opened(note: bytes) -> Checkpoint:
        origin = read_checkpoint(note).origin
        return open_checkpoint(note, log_keys(policy, origin), origin)

    return opened


def _lines(cosigned: Sequence[CosignedBy]) -> list[str]:
    return [line for one in cosigned for line in one.lines]


def _addresses(policy: Policy, urls: Mapping[str, str]) -> dict[str, str]:
    names = {witness.name for witness in policy.witnesses}
    mistakes = [f"there is no witness {name!r}" for name in urls if name not in names]
    found = {witness.name: urls.get(witness.name) or witness.url for witness in policy.witnesses}
    known = {name: url.rstrip("/") for name, url in found.items() if url is not None}
    mistakes += [f"{url!r} is not an http or https URL" for url in known.values() if not _can_be_asked(url)]
    if not policy.reachable(known):
        mistakes.append(f"quorum {policy.quorum!r} cannot be reached: too few witnesses have a URL")
    if len(known) > _MOST_WITNESSES:
        mistakes.append(f"more than {_MOST_WITNESSES} witnesses have a URL")
    if mistakes:
        raise PolicyError(mistakes)
    return known


def _can_be_asked(url: str) -> bool:
    try:
        return is_web(url)
    except ValueError:
        return False
