"""Verifying the files that tell what became of a commitment and what it rests on (`story` tells what they hold)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from gateway.evidence_pack.check import CLAIM, NOTHING_ELSE, NOTHING_ELSE_OF_THESE, OF_LIFE, REST, RESTED_ON
from gateway.evidence_pack.story import ANSWER, COMPLETE, ELIGIBILITY, ELIGIBLE, STORY, TOLD
from gateway.rules.kept import rows, table, text
from ledger import VerifiedReceipt, verify_completeness
from ledger.canonical import Json, canonical, parse_canonical
from ledger.completeness.proof import CompleteHistory, parse_completeness
from ledger.disclosure import verify_disclosure_by
from ledger.errors import ReceiptError, TransitionRefused
from ledger.keyring.history import KeyHistory
from ledger.merkle import hash_leaf
from ledger.receipt import parse_receipt
from ledger.records.lifecycle import FAMILY_OF, state_after
from ledger.records.projections import FACTS_GROUP

_WHOLE = OF_LIFE | {"complete"}
_ERASED = "whose documents are erased: receipts alone are left, and nothing shows that they are of this case"


class OneCheckpoint:
    """The keys of the log, for the receipts of a pack: all are of one checkpoint, with the same signatures of it."""

    def __init__(self, keys: KeyHistory, receipt: bytes) -> None:
        self.origin = keys.origin
        self._keys = keys
        self._note = parse_receipt(receipt).note

    def verify_receipt(self, receipt: bytes) -> VerifiedReceipt:
        """Verify a receipt with the keys that were in force; raises `LedgerError`, also if it is of another one."""
        found = self._keys.verify_receipt(receipt)
        if parse_receipt(receipt).note != self._note:
            raise ReceiptError("a receipt is of another checkpoint than recorded.tlog-proof, or has other signatures")
        return found


class StoryWrong(Exception):
    """A file of the story is not what it claims."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """The proved entries of one record, oldest first, what story.json discloses of what it is about, and its proof."""

    lines: tuple[VerifiedReceipt, ...]
    facts: Json
    complete: Json

    @property
    def record(self) -> bytes:
        return self.lines[0].entry.record

    @property
    def kind(self) -> str:
        return self.lines[0].entry.kind


class StoryCheck:
    """Verifies the files of the story of one commitment, whose recording and handing out are proved otherwise."""

    def __init__(
        self, files: Mapping[str, bytes], keys: OneCheckpoint, *, recorded: VerifiedReceipt, prepared: VerifiedReceipt
    ) -> None:
        self._files = files
        self._keys = keys
        self._recorded = recorded
        self._prepared = prepared
        self.not_proved: list[str] = []
        """What the files that were verified do not prove."""

    def life(self) -> dict[str, str]:
        """Verify the life of the commitment; tell its state, and up to where it is proved that nothing else came.

        Raises:
            StoryWrong, LedgerError, KeyError: something is missing, malformed, or not what it claims.
        """
        told = self._told(self._read()["commitment"], OF_LIFE)
        lines = told.lines
        leaves = [line.leaf for line in lines]
        mine = self._recorded.leaf in leaves and self._prepared.leaf in leaves
        _require(mine, f"{STORY} tells of another commitment, or not of all of this one")
        state: str | None = None
        for line in lines:
            try:
                state = state_after(line.entry.record, state, line.entry.kind)
            except TransitionRefused as refusal:
                raise StoryWrong(f"{STORY}: {refusal}") from refusal
        complete = self._completeness(told)
        shown = "" if COMPLETE in self._files else ", by what is shown; whether anything came later is not proved"
        return {
            "life": ", ".join(f"{line.entry.kind} {line.entry.at.isoformat()}" for line in lines),
            "state": f"{state} since {lines[-1].entry.at.isoformat()}{shown}",
            "nothing else recorded": complete,
        }

    def _completeness(self, told: _Told) -> str:
        proved = self._whole(told, self._files.get(COMPLETE), COMPLETE)
        if proved is None:
            self.not_proved.append(NOTHING_ELSE)
            return "not proved"
        behind = len(told.lines) - len(proved.entries)
        later = f"; the index is behind: {behind} entries that are shown came later" if behind else ""
        return f"proved for the first {proved.size} entries of the log, as of {proved.at.isoformat()}{later}"

    def _whole(self, told: _Told, data: bytes | None, name: str) -> CompleteHistory | None:
        """Verify that all entries of a record are told as far as the index reached; raises as `life`.

        There is no proof only of a record that begins beyond it: a pack has every proof that its index allows.
        """
        if data is None:
            found = told.lines[0].index >= self._reach
            _require(found, f"{name}: the proof that all is told of {told.kind} {told.record.hex()} was taken out")
            return None
        proved = verify_completeness(data, self._keys, self._keys.origin)
        _require(proved.record == told.record, f"{name} proves that all is told of another record")
        _require(proved.size == self._reach, f"{name}: the proofs that all is told are of several indexes of the log")
        _require(bool(proved.entries), f"{name} proves that there was nothing of a record which is told")
        covered = tuple(line.entry for line in told.lines if line.index < proved.size)
        _require(covered == proved.entries, f"{STORY} leaves out an entry of {told.kind} {told.record.hex()}")
        return proved

    @cached_property
    def _reach(self) -> int:
        """Of how many entries the largest index is that a proof says it is of, not verified; 0 where there is none."""
        lives = [table(life).get("complete") for life in rows(self._read()["rests_on"])]
        proofs = [canonical(one) for one in lives if one is not None]
        proofs += [self._files[COMPLETE]] if COMPLETE in self._files else []
        return max((parse_completeness(one).size for one in proofs), default=0)

    def foundation(self) -> dict[str, str]:
        """Verify what the commitment rests on, and that all of it is of its case; tell what that is.

        Raises:
            StoryWrong, LedgerError, KeyError: something is missing, malformed, or not what it claims.
        """
        told = self._read()
        claim = self._facts(self._told(told["commitment"], OF_LIFE), self._prepared)
        _require(claim is not None, f"{STORY} does not tell what the commitment is about")
        self._require_of(ELIGIBLE, ELIGIBILITY, self._prepared)
        rested = [self._told(life, OF_LIFE, _WHOLE) for life in rows(told["rests_on"])]
        by_record = {one.record: one for one in rested}
        _require(len(by_record) == len(rested), f"{STORY} tells of a record twice")
        for one in rested:
            _require(FAMILY_OF[one.kind].name in RESTED_ON, f"{STORY}: no commitment rests on {one.kind}")
            facts = self._facts(one, one.lines[0])
            same = facts is None or all(facts.get(name) == table(claim).get(name) for name in CLAIM)
            _require(same, f"{STORY}: {one.kind} {one.record.hex()} is of another case, person or item")
        document = table(parse_canonical(self._files["document.json"]))
        _require(table(claim)["parent"] == document["verification"], "the commitment rests on another verification")
        answered = by_record.get(bytes.fromhex(text(document["verification"])))
        if answered is None:
            raise StoryWrong(f"{STORY} does not tell of the verification in document.json")
        if answered.facts is not None or TOLD in self._files:
            self._require_of(TOLD, ANSWER, answered.lines[0])
        kinds = Counter(one.kind for one in rested)
        erased = sum(one.facts is None for one in rested)
        proofs = [self._whole(one, None if one.complete is None else canonical(one.complete), STORY) for one in rested]
        proved = len(rested) - proofs.count(None)
        if proved < len(rested):
            self.not_proved.append(NOTHING_ELSE_OF_THESE.format(len(rested) - proved, len(rested)))
        self.not_proved.append(REST)
        reach = f", for the first {self._reach} entries of the log" if proved else ""
        found = {
            "rests on": ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())),
            "nothing else recorded of these": f"proved of {proved} of {len(rested)}{reach}",
            "rests on nothing else": "not proved",
        }
        return found | ({"erased": f"{erased} records {_ERASED}"} if erased else {})

    def _read(self) -> Mapping[str, Json]:
        story = table(parse_canonical(self._files[STORY]))
        _require(story.keys() == {"commitment", "rests_on"}, f"{STORY} has other members")
        return story

    def _told(self, life: Json, *members: set[str]) -> _Told:
        """Verify that receipts are of one record from its first entry on, none left out between; raises as `life`."""
        told = table(life)
        _require(told.keys() in members, f"{STORY} has other members")
        lines = tuple(self._keys.verify_receipt(text(receipt).encode()) for receipt in rows(told["receipts"]))
        _require(bool(lines), f"{STORY} tells of a record without entries")
        previous: bytes | None = None
        for number, line in enumerate(lines):
            entry = line.entry
            follows = (entry.record, entry.seq, entry.prev) == (lines[0].entry.record, number, previous)
            _require(follows, f"{STORY}: an entry of a record is missing, or another's")
            previous = hash_leaf(line.leaf)
        return _Told(lines=lines, facts=told["facts"], complete=told.get("complete"))

    def _facts(self, told: _Told, of: VerifiedReceipt) -> Mapping[str, Json] | None:
        """Give the facts that an entry commits to; None where they are not disclosed."""
        if told.facts is None:
            return None
        found = verify_disclosure_by(canonical(told.facts), self._keys.verify_receipt)
        mine = found.group == FACTS_GROUP and found.receipt.leaf == of.leaf
        _require(mine, f"{STORY}: facts of {told.kind} are of another entry")
        return table(found.value)

    def _require_of(self, name: str, group: str, entry: VerifiedReceipt) -> None:
        found = verify_disclosure_by(self._files[name], self._keys.verify_receipt)
        _require(found.group == group, f"{name} is of another group")
        _require(found.receipt.leaf == entry.leaf, f"{name} is of another entry")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StoryWrong(otherwise)
