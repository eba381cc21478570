"""A log whose key has changed: whoever trusts the first key verifies every receipt, old and new, with the history."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import gateway
from gateway.client import Answer, LogKeys, Question, ReceiptRefused
from gateway.founding import House
from ledger.errors import KeyHistoryError
from tests import started
from tests.gateway.verification.village import marital, serving, settle

ROOT = Path(gateway.__file__).parent.parent


async def keys(house: House, act: str) -> None:
    """Run `chengxin keys …` on a house at rest, as an operator does."""
    done = await asyncio.to_thread(started.run, "keys", act, "--config", house.config)
    assert done.returncode == 0, done.stderr


async def ask(house: House, question: Question, known: LogKeys) -> Answer:
    async with serving(house) as village:
        client = village.client()
        client._keys = known
        return await client.verify(question)


async def test_receipts_under_an_old_and_a_new_key_are_verified_by_the_first_key_and_the_history(
    tmp_path: Path,
) -> None:
    house = settle(tmp_path)
    first_key = tmp_path / "first.pub"
    first_key.write_text(house.vkey.read_text())
    old_question, new_question = marital(0), marital(1)
    await ask(house, old_question, LogKeys.read(first_key))
    await keys(house, "rotate")
    history = house.home / "keys" / "log.history"
    await ask(house, marital(2), LogKeys.read(first_key, history=history))
    await keys(house, "retire")

    known = LogKeys.read(first_key, history=history)
    old, new = await ask(house, old_question, known), await ask(house, new_question, known)

    assert old.receipt.index < new.receipt.index
    with pytest.raises(ReceiptRefused):
        await ask(house, new_question, LogKeys.read(first_key))
    assert (await ask(house, old_question, LogKeys.read(first_key))) == old
    with pytest.raises(KeyHistoryError):
        LogKeys.read(first_key, "another.example/log", history=history)
    with pytest.raises(ReceiptRefused):
        LogKeys([])


async def test_a_history_that_does_not_follow_from_the_key_is_refused(tmp_path: Path) -> None:
    one, other = settle(tmp_path / "one"), settle(tmp_path / "other")
    await keys(one, "rotate")

    with pytest.raises(KeyHistoryError):
        LogKeys.read(other.vkey, history=one.home / "keys" / "log.history")


async def test_a_retired_key_is_not_believed_beside_its_successor_without_the_history(tmp_path: Path) -> None:
    house = settle(tmp_path)
    first = house.vkey.read_text()
    await keys(house, "rotate")
    history = house.home / "keys" / "log.history"
    both = tmp_path / "both.pub"
    both.write_text("".join(f"{line.split(' ')[1]}\n" for line in history.read_text().split("\n\n")[1].split("\n")))

    assert first.strip() in both.read_text()
    assert both.read_text().count("\n") == 2
    with pytest.raises(ReceiptRefused, match="history"):
        LogKeys.read(both)
