"""The faults of a register that arrives as files in a folder."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

from connectors.conformance.faults import Fault, Stage, World
from connectors.conformance.scene import HASTY, ROWS, drop, dropbox_stanza

Spoil = Callable[[Path], None]


def _dropped(spoil: Spoil, **more: object) -> Callable[[Stage], AbstractAsyncContextManager[World]]:
    """Let the folder be filled so; a good, newer drop ends it."""

    @asynccontextmanager
    async def world(stage: Stage) -> AsyncIterator[World]:
        folder = stage.folder / "drops"
        folder.mkdir()

        async def begin() -> None:
            await asyncio.to_thread(spoil, folder)

        async def end() -> None:
            folder.mkdir(exist_ok=True)
            drop(folder, "newer", age=timedelta(minutes=1))

        yield World(stanza=dropbox_stanza(folder, **more), begin=begin, end=end)

    return world


@asynccontextmanager
async def _hanging(stage: Stage) -> AsyncIterator[World]:
    """Let reading a manifest hang, as on a network share whose server is gone: a pipe to which nobody writes."""
    folder = stage.folder / "drops"
    folder.mkdir()
    pipe = folder / "a.manifest.json"

    async def begin() -> None:
        os.mkfifo(pipe)

    async def end() -> None:
        if pipe.exists():
            number = os.open(pipe, os.O_RDWR)
            pipe.unlink()
            os.close(number)
            drop(folder, "newer", age=timedelta(minutes=1))

    try:
        yield World(stanza=dropbox_stanza(folder, resilience=dict(HASTY)), begin=begin, end=end)
    finally:
        await end()


def _cut(folder: Path) -> None:
    drop(folder)
    (folder / "a.csv").write_bytes((folder / "a.csv").read_bytes()[:-9])


def _gbk(folder: Path) -> None:
    content = "\n".join(["id_number,name,status", *(",".join(row) for row in ROWS), ""])
    drop(folder, octets=content.encode("gb18030"))


def _web_page(folder: Path) -> None:
    drop(folder)
    (folder / "a.manifest.json").write_text("<!doctype html><title>login</title>", encoding="utf-8")


def _short(folder: Path) -> None:
    drop(folder)
    kept = (folder / "a.manifest.json").read_text(encoding="utf-8")
    (folder / "a.manifest.json").write_text(kept.replace('"rows": 2', '"rows": 3'), encoding="utf-8")


def _newest_bad(folder: Path) -> None:
    drop(folder, "a")
    drop(folder, "b", age=timedelta(minutes=30), sha256="0" * 64)


_TOLD: tuple[tuple[str, str, Spoil, dict[str, object]], ...] = (
    ("is down", "no folder", shutil.rmtree, {}),
    ("an empty folder", "nothing was dropped yet", lambda folder: None, {}),
    ("half a file", "the file cut short after its manifest was written", _cut, {}),
    ("GBK text", "a file in GBK whose manifest says UTF-8", _gbk, {}),
    ("an HTML login page", "a web page for a manifest", _web_page, {}),
    ("another shape", "a manifest that lacks a column", lambda folder: drop(folder, columns=["id_number", "name"]), {}),
    ("rows are missing", "fewer rows than the manifest says", _short, {}),
    ("two records", "the person's row twice", lambda folder: drop(folder, rows=(*ROWS, ROWS[0])), {}),
    ("a code nobody declared", "status 9", lambda folder: drop(folder, rows=((*ROWS[0][:2], "9"), ROWS[1])), {}),
    ("old data", "a drop two days old, of a source that promises one day",
     lambda folder: drop(folder, age=timedelta(days=2)), {"freshness": "1d"}),
    ("the newest drop is bad", "a newer drop whose hash is wrong", _newest_bad, {}),
)  # fmt: skip

FAULTS = (
    *(
        Fault(name=name, kind="dropbox", provoked=provoked, world=_dropped(spoil, **more))
        for name, provoked, spoil, more in _TOLD
    ),
    Fault(
        name="the folder hangs",
        kind="dropbox",
        provoked="a manifest that is a pipe to which nobody writes",
        world=_hanging,
    ),
)
