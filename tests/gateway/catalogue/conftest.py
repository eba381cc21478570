"""A gateway on loopback whose catalogue files a test rewrites: real mutual TLS, a real ledger, a real source."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from grpc import aio

from gateway.bootstrap.serving import Gateway
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.client import open_channel
from gateway.config import load_settings
from gateway.founding import House, found
from gateway.v1 import catalogue_pb2_grpc, verification_pb2_grpc
from tests.gateway.journeys.conftest import SOURCES, drop, execute


@dataclass(slots=True, kw_only=True)
class Office:
    """A house with its own copies of the lists, and clients."""

    house: House
    lists: Path
    port: int = 0
    channels: list[aio.Channel] = field(default_factory=list)

    @property
    def version(self) -> str:
        """The version of the files as they are."""
        return load_catalogue(sorted(self.lists.iterdir())).version

    def rewrite(self, old: str, new: str, file: str = "nation.yaml") -> None:
        text = (self.lists / file).read_text("utf-8")
        assert old in text
        (self.lists / file).write_text(text.replace(old, new), "utf-8")

    def channel(self, system: str) -> aio.Channel:
        certificate, key = self.house.pair(system)
        channel = open_channel(
            f"127.0.0.1:{self.port}", authority=self.house.authority, certificate=certificate, key=key
        )
        self.channels.append(channel)
        return channel

    def catalogue(self, system: str = "operator") -> catalogue_pb2_grpc.CatalogueServiceAsyncStub:
        return catalogue_pb2_grpc.CatalogueServiceStub(self.channel(system))

    def verification(self) -> verification_pb2_grpc.VerificationServiceAsyncStub:
        return verification_pb2_grpc.VerificationServiceStub(self.channel("clerk"))


def found_office(tmp_path: Path) -> Office:
    """Found a house whose catalogue files are copies of the shipped ones."""
    lists = tmp_path / "lists"
    lists.mkdir()
    for file in shipped_catalogue_files():
        shutil.copy(file, lists)
    civil, drops, leases = tmp_path / "civil.sqlite3", tmp_path / "drops", tmp_path / "leases.sqlite3"
    drops.mkdir()
    execute(civil, "CREATE TABLE marriage (id_number TEXT, name TEXT, status TEXT)")
    execute(leases, "CREATE TABLE lease (id_number TEXT, name TEXT, address TEXT)")
    drop(drops, "home-ownership", [], 1)
    house = found(
        tmp_path / "var",
        now=datetime.now(UTC),
        sources=SOURCES.format(civil=civil, drops=drops, leases=leases),
        listen="127.0.0.1:0",
    )
    names = ", ".join(f'"{lists / file.name}"' for file in shipped_catalogue_files())
    text = house.config.read_text("utf-8")
    assert text.count("[catalogue]\nfiles = []") == 1
    house.config.write_text(text.replace("[catalogue]\nfiles = []", f"[catalogue]\nfiles = [{names}]"), "utf-8")
    return Office(house=house, lists=lists)


@pytest.fixture
def unserved_office(tmp_path: Path) -> Office:
    return found_office(tmp_path)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    here = found_office(tmp_path)
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(Gateway(load_settings(here.house.config)).serve(port.set_result, stop))
    await asyncio.wait({serving, port}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    here.port = await port
    yield here
    for channel in here.channels:
        await channel.close()
    stop.set()
    await serving
