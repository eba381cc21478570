"""A log stops when a witness proves that it signed another history, and goes on when a witness only says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ledger import Ledger, LedgerDamaged, Level, LogShrunk, Publishing, SignAfter, Signing, SplitView
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.note import sign_note, split_note
from tests.ledger.house import ORIGIN, House, answered, submission
from tests.ledger.witness.house import new_log


class Quarrelling:
    """Two witnesses of one policy: one cosigns, the other holds something against the log."""

    def __init__(self, directory: Path) -> None:
        self.signer = new_log(directory, "witness.example").signer
        self.against: dict[str, str] = {}
        self.proofs: dict[str, bytes] = {}
        self.willing = True

    def collect(self, note: bytes, _size: int, _prove: Callable[[int, int], list[bytes]]) -> list[str]:
        lines = split_note(sign_note(split_note(note)[0], [self.signer]))[1] if self.willing else []
        if self.against:
            raise SplitView(self.against, lines, self.proofs)
        return lines

    def satisfied(self, lines: Sequence[str]) -> bool:
        return len(lines) > 0

    def close(self) -> None:
        pass

    def accuse(self, proof: bytes) -> None:
        self.proofs = {"w2": proof}
        self.against = {"w2": "it holds another history"}


@pytest.fixture
def witnesses(tmp_path: Path) -> Quarrelling:
    return Quarrelling(tmp_path)


def publishing(witnesses: Quarrelling) -> Publishing:
    return Publishing(interval=0.02, cosigners=witnesses)


def signed(house: House, size: int) -> bytes:
    return sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=bytes(32)), [house.signer])


async def stopped(ledger: Ledger) -> LedgerDamaged:
    """Append until it is refused for damage."""
    while True:
        try:
            await ledger.append(submission(answered()))
        except LedgerDamaged as damage:
            return damage
        await asyncio.sleep(0.01)


async def test_a_checkpoint_of_its_own_key_that_the_log_does_not_reach_stops_it(
    house: House, witnesses: Quarrelling
) -> None:
    with house.open(publishing=publishing(witnesses)) as ledger:
        await ledger.append(submission(answered()), Level.WITNESSED)
        witnesses.accuse(signed(house, 10**6))
        assert "witness w2" in str(await stopped(ledger))
        size = ledger.size()
        for level in Level:
            with pytest.raises(LedgerDamaged):
                await ledger.append(submission(answered()), level)
            with pytest.raises(LedgerDamaged):
                ledger.append_blocking(submission(answered()), level)
        assert ledger.size() == size


async def test_another_root_for_a_size_of_the_log_stops_it(house: House, witnesses: Quarrelling) -> None:
    with house.open(publishing=publishing(witnesses)) as ledger:
        await ledger.append(submission(answered()), Level.WITNESSED)
        witnesses.accuse(signed(house, 1))
        damage = await stopped(ledger)
        assert not isinstance(damage, LogShrunk)


async def test_nothing_leaves_that_a_second_history_was_proved_against(house: House, witnesses: Quarrelling) -> None:
    careful = Publishing(
        signing=Signing.INTERVAL, sign_after=SignAfter.WITNESS, interval=0.02, cosigners=witnesses
    )  # fmt: skip
    with house.open(publishing=careful) as ledger:
        await ledger.append(submission(answered()))
        before = ledger.checkpoint()
        witnesses.accuse(signed(house, 10**6))
        with pytest.raises(LedgerDamaged):
            await ledger.append(submission(answered()))
        assert ledger.checkpoint() == before


async def test_what_the_log_did_not_sign_stops_nothing(house: House, witnesses: Quarrelling, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    stranger = new_log(tmp_path / "elsewhere", ORIGIN).signer
    checkpoint = Checkpoint(origin=ORIGIN, size=10**6, root=bytes(32))
    other = Checkpoint(origin="log.example/b", size=10**6, root=bytes(32))
    with house.open(publishing=publishing(witnesses)) as ledger:
        first = await ledger.append(submission(answered()), Level.WITNESSED)
        for said in (
            b"",
            b"junk",
            sign_checkpoint(checkpoint, [stranger]),
            sign_checkpoint(checkpoint, [witnesses.signer]),
            sign_checkpoint(other, [house.signer]),
            first.receipts[0].split(b"\n\n", 1)[1],
        ):
            witnesses.accuse(said)
            await ledger.append(submission(answered()), Level.WITNESSED)


async def test_the_owner_of_a_shared_ledger_stops_for_everybody(sqlite_house: House, witnesses: Quarrelling) -> None:
    with sqlite_house.shared(publishing=publishing(witnesses)) as ledger:
        await ledger.append(submission(answered()), Level.WITNESSED)
        witnesses.accuse(signed(sqlite_house, 10**6))
        assert "witness w2" in str(await stopped(ledger))
        with pytest.raises(LedgerDamaged, match="witness w2"):
            ledger.append_blocking(submission(answered()))


async def test_who_waits_in_another_process_hears_of_it(sqlite_house: House, witnesses: Quarrelling) -> None:
    witnesses.willing = False
    with sqlite_house.shared(publishing=publishing(witnesses)) as ledger:
        waiting = [asyncio.create_task(ledger.append(submission(answered()), Level.WITNESSED)) for _ in range(3)]
        waiting.append(
            asyncio.create_task(asyncio.to_thread(ledger.append_blocking, submission(answered()), Level.WITNESSED))
        )
        while ledger.size() < 4:
            await asyncio.sleep(0.01)
        witnesses.accuse(signed(sqlite_house, 10**6))
        for one in await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20):
            assert isinstance(one, LedgerDamaged)
            assert "witness w2" in str(one)
        # Whoever joins later hears of it as soon as it asks for anything.
        with sqlite_house.join(sqlite_house.directory / "owner.sock", publishing(witnesses)) as another:
            with pytest.raises(LedgerDamaged, match="witness w2"):
                another.append_blocking(submission(answered()), Level.WITNESSED)
            with pytest.raises(LedgerDamaged, match="witness w2"):
                await another.append(submission(answered()))
