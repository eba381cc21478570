"""A log that cannot be written loses lines, and nothing else: what is recorded is answered."""

from __future__ import annotations

import fcntl
import io
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import structlog

from gateway import logs
from gateway.founding import House
from tests import started
from tests.gateway.verification.village import Village, marital, settle


@contextmanager
def unread(house: House) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Serve with a log whose reader goes away once the gateway answers; gives its port."""
    reading, writing = os.pipe()
    gateway = started.start("serve", "--config", house.config, stdout=subprocess.PIPE, stderr=writing)
    os.close(writing)
    try:
        assert gateway.stdout is not None
        ready, port = gateway.stdout.readline().split()
        assert ready == "ready"
        os.close(reading)
        yield gateway, int(port)
    finally:
        gateway.terminate()
        gateway.communicate(timeout=60)


async def test_calls_are_answered_when_nobody_reads_the_log_any_more(tmp_path: Path) -> None:
    house = settle(tmp_path)
    with unread(house) as (gateway, port):
        client = Village(house=house, port=port).client()
        answers = [await client.verify(marital(index)) for index in range(3)]

    assert len({answer.verification.record for answer in answers}) == 3
    assert gateway.returncode == 0


class _Full(io.StringIO):
    """A stream whose disk is full for a while."""

    is_full = False

    def flush(self) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")


@pytest.fixture
def log() -> structlog.stdlib.BoundLogger:
    return structlog.get_logger()  # type: ignore[no-any-return]


def test_how_many_lines_were_lost_is_said_once_some_can_be_written(log: structlog.stdlib.BoundLogger) -> None:
    stream = _Full()
    before = structlog.get_config()
    logs.configure(stream)
    try:
        log.info("one")
        stream.is_full = True
        log.info("two")
        log.info("three")
        stream.is_full = False
        stream.seek(0)
        stream.truncate()
        log.info("four")
        log.info("five")
    finally:
        structlog.configure(**before)

    told = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["event"], one.get("count")) for one in told] == [
        ("log lines were lost", 2), ("four", None), ("five", None),
    ]  # fmt: skip


def test_each_line_is_written_once_and_whole_or_counted_as_lost(log: structlog.stdlib.BoundLogger) -> None:
    """The reader of a pipe is slow; one line is longer than what the pipe holds."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    read, said = b"", 0
    before = structlog.get_config()
    with os.fdopen(writing, "w", encoding="utf-8") as stream, os.fdopen(reading, "rb", buffering=0) as pipe:
        logs.configure(stream)
        try:
            for _ in range(4):
                for event in ("short", "long" * 2500, "short", *["middling" * 50] * 20):
                    log.info(event)
                    said += 1
                read += pipe.read() or b""
            while b"last" not in read:
                log.info("last")
                said += 1
                read += pipe.read() or b""
        finally:
            structlog.configure(**before)
        stream.close()
        read += pipe.read()

    told = [orjson.loads(line) for line in read.splitlines()]
    lost = [one["count"] for one in told if "count" in one]
    assert lost
    assert len(told) - len(lost) + sum(lost) == said
    assert "long" * 2500 in {one["event"] for one in told}


def test_a_stream_that_is_closed_fails_nobody(log: structlog.stdlib.BoundLogger) -> None:
    stream = io.StringIO()
    before = structlog.get_config()
    logs.configure(stream)
    stream.close()
    try:
        log.error("said to nobody")
    finally:
        structlog.configure(**before)
