"""Writes the public guide into a folder: an index, a page an item, `catalogue.json` and its schema."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from gateway.catalogue.guide_json import SCHEMA_FILE, TYPE, guide_body
from gateway.catalogue.guide_pages import index_page, item_page
from gateway.catalogue.model import Catalogue

Progress = Callable[[int, int], None]


class FolderTaken(Exception):
    """The folder holds something that is no guide of ours; nothing was written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: holds something else than an exported guide; nothing was written")


def export_guide(catalogue: Catalogue, folder: Path, *, progress: Progress = lambda _done, _total: None) -> list[str]:
    """Write the guide and return the names of its files; an earlier guide there is replaced as a whole.

    Raises:
        FolderTaken: the folder holds something else.
        OSError: it cannot be written; what was there stays.
    """
    if folder.exists() and not _is_replaceable(folder):
        raise FolderTaken(folder)
    files = _files(catalogue, progress)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        made.chmod(0o755)
        (made / "items").mkdir()
        for name, text in files.items():
            (made / name).write_text(text, "utf-8")
        _put_in_place(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return sorted(files)


def _files(catalogue: Catalogue, progress: Progress) -> dict[str, str]:
    body = guide_body(catalogue)
    files = {
        "index.html": index_page(catalogue),
        "catalogue.json": json.dumps(body, ensure_ascii=False, indent=1) + "\n",
        "guide.schema.json": SCHEMA_FILE.read_text("utf-8"),
    }
    for done, item in enumerate(catalogue.items.values(), 1):
        files[f"items/{item.code}.html"] = item_page(catalogue, item)
        progress(done, len(catalogue.items))
    return files


def _is_replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        told = json.loads((folder / "catalogue.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("type") == TYPE


def _put_in_place(made: Path, folder: Path) -> None:
    """Exchange the folders by renaming, so that a reader finds the old guide or the new one, whole."""
    if not folder.exists():
        made.rename(folder)
        return
    old = folder.rename(made.with_name(f"{made.name}.old"))
    try:
        made.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old)
