"""Exporting a log as a static directory: whenever it is interrupted, what is published is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import cli
from ledger import (
    ExportRefused,
    Ledger,
    LedgerDamaged,
    PublicationDamaged,
    PublicationUnavailable,
    ResourceMissing,
    verify_receipt,
)
from ledger.commands import check_published, export
from ledger.log.checkpoint import read_checkpoint
from ledger.publication.client import open_published
from ledger.publication.export import Exported
from ledger.publication.paths import implied
from tests.ledger.house import ORIGIN, House, build
from tests.ledger.publication.logs import forged, grow


class Stopped(Exception):
    """The export was interrupted here."""


def run(house: House, directory: Path, stop_at: int | None = None) -> Exported:
    def progress(done: int, _total: int) -> None:
        if stop_at is not None and done >= stop_at:
            raise Stopped

    return export(house.url, directory, verifiers=[house.signer.verifier], origin=ORIGIN, progress=progress)


def require_sound(house: House, directory: Path, size: int) -> None:
    report = check_published(str(directory), verifiers=[house.signer.verifier], origin=ORIGIN)
    assert report.damages == ()
    assert report.seen.size == size


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_an_export_is_exactly_what_the_checkpoint_implies(house: House, opened: Ledger, tmp_path: Path) -> None:
    grow(opened, 600)
    done = run(house, tmp_path / "out")
    assert (done.old_size, done.size, done.kept, done.removed) == (None, 600, 0, 0)
    held = files(tmp_path / "out")
    assert held.pop("checkpoint") == opened.checkpoint()
    assert set(held) == {str(path) for path in implied(600)}
    assert all(body == opened.publication().get(path).body for path, body in held.items())
    require_sound(house, tmp_path / "out", 600)


def test_an_outsider_makes_a_receipt_from_the_files_alone(house: House, opened: Ledger, tmp_path: Path) -> None:
    grow(opened, 300)
    run(house, tmp_path / "out")
    with open_published(str(tmp_path / "out"), [house.signer.verifier], ORIGIN) as log:
        receipt = log.receipt(log.checkpoint(), 257)
    assert receipt == opened.receipt(257)
    assert verify_receipt(receipt, [house.signer.verifier], ORIGIN).index == 257


def test_a_second_export_writes_only_what_is_new_and_removes_what_is_superseded(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    grow(sqlite_ledger, 300)
    run(sqlite_house, out)
    full = out / "tile/0/000"
    before = full.stat().st_mtime_ns, full.stat().st_ino
    grow(sqlite_ledger, 300)
    done = run(sqlite_house, out)
    assert (full.stat().st_mtime_ns, full.stat().st_ino) == before
    assert (done.old_size, done.kept, done.removed) == (300, 2, 2)
    assert not (out / "tile/0/001.p").exists()
    assert (out / "tile/1/000.p/1").exists(), "a partial tile stays while its full one is not there"
    require_sound(sqlite_house, out, 600)
    again = run(sqlite_house, out)
    assert (again.written, again.removed) == (0, 0)


def test_an_empty_log_is_exported_too(sqlite_house: House, tmp_path: Path) -> None:
    run(sqlite_house, tmp_path / "out")
    assert set(files(tmp_path / "out")) == {"checkpoint"}
    require_sound(sqlite_house, tmp_path / "out", 0)


@pytest.mark.parametrize("stop_at", [256, 512, 768, 900])
def test_an_interrupted_export_leaves_the_old_checkpoint_valid_and_goes_on_later(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path, stop_at: int
) -> None:
    out = tmp_path / "out"
    grow(sqlite_ledger, 300)
    run(sqlite_house, out)
    grow(sqlite_ledger, 600)
    with pytest.raises(Stopped):
        run(sqlite_house, out, stop_at=stop_at)
    require_sound(sqlite_house, out, 300)
    run(sqlite_house, out)
    require_sound(sqlite_house, out, 900)


def test_an_interrupted_first_export_has_no_checkpoint_and_goes_on_later(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    grow(sqlite_ledger, 600)
    with pytest.raises(Stopped):
        run(sqlite_house, tmp_path / "out", stop_at=512)
    with pytest.raises(ResourceMissing):
        require_sound(sqlite_house, tmp_path / "out", 600)
    assert run(sqlite_house, tmp_path / "out").kept == 4
    require_sound(sqlite_house, tmp_path / "out", 600)


KILLED = """
import os, signal, sys
from pathlib import Path
from ledger import parse_vkey
from ledger.commands import export
url, directory, vkey, stop = sys.argv[1:]
verifier = parse_vkey(vkey)
def progress(done, total):
    if done >= int(stop):
        os.kill(os.getpid(), signal.SIGKILL)
export(url, Path(directory), verifiers=[verifier], origin=verifier.name, progress=progress)
"""


def test_a_killed_export_leaves_the_old_checkpoint_valid(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    grow(sqlite_ledger, 100)
    run(sqlite_house, out)
    grow(sqlite_ledger, 700)
    arguments = [sqlite_house.url, str(out), sqlite_house.signer.verifier.vkey, "512"]
    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert ended.returncode == -signal.SIGKILL
    require_sound(sqlite_house, out, 100)
    run(sqlite_house, out)
    require_sound(sqlite_house, out, 800)


def test_half_written_files_of_a_crash_are_neither_published_nor_in_the_way(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    grow(sqlite_ledger, 300)
    (out / "tile/0").mkdir(parents=True)
    (out / "tile/0/.000.tmp").write_bytes(b"half")
    (out / ".checkpoint.tmp").write_bytes(b"half")
    run(sqlite_house, out)
    assert not [path for path in files(out) if path.endswith(".tmp")]
    require_sound(sqlite_house, out, 300)


def refused(house: House, out: Path, match: str) -> None:
    """Require that an export is refused and the directory stays as it was, byte for byte."""
    before = files(out)
    with pytest.raises(ExportRefused, match=match):
        run(house, out)
    assert files(out) == before


def test_a_directory_of_another_log_is_refused(sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = build(f"sqlite:///{tmp_path}/other/ledger.db", tmp_path / "other")
    with other.open() as ledger:
        grow(ledger, 10)
    run(other, tmp_path / "out")
    grow(sqlite_ledger, 20)
    refused(sqlite_house, tmp_path / "out", "not one of this log")


def test_a_directory_ahead_of_this_log_is_refused_as_after_a_restored_backup(
    sqlite_house: House, tmp_path: Path
) -> None:
    with sqlite_house.open() as ledger:
        grow(ledger, 100)
    backup = (tmp_path / "ledger.db").read_bytes()
    with sqlite_house.open() as ledger:
        grow(ledger, 100)
    run(sqlite_house, tmp_path / "out")
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "ledger.db").write_bytes(backup)
    refused(sqlite_house, tmp_path / "out", "not a prefix")
    with sqlite_house.open() as ledger:  # and past the exported size, with another history
        grow(ledger, 200)
    refused(sqlite_house, tmp_path / "out", "not a prefix")


def test_a_directory_that_holds_other_things_is_refused(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    grow(sqlite_ledger, 10)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.odt").write_bytes(b"x")
    refused(sqlite_house, tmp_path / "out", "other things")


@pytest.mark.parametrize("path", ["tile/0/000", "tile/entries/000"])
def test_a_published_tile_of_another_length_is_refused(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path, path: str
) -> None:
    grow(sqlite_ledger, 300)
    run(sqlite_house, tmp_path / "out")
    with (tmp_path / "out" / path).open("ab") as file:
        file.write(b"x")
    refused(sqlite_house, tmp_path / "out", path)


def test_a_leftover_tile_with_other_bytes_is_refused(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    grow(sqlite_ledger, 300)
    (tmp_path / "out/tile/0").mkdir(parents=True)
    (tmp_path / "out/tile/0/000").write_bytes(bytes(8192))
    refused(sqlite_house, tmp_path / "out", "tile/0/000")


def test_a_published_tile_with_other_bytes_of_equal_length_is_found_by_the_check(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    grow(sqlite_ledger, 600)
    run(sqlite_house, out)
    body = (out / "tile/0/001").read_bytes()
    (out / "tile/0/001").write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    report = check_published(str(out), verifiers=[sqlite_house.signer.verifier], origin=ORIGIN)
    assert [damage.index for damage in report.damages] == [256]
    (out / "tile/1/000.p/2").write_bytes(bytes(64))
    with pytest.raises(PublicationDamaged):
        check_published(str(out), verifiers=[sqlite_house.signer.verifier], origin=ORIGIN)


def test_two_exports_do_not_write_one_directory(sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path) -> None:
    grow(sqlite_ledger, 300)

    def meanwhile(_done: int, _total: int) -> None:
        with pytest.raises(ExportRefused, match="another export"):
            run(sqlite_house, tmp_path / "out")

    export(
        sqlite_house.url,
        tmp_path / "out",
        verifiers=[sqlite_house.signer.verifier],
        origin=ORIGIN,
        progress=meanwhile,
    )
    require_sound(sqlite_house, tmp_path / "out", 300)


def test_a_damaged_store_is_not_exported(sqlite_house: House, tmp_path: Path) -> None:
    with sqlite_house.open() as ledger:
        grow(ledger, 300)
    run(sqlite_house, tmp_path / "out")
    with sqlite_house.open() as ledger:
        grow(ledger, 300)
    with forged(sqlite_house) as database:
        (leaf,) = database.execute("SELECT leaf FROM entry WHERE idx = 400").fetchone()
        database.execute("UPDATE entry SET leaf = ? WHERE idx = 400", [leaf.replace(b'"v":1', b'"v":2')])
    with pytest.raises(LedgerDamaged, match="entry 400"):
        run(sqlite_house, tmp_path / "out")
    require_sound(sqlite_house, tmp_path / "out", 300)


@pytest.mark.parametrize("place", ["out", "out/tile"])
def test_a_directory_that_cannot_be_written_is_told(
    sqlite_house: House, sqlite_ledger: Ledger, tmp_path: Path, place: str
) -> None:
    grow(sqlite_ledger, 3)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"a file is in the way")
    with pytest.raises(PublicationUnavailable):
        run(sqlite_house, tmp_path / "out")
    assert (tmp_path / place).read_bytes() == b"a file is in the way"


def test_files_can_be_read_by_a_web_server_of_another_user(sqlite_house: House, tmp_path: Path) -> None:
    with sqlite_house.open() as ledger:
        grow(ledger, 3)
    old = os.umask(0o022)
    try:
        run(sqlite_house, tmp_path / "out")
    finally:
        os.umask(old)
    for path in (tmp_path / "out").rglob("*"):
        assert path.stat().st_mode & 0o444 == 0o444
    assert read_checkpoint((tmp_path / "out" / "checkpoint").read_bytes()).size == 3


def test_the_commands_export_and_check_tell_what_they_did(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from gateway.bootstrap.ledger import open_ledger
    from gateway.config import load_settings
    from gateway.founding import found

    sources = (
        '[sources.a]\nkind = "dropbox"\ndepartment = "示例"\nfolder = "/nowhere"\n[sources.a.facts.x]\nkey = "a"\n'
    )
    house = found(tmp_path / "var", now=datetime.now(UTC), sources=sources, listen="127.0.0.1:0")
    with open_ledger(load_settings(house.config).ledger) as ledger:
        grow(ledger, 300)
    out = tmp_path / "out"
    runner = CliRunner()
    done = runner.invoke(cli, ["ledger", "export", str(out), "--config", str(house.config), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"old_size": None, "size": 300, "written": 5, "kept": 0, "removed": 0}
    check = ["ledger", "check-published", str(out), "--key", str(house.vkey)]
    checked = runner.invoke(cli, check)
    assert "300 entries is sound" in checked.stdout
    (out / "tile/entries/000").write_bytes(b"")
    broken = runner.invoke(cli, [*check, "--json"])
    assert broken.exit_code == 1
    told = json.loads(broken.stdout)
    assert (told["ok"], told["size"], told["damages"][0]["index"]) == (False, 300, 0)
