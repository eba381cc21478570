"""Paths of tiles and bundles: one spelling each, and a total parser."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import PathMalformed
from ledger.publication.paths import TilePath, available, encode_index, implied, parse_path, right_edge

PATHS = st.builds(
    TilePath,
    level=st.none() | st.integers(0, 63),
    n=st.integers(0, 2**63 - 1),
    width=st.integers(1, 256),
)


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "000"), (67, "067"), (999, "999"), (1000, "x001/000"), (1234067, "x001/x234/067"), (10**6, "x001/x000/000")],
)
def test_numbers_are_written_in_groups_of_three(n: int, text: str) -> None:
    assert encode_index(n) == text


@given(PATHS)
def test_every_path_is_read_as_it_was_written(path: TilePath) -> None:
    assert parse_path(str(path)) == path


@given(st.text(alphabet="tile/0123456789x.pn-+ \n%rs٣", max_size=40) | st.text(max_size=60))
def test_whatever_is_read_is_refused_or_in_its_one_spelling(text: str) -> None:
    for path in (text, f"tile/{text}", f"tile/0/{text}", f"tile/entries/{text}"):
        try:
            read = parse_path(path)
        except PathMalformed:
            continue
        assert str(read) == path


@given(PATHS, st.data())
def test_a_changed_character_never_gives_the_same_path(path: TilePath, data: st.DataObject) -> None:
    text = str(path)
    at = data.draw(st.integers(0, len(text) - 1))
    other = text[:at] + data.draw(st.characters().filter(lambda c: c != text[at])) + text[at + 1 :]
    with suppress(PathMalformed):
        assert parse_path(other) != path


def test_the_example_of_the_specification() -> None:
    paths = [str(path) for path in implied(70_000)]
    tiles = [path for path in paths if not path.startswith("tile/entries/")]
    assert len([path for path in tiles if path.startswith("tile/0/") and ".p/" not in path]) == 273
    assert {path for path in tiles if not path.startswith("tile/0/")} == {
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    }
    assert "tile/0/273.p/112" in tiles
    assert len(paths) - len(tiles) == 274


@pytest.mark.parametrize(
    ("size", "edge"),
    [
        (0, []),
        (1, ["tile/0/000.p/1"]),
        (255, ["tile/0/000.p/255"]),
        (256, ["tile/1/000.p/1"]),
        (257, ["tile/0/001.p/1", "tile/1/000.p/1"]),
        (65_536, ["tile/2/000.p/1"]),
    ],
)
def test_the_right_edge_has_no_empty_tile(size: int, edge: list[str]) -> None:
    assert [str(path) for path in right_edge(size)] == edge


@given(st.integers(0, 2**40), st.integers(0, 6), st.integers(0, 2**34))
def test_what_is_available_never_exceeds_the_log(size: int, level: int, n: int) -> None:
    width = available(level, n, size)
    assert 0 <= width <= 256
    assert width == 0 or (n * 256 + width) << (8 * level) <= size
    assert width == 256 or (n * 256 + width + 1) << (8 * level) > size
