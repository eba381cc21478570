"""Reads the chain of lists (nation, province, city) into one catalogue, or reports every mistake at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.catalogue.list_file import in_chain, read_list_file
from gateway.catalogue.merging import Merging
from gateway.catalogue.mistakes import Mistakes, Place
from gateway.catalogue.model import Catalogue
from gateway.catalogue.nodes import read_nodes

_DATA = Path(__file__).parent / "data"


def shipped_catalogue_files() -> list[Path]:
    """Return the files that are shipped: the national list, Heilongjiang's, and an example city's."""
    return [_DATA / name for name in ("nation.yaml", "heilongjiang.yaml", "harbin.yaml")]


def load_catalogue(paths: Sequence[Path]) -> Catalogue:
    """Read the files (one chain, in any order) and return the catalogue in force.

    Where a file is no YAML at all, what depends on it is not judged: only the files' own mistakes are told.

    Raises:
        CatalogueError: anything is wrong with any file; every mistake is listed with file and line.
    """
    mistakes = Mistakes()
    nodes = [read_nodes(path, mistakes) for path in paths]
    if not paths:
        mistakes.add(Place(file="(none)", line=0), "no catalogue file is configured")
    if None in nodes:
        mistakes.raise_any()
    files = in_chain([read_list_file(node, mistakes) for node in nodes if node is not None], mistakes)
    merging = Merging(mistakes=mistakes)
    for file in files:
        merging.take(file)
    merging.finish()
    mistakes.raise_any()
    return merging.catalogue([file.head for file in files])
