"""A gateway serves at its address alone, unless it was told to share it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.bootstrap.ledger import open_ledger
from gateway.config import load_settings
from gateway.errors import ConfigurationError
from gateway.rpc.server import GrpcServer
from tests.gateway.startup.process import make


def _server(address: str, *, shared: bool = False) -> GrpcServer:
    return GrpcServer([], address=address, tls=None, max_message_bytes=1 << 20, reflect=False, shared=shared)


async def _is_serving(target: str) -> bool:
    async with aio.insecure_channel(target) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def test_an_address_in_use_is_refused_by_name(tmp_path: Path) -> None:
    place = make(tmp_path / "var")
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        place.configure('listen = "127.0.0.1:0"', f'listen = "{address}"')
        process = place.start()
        out, said = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, ""), said
    assert f"listen: {address} cannot be bound, or is in use" in said
    assert "Traceback" not in said
    with open_ledger(load_settings(place.house.config).ledger) as ledger:
        assert ledger.size() == 0  # nothing was recorded for a gateway that does not answer


async def test_where_another_gateway_serves_no_second_one_does() -> None:
    first = _server("127.0.0.1:0")
    await first.start()
    with pytest.raises(ConfigurationError):
        await _server(f"127.0.0.1:{first.port}").start()
    assert await _is_serving(f"127.0.0.1:{first.port}")
    await first.stop(0)


async def test_those_who_share_an_address_serve_beside_each_other() -> None:
    one = _server("127.0.0.1:0", shared=True)
    await one.start()
    other = _server(f"127.0.0.1:{one.port}", shared=True)
    await other.start()
    assert other.port == one.port
    await one.stop(0)
    assert await _is_serving(f"127.0.0.1:{other.port}")
    await other.stop(0)


async def test_every_connection_is_served_whichever_listener_takes_it() -> None:
    server = _server("127.0.0.1:0")
    await server.start()
    own = [("grpc.use_local_subchannel_pool", 1)]  # a connection each

    async def ask() -> int:
        async with aio.insecure_channel(f"127.0.0.1:{server.port}", options=own) as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
            return int(answer.status)

    assert set(await asyncio.gather(*(ask() for _ in range(24)))) == {health_pb2.HealthCheckResponse.SERVING}
    await server.stop(0)


async def test_a_socket_file_is_served_as_well(tmp_path: Path) -> None:
    server = _server(f"unix:{tmp_path / 'gateway'}")
    await server.start()
    assert await _is_serving(f"unix:{tmp_path / 'gateway'}")
    await server.stop(0)
