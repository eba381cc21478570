"""Several clients at once drive commitments through everything that can happen to them; the projections stay a fold of
the log, whatever order things came in.

Each step is a handful of acts that run at the same moment, upon the same few cases. An act either succeeds or is
refused with one of our typed refusals; nothing else is allowed. After each step every record's row is compared with a
fold of the entries that were added, and at the end the program's own rebuild of the projections must change no row.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.bootstrap.ledger import open_master_keys
from gateway.config import load_settings
from gateway.demo.people import Person
from gateway.errors import CommitmentExists, GatewayError
from gateway.flows.commitments.documents import claims_of
from gateway.flows.commitments.prepare import Prepared
from gateway.letters.document import Consent
from gateway.rules.kept import rows, text
from gateway.rules.withdrawal import Milestone
from ledger import Erased, decode_entry, new_record, open_store
from ledger.canonical import microseconds
from ledger.commands import rebuild
from ledger.errors import AlreadyClaimed, ErasureRefused
from ledger.merkle import hash_leaf
from ledger.records.lifecycle import opening
from ledger.records.projections import FACTS_GROUP, StoredRow, fold, forget, open_row, read_facts
from ledger.records.rows import read_row
from ledger.vault.erasure import ErasureOrder, approve_erasure, examine_order, propose_erasure, read_proposal
from tests.ledger.vault.recorded import FIRST_SIGNER, OFFICERS, SECOND_SIGNER

from .office import ITEM, PEOPLE, Office, execute, of_item, office

CASES = [
    (PEOPLE[12], "办-1"),
    (PEOPLE[12], "办-2"),
    *((PEOPLE[14 + n], f"办-{3 + n}") for n in range(4)),
    (PEOPLE[9], "办-9"),
]
"""Two cases are one person's, and the last one is a minor's."""
VARIANT = of_item(
    ITEM,
    ("until: DECISION, after_effect: NONE", "until: FEE_PAYMENT, after_effect: BARRED_THIS_YEAR"),
    ("publication: NOT_PUBLIC", "publication: LIMITED"),
    ("timing: AFTER", "timing: DURING"),
)
REFUSALS = (GatewayError, AlreadyClaimed, ErasureRefused)
ENTERED = 'pause = "1h" '

Act = Callable[["Machine", int], Awaitable[None]]


async def prepare(here: Machine, pick: int) -> None:
    who, case = CASES[pick % len(CASES)]
    verification = await here.office.verify(who, case)
    lifted = here.lifted.get(case) if pick % 2 else None
    consent = Consent.DECLINED if pick % 7 == 6 else Consent.AGREED
    try:
        prepared = await here.office.prepare(verification, consent=consent, lifted=lifted, person=f"clerk-{pick % 2}")
    except GatewayError as refusal:
        if refusal.recording is not None:
            here.refused.append((case, refusal.recording.record))
        raise
    here.documents.append((pick % len(CASES), prepared))


async def record(here: Machine, pick: int) -> None:
    if here.documents:
        index, prepared = here.documents[-1 - pick % len(here.documents)]
        who = CASES[index][0] if pick % 5 else PEOPLE[20]
        await here.office.record(prepared, who)
        here.signed.append(prepared.record)


async def commit(here: Machine, pick: int) -> None:
    """From the question to the record, while others act upon the same case."""
    await prepare(here, pick)
    index, prepared = here.documents[-1]
    await here.office.record(prepared, CASES[index][0])
    here.signed.append(prepared.record)


async def record_twice(here: Machine, pick: int) -> None:
    if here.documents:
        index, prepared = here.documents[-1 - pick % len(here.documents)]
        outcomes = await asyncio.gather(
            *(here.office.record(prepared, CASES[index][0]) for _ in range(2)), return_exceptions=True
        )
        assert sum(not isinstance(one, BaseException) for one in outcomes) <= 1
        for one in outcomes:
            if isinstance(one, CommitmentExists) and one.commitment:
                assert "CommitmentRecorded" in here.office.kinds(one.commitment)
            elif isinstance(one, BaseException) and not isinstance(one, REFUSALS):
                raise one


async def withdraw(here: Machine, pick: int) -> None:
    await here.office.withdraw(here.some_record(pick))


async def decide(here: Machine, pick: int) -> None:
    await here.office.decide(here.some_record(pick))


async def pay(here: Machine, pick: int) -> None:
    target = here.some_record(pick)
    request = here.office.request("RecordMilestone", record=target.hex(), pick=pick)
    await here.office.flows.commitments.withdraw.pass_milestone(request, target, Milestone.FEE_PAID)


async def contest(here: Machine, pick: int) -> None:
    if here.refused:
        _, target = here.refused[-1 - pick % len(here.refused)]
        request = here.office.request("ContestRefusal", record=target.hex())
        await here.office.flows.commitments.contest.contest(request, target, "有异议")


async def review(here: Machine, pick: int) -> None:
    contested = [one for one in here.refused if here.office.state(one[1]) == "CONTESTED"]
    if contested:
        case, target = contested[pick % len(contested)]
        lift = pick % 3 != 0
        request = here.office.request("ReviewRefusal", system="reviewer", record=target.hex(), lift=lift)
        await here.office.flows.commitments.contest.review(request, target, lift=lift, reason="经核实")
        if lift:
            here.lifted[case] = target


async def sweep(here: Machine, _pick: int) -> None:
    await here.office.flows.commitments.sweep()


async def ask_again(here: Machine, _pick: int) -> None:
    await here.office.flows.commitments.standing()


async def clear(here: Machine, pick: int) -> None:
    findings = here.office.ledger.register().in_state("finding", ("DISCREPANCY",))
    if findings:
        target = findings[pick % len(findings)].record
        request = here.office.request("CloseFinding", system="auditor", record=target.hex())
        kind = ("CLEARED", "INCONCLUSIVE", "MINOR_ERROR")[pick % 3]
        await here.office.flows.find.close(request, target, kind, "已核实")


async def erase(here: Machine, pick: int) -> None:
    target = here.some_record(pick)
    order = ErasureOrder(records=(target,), basis="示例条例", document_number="示删字1号")
    ledger, at = here.office.ledger, here.office.clock.now
    with closing(open_store(here.url, readers=1)) as store:
        doomed = examine_order(store, order)
        mark = new_record(at, here.entropy)
        done = await ledger.append(
            propose_erasure(order, doomed, by=FIRST_SIGNER, origin=here.settings.origin, record=mark, at=at)
        )
        (entry,) = done.entries
        proposal = read_proposal(mark, hash_leaf(entry.entry), ledger.document(entry.index))
        held = claims_of(ledger.register().many([target]).values())
        again = examine_order(store, order)
    await ledger.append(
        approve_erasure(
            proposal, again, by=SECOND_SIGNER, officers=OFFICERS, origin=here.settings.origin, at=at, releases=held
        )
    )


ACTS: tuple[Act, ...] = (
    prepare, record, record_twice, commit, commit, withdraw, decide, decide, pay, contest, contest, review, review,
    sweep, ask_again, clear, erase,
)  # fmt: skip


ENDS = ("CommitmentLapsed", "CommitmentExpired")
ONCE = ("CommitmentRecorded", "DecisionRecorded", "CommitmentWithdrawn", "CommitmentLapsed", "CommitmentExpired")
BATCHES = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 20)), min_size=2, max_size=6)


class Machine(RuleBasedStateMachine):
    """One office and its clients."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.open = office(Path(self.folder.name), VARIANT, lists=True, tune={ENTERED: 'pause = "1s" '})
        self.office: Office = self.runner.run(self.open.__aenter__())
        house = load_settings(self.office.house.config)
        self.url, self.settings = house.ledger.url, house.ledger
        self.documents: list[tuple[int, Prepared]] = []
        self.signed: list[bytes] = []
        self.refused: list[tuple[str, bytes]] = []
        self.lifted: dict[str, bytes] = {}
        self.folded: dict[bytes, StoredRow] = {}
        self.erased: set[bytes] = set()
        self.kinds: defaultdict[bytes, Counter[str]] = defaultdict(Counter)
        self.seen = self.count = 0

    def entropy(self, size: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(size, "big")

    def some_record(self, pick: int) -> bytes:
        every = [prepared.record for _, prepared in self.documents] + [record for _, record in self.refused]
        known = self.signed if pick % 5 and self.signed else every
        return known[pick % len(known)] if known else bytes(16)

    @initialize()
    def begin(self) -> None:
        self.office.list_("distrust", PEOPLE[14])
        self.at_once([(commit, 0), (commit, 1), (prepare, 2), (commit, 3), (commit, 4), (prepare, 6)])

    @rule(acts=BATCHES)
    def clients_act(self, acts: list[tuple[Act, int]]) -> None:
        self.at_once(acts)

    @rule(acts=BATCHES)
    def clients_act_again(self, acts: list[tuple[Act, int]]) -> None:
        self.at_once(acts)

    def at_once(self, acts: list[tuple[Act, int]]) -> None:
        async def every() -> list[BaseException | None]:
            return await asyncio.gather(*(act(self, pick) for act, pick in acts), return_exceptions=True)

        for outcome in self.runner.run(every()):
            if isinstance(outcome, BaseException) and not isinstance(outcome, REFUSALS):
                raise outcome

    @rule(
        minutes=st.sampled_from([1, 5, 31, 60 * 25, 60 * 24 * 91]),
        about=st.sampled_from(CASES),
        what=st.sampled_from(["nothing", "agrees", "contradicts", "forgets", "distrusts", "trusts"]),
    )
    def the_world_changes(self, minutes: int, about: tuple[Person, str], what: str) -> None:
        """Time passes, and a register learns of somebody, or forgets."""
        self.office.clock.pass_(minutes=minutes)
        who = about[0]
        if what in ("trusts", "distrusts"):
            execute(self.office.lists, "DELETE FROM distrust")
        if what == "distrusts":
            self.office.list_("distrust", who)
        if what in ("agrees", "contradicts", "forgets"):
            execute(self.office.leases, "DELETE FROM lease")
            held = (
                [] if what == "forgets" else [(who.id_number, who.name, who.address if what == "agrees" else "别处9号")]
            )
            self.office.drop(held)
            for row in held:
                execute(self.office.leases, "INSERT INTO lease VALUES (?, ?, ?)", *row)

    @invariant()
    def every_row_is_the_fold_of_its_entries(self) -> None:
        ledger, changed = self.office.ledger, set()
        for index in range(self.seen, ledger.size()):
            entry, document = decode_entry(ledger.entry(index)), _opened(ledger, index)
            facts = read_facts(document.get(FACTS_GROUP, {}) if document else {})
            before, at = self.folded.get(entry.record), microseconds(entry.at)
            row = (
                open_row(entry.record, opening(entry.record, entry.kind), index, at, facts)
                if before is None
                else fold(before, entry.kind, index, at, facts)
            )
            self.folded[entry.record] = forget(row) if document is None else row
            self.kinds[entry.record][entry.kind] += 1
            assert entry.record not in self.erased or entry.kind in ENDS
            changed.add(entry.record)
            self.seen = index + 1
            if entry.kind == "DocumentErased" and document is not None:
                for record in (bytes.fromhex(text(one)) for one in rows(document["erased"])):
                    self.folded[record] = forget(self.folded[record])
                    self.erased.add(record)
                    changed.add(record)
        for record in changed:
            assert ledger.register().get(record) == read_row(self.folded[record])

    @invariant()
    def a_case_has_at_most_one_commitment(self) -> None:
        claimed: Counter[tuple[bytes, str | None]] = Counter()
        for record, kinds in self.kinds.items():
            assert all(kinds[once] <= 1 for once in ONCE)
            case = self.folded[record].case_key
            if kinds["CommitmentRecorded"] and case is not None:
                claimed[case, self.folded[record].item] += 1
        assert all(count == 1 for count in claimed.values())

    def teardown(self) -> None:
        self.runner.run(self.open.__aexit__(None, None, None))
        self.runner.close()
        before = _projection(self.url)
        rebuild(self.url, origin=self.settings.origin, master_keys=open_master_keys(self.settings))
        assert _projection(self.url) == before
        self.folder.cleanup()


def _opened(ledger: object, index: int) -> dict[str, object] | None:
    """Open the document of an entry: empty where it has none, None where it is erased."""
    from ledger.errors import EntryMissing

    try:
        kept = ledger.document(index)  # type: ignore[attr-defined]
    except EntryMissing:
        return {}
    return None if isinstance(kept, Erased) else {name: group.value for name, group in kept.items()}


def _projection(url: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        return database.execute("SELECT * FROM record ORDER BY record").fetchall()


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=6,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
