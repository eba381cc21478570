"""Gateways whose parts are real processes, and can be killed between what is durable and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.config import load_settings
from gateway.founding import House
from tests.faults.holding import Holding, before_socket
from tests.faults.seen import Log
from tests.gateway.verification.village import Process, process

Entered = TypeVar("Entered")


@asynccontextmanager
async def aside(manager: AbstractContextManager[Entered]) -> AsyncIterator[Entered]:
    """Enter and leave what blocks, such as the start of a process, while this loop goes on serving others."""
    entered = await asyncio.to_thread(manager.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


@dataclass(slots=True, kw_only=True)
class Parted:
    """A gateway in two processes: an owner that writes the SQLite ledger, and doors that reach it through a proxy."""

    house: House
    holding: Holding
    log: Log
    owner: Process

    def door(self) -> AbstractAsyncContextManager[Process]:
        """Start a process that answers calls."""
        return aside(process(self.house, arguments=("--part", "first")))


def owning(house: House) -> AbstractAsyncContextManager[Process]:
    """Start the process that writes a house's ledger."""
    return aside(process(house, arguments=("--part", "owner"), config=house.home / "owner.toml"))


@asynccontextmanager
async def parted(house: House) -> AsyncIterator[Parted]:
    """Start the owner of a house's ledger, with a proxy between it and the doors to come."""
    text = house.config.read_text("utf-8")
    (house.home / "owner.toml").write_text(text.replace('"owner.sock"', '"owner-itself.sock"'), "utf-8")
    settings = load_settings(house.config)
    socket = settings.ledger.owner_socket
    async with owning(house) as owner, before_socket(socket, socket.with_name("owner-itself.sock")) as holding:
        yield Parted(house=house, holding=holding, log=Log(settings.ledger.url), owner=owner)


def shifted(house: House, offset: Path) -> AbstractAsyncContextManager[Process]:
    """Serve a house in a process whose clock is off by as many seconds as a file says."""
    return aside(process(house, module="tests.faults.shifted", arguments=(str(offset),)))


async def kill_between(
    log: Log, door: Process, arm: Callable[[], None], asking: Coroutine[Any, Any, Entered]
) -> Entered:
    """Ask, let the entry become durable and the word of it be kept back, and kill the process that waits for it."""
    entries = len(await asyncio.to_thread(log.leaves))
    arm()
    task = asyncio.create_task(asking)
    await log.until(entries + 1)
    assert not task.done()
    door.kill()
    return await task
