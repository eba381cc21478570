"""The guess budget: who may try any number of claims would read a person's record instead of asking about it.

Counted are the different wrong guesses about one fact of one person, whoever asked: what an answer shows to be wrong
(`gateway.rules.guessing`). Nothing else is: a source that is away has told nobody anything, and the same guess made
again tells nothing new. A claim about somebody else in a question about a person is a guess about both: whose child an
applicant is can be read from the records of children. So is a claim that names somebody by number a guess about that
person, apart for each attribute: whose spouse somebody is can be read from the records of candidates. `budget` guesses
within `window` spend it; then the question is refused, and the refusal recorded, until the oldest of them is older than
the window.

The count is kept in the ledger's uniqueness claims, under keyed indexes: `budget` slots for each person and fact, each
held by the verification that used it, and one key for each wrong guess. The first slot that is free is used, and
a used one is given up to its next holder only: where nobody holds the first, nobody holds another, or a claim. A slot
is handed on by its new holder together with a key that only one successor can claim, so two processes cannot hand it on
twice. Nobody can tell person, fact or claim from a key without the key of the index; looking costs the same however
long the ledger is.

Within a process no more claims about one fact of one person are asked at once than may still prove wrong. Other
processes are seen once they have recorded: with n processes, at most n times the budget can be told within the moments
that one question takes, and then nothing more.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from msgspec import Struct

from connectors.connector import Claim, Subject
from gateway.errors import GuessBudgetSpent
from gateway.rules.guessing import Tells, named, said
from gateway.rules.plan import Plan
from ledger import AlreadyClaimed, BlindIndex, Ledger, LedgerUnavailable, RecordRow
from ledger.canonical import Json, canonical

_SUCCESSION = b"chengxin/guess-budget/succession"
_TRIES = 8
_Kept = TypeVar("_Kept")


class Guess(NamedTuple):
    """One claim as the budget sees it."""

    said: Claim
    about: bytes
    """The keyed index of the fact and person that it is about."""
    claim: str
    """What tells it from other claims about the same."""
    slots: tuple[bytes, ...]
    """The keys of the slots of this fact of this person."""

    def __repr__(self) -> str:
        """Tell nothing; the claim is personal data."""
        return "Guess()"


Wrong = tuple[Guess, bytes]
"""A guess that proved wrong, and the keyed index of how much of it did."""


class Counting(Struct, frozen=True, kw_only=True):
    """What recording an answer claims and gives up in the ledger, so that the count stays right."""

    claims: tuple[tuple[bytes, bytes], ...] = ()
    releases: tuple[bytes, ...] = ()


@dataclass(slots=True, eq=False)  # a look is itself, not its like: several of one moment look the same
class _Look:
    """A look at the ledger; `disturbed` if meanwhile something ended that it may have missed."""

    disturbed: bool = False


class GuessBudget:
    """Lets questions through as long as the person's budget lasts, and counts what proved wrong."""

    def __init__(
        self, *, ledger: Ledger, index: BlindIndex, budget: int, window: timedelta, now: Callable[[], datetime]
    ) -> None:
        self._index = index
        self._budget = budget
        self._window = window
        self._now = now
        self._holders = ledger.holders
        self._slots = [bytes([number]) for number in range(budget)]
        self._asking: dict[bytes, dict[str, int]] = {}
        """For each fact of a person: the claims that are being asked about now, and how often each."""
        self._looking: dict[bytes, list[_Look]] = {}
        self._waiting: dict[bytes, set[asyncio.Future[None]]] = {}

    def guesses(self, plan: Plan, applicant: Subject) -> tuple[Guess, ...]:
        """Give what a plan about an applicant asks, as the budget sees it."""
        return tuple([guess for check in plan.checks.values() for guess in self._of(check.claim, applicant)])

    def wrong(
        self, plan: Plan, applicant: Subject, tells: Mapping[str, Tells], *, established: bool
    ) -> tuple[Wrong, ...]:
        """Give what of a plan proved wrong, by what the answers tell of its checks, each guess once.

        Where the whole is `established`, nothing counts for those who are only named: of a mother's child one source
        denies that she is the father, and each of her children proves rightly whose it is.
        """
        found: dict[bytes, Guess] = {}
        for check, told in tells.items():
            if told is not Tells.NOTHING:
                claim = plan.checks[check].claim
                guesses = self._of(claim, applicant)
                for guess in guesses[: 1 + (claim.subject != applicant)] if established else guesses:
                    found[self._whole(guess) if told is Tells.WHOLE else self._finding(guess)] = guess
        return tuple([(guess, key) for key, guess in found.items()])

    def _of(self, claim: Claim, applicant: Subject) -> list[Guess]:
        found = [self._guess(claim, "", claim.subject.id_type, claim.subject.id_number)]
        if claim.subject != applicant:
            found.append(self._guess(claim, "applicant", applicant.id_type, applicant.id_number))
        own = {claim.subject.id_number, applicant.id_number}
        return found + [self._guess(claim, role, "", number) for role, number in named(claim) if number not in own]

    async def enter(self, guesses: Sequence[Guess]) -> None:
        """Take a place for each claim while it is asked and its answer recorded; waits for those before it.

        Who has entered must `leave`.

        Raises:
            GuessBudgetSpent: for the first claim that may not be asked now.
        """
        while not await self._entered(guesses):
            await self._end_of_another([guess.about for guess in guesses if self._others(guess)])

    async def _end_of_another(self, abouts: Sequence[bytes]) -> None:
        """Wait until one of those who ask about the same ends; return at once if nobody does any more."""
        if not abouts:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for about in abouts:
            self._waiting.setdefault(about, set()).add(future)
        try:
            await future
        finally:
            for about in abouts:
                waiting = self._waiting.get(about, set())
                waiting.discard(future)
                if not waiting:
                    self._waiting.pop(about, None)

    async def _entered(self, guesses: Sequence[Guess]) -> bool:
        look = _Look()
        for guess in guesses:
            self._looking.setdefault(guess.about, []).append(look)
        try:
            holders = await self._look(guesses)
        finally:
            for guess in guesses:
                looks = self._looking[guess.about]
                looks.remove(look)
                if not looks:
                    del self._looking[guess.about]
        if look.disturbed or not all(self._has_room(guess, holders) for guess in guesses):
            return False
        for guess in guesses:
            under_way = self._asking.setdefault(guess.about, {})
            under_way[guess.claim] = under_way.get(guess.claim, 0) + 1
        return True

    def leave(self, guesses: Sequence[Guess]) -> None:
        """Give the places up, without waiting for anything: a call may be cancelled once more while it leaves."""
        for guess in guesses:
            for look in self._looking.get(guess.about, ()):
                look.disturbed = True
            under_way = self._asking[guess.about]
            under_way[guess.claim] -= 1
            if not under_way[guess.claim]:
                del under_way[guess.claim]
            if not under_way:
                del self._asking[guess.about]
            for future in self._waiting.pop(guess.about, ()):
                if not future.done():
                    future.set_result(None)

    async def _look(self, guesses: Sequence[Guess]) -> Mapping[bytes, RecordRow]:
        """Read what counts for some guesses: nearly always nothing does, which the first slots tell."""
        first = await self._holders([guess.slots[0] for guess in guesses])
        begun = [guess for guess in guesses if guess.slots[0] in first]
        return await self._read(begun) if begun else {}

    async def _read(self, guesses: Sequence[Guess]) -> Mapping[bytes, RecordRow]:
        keys = [key for guess in guesses for key in (self._whole(guess), self._finding(guess), *guess.slots)]
        return await self._holders(keys)

    def _others(self, guess: Guess) -> int:
        """Count the other claims about the same fact of the same person that are being asked."""
        under_way = self._asking.get(guess.about)
        return 0 if under_way is None else len(under_way) - (guess.claim in under_way)

    def _has_room(self, guess: Guess, holders: Mapping[bytes, RecordRow]) -> bool:
        if not holders:  # nothing that any of them asks was guessed wrong lately, as nearly always
            return self._others(guess) < self._budget
        if any(self._is_fresh(holders.get(key)) for key in (self._whole(guess), self._finding(guess))):
            return True  # this very guess proved wrong before: saying so again tells nothing new
        used = self._used(guess, holders)
        if len(used) >= self._budget:
            raise self._spent(guess, used)
        return len(used) + self._others(guess) < self._budget

    def _used(self, guess: Guess, holders: Mapping[bytes, RecordRow]) -> list[datetime]:
        """Give when each slot that counts was used."""
        rows = [holders[slot] for slot in guess.slots if slot in holders]
        return [row.opened_at for row in rows if self._is_fresh(row)]

    def _spent(self, guess: Guess, used: Sequence[datetime]) -> GuessBudgetSpent:
        now = self._now()
        return GuessBudgetSpent(guess.said.fact_type, min(used, default=now) + self._window, now)

    def _is_fresh(self, row: RecordRow | None) -> bool:
        return row is not None and row.opened_at > self._now() - self._window

    async def counting(self, wrong: Sequence[Wrong], record: bytes) -> Counting:
        """Say what the entry of an answer must claim so that each guess that it shows to be wrong is counted once.

        Raises:
            GuessBudgetSpent: others have spent it meanwhile; the answer may not be given.
        """
        if not wrong:
            return Counting()
        holders = await self._read([guess for guess, _ in wrong])
        counting = _Counting(holders=holders, record=record)
        for guess, key in wrong:
            if self._is_fresh(holders.get(key)):
                continue
            free = (s for s in guess.slots if not self._is_fresh(holders.get(s)) and not counting.has(s))
            slot = next(free, None)
            if slot is None:
                raise self._spent(guess, self._used(guess, holders))
            counting.take(slot)
            counting.take(key)
        return Counting(claims=tuple(counting.claims.items()), releases=tuple(counting.releases))

    def _guess(self, claim: Claim, role: str, id_type: str, number: str) -> Guess:
        about = self._index.of("guess-about", _text([claim.fact_type, role, id_type, number]))
        slots = tuple([about + number for number in self._slots])
        return Guess(claim, about, _told(about, claim, Tells.WHOLE), slots)

    def _whole(self, guess: Guess) -> bytes:
        return self._index.of("guess-claim", guess.claim)

    def _finding(self, guess: Guess) -> bytes:
        return self._index.of("guess-finding", _told(guess.about, guess.said, Tells.FINDING))


async def until_counted(record: Callable[[], Awaitable[_Kept]]) -> _Kept:
    """Count and record, and do so again where another process counted a guess about the same person meanwhile.

    Raises:
        ledger.LedgerUnavailable: others counted all the time.
    """
    for _ in range(_TRIES):
        try:
            return await record()
        except AlreadyClaimed:
            continue
    raise LedgerUnavailable("guesses about the subject were counted by others all the time")


@dataclass(slots=True, kw_only=True)
class _Counting:
    """Collects claims; a key that somebody holds is handed on, which only one of several successors can do."""

    holders: Mapping[bytes, RecordRow]
    record: bytes
    claims: dict[bytes, bytes] = field(default_factory=dict)
    releases: list[bytes] = field(default_factory=list)

    def has(self, key: bytes) -> bool:
        return key in self.claims

    def take(self, key: bytes) -> None:
        self.claims[key] = self.record
        before = self.holders.get(key)
        if before is not None:
            self.releases.append(key)
            self.claims[hashlib.sha256(_SUCCESSION + key + before.record).digest()] = self.record


def _told(about: bytes, claim: Claim, tells: Tells) -> str:
    subject = claim.subject
    return _text([about.hex(), subject.id_type, subject.id_number, *said(claim, tells)])


def _text(parts: list[Json]) -> str:
    return canonical(parts).decode()
