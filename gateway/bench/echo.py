"""The bare server: grpc.aio with the gateway's TLS, answering every call with the same bytes.

`python -m gateway.bench.echo HOUSE BYTES` prints `ready PORT` and serves until SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import uvloop
from grpc import aio

from gateway.bootstrap.interpreter import prepare_interpreter
from gateway.founding import House


async def serve(house: House, answer: bytes) -> None:
    """Serve until SIGTERM."""

    class Echo(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            async def one(_request: bytes, _context: object) -> bytes:
                return answer

            async def each(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
                async for _ in requests:
                    yield answer

            if details.method.endswith("/Batch"):
                return grpc.stream_stream_rpc_method_handler(each)
            return grpc.unary_unary_rpc_method_handler(one)

    server = aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    certificate, key = house.pair("server")
    pair = (key.read_bytes(), certificate.read_bytes())
    credentials = grpc.ssl_server_credentials([pair], house.authority.read_bytes(), require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    sys.stdout.write(f"ready {port}\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(None)


if __name__ == "__main__":
    prepare_interpreter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(House(home=Path(sys.argv[1])), bytes(int(sys.argv[2]))))
