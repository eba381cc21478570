"""A gateway whose clock jumps: `python -m tests.faults.shifted serve --config FILE OFFSET`.

OFFSET is a file with a number of seconds, read each time the gateway looks at its clock.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway import logs
from gateway.bootstrap.serving import Gateway
from gateway.config import load_settings


async def serve(config: Path, offset: Path) -> None:
    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(offset.read_text("ascii")))

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await Gateway(load_settings(config), now=now).serve(lambda port: print(f"ready {port}", flush=True), stop)


if __name__ == "__main__":
    logs.configure()
    asyncio.run(serve(Path(sys.argv[3]), Path(sys.argv[4])))
