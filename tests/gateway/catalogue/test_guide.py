"""The public guide: whole, in Chinese, accessible, self-contained; and JSON by its published schema."""

from __future__ import annotations

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue.guide import FolderTaken, export_guide
from gateway.catalogue.guide_json import guide_body
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from tests.gateway.catalogue.lists import NATION, load_texts

CATALOGUE = load_catalogue(shipped_catalogue_files())
VOID = {"meta", "link", "br", "img", "input"}


class Page(HTMLParser):
    """Reads a page strictly: what is opened is closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "guide"
    export_guide(CATALOGUE, folder)
    return folder


def pages(folder: Path) -> list[Path]:
    return [folder / "index.html", *sorted((folder / "items").iterdir())]


def test_there_is_an_index_and_a_page_an_item(guide: Path) -> None:
    assert {file.stem for file in (guide / "items").iterdir()} == set(CATALOGUE.items)
    links = {str(link["href"]) for link in Page((guide / "index.html").read_text("utf-8")).all("a")}
    assert {f"items/{code}.html" for code in CATALOGUE.items} <= links


def test_every_page_is_well_formed_accessible_and_self_contained(guide: Path) -> None:
    for file in pages(guide):
        page = Page(file.read_text("utf-8"))
        assert page.all("html")[0]["lang"] == "zh-CN"
        assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
        assert len(page.all("table")) == len(page.all("caption"))
        assert all(head.get("scope") in ("row", "col") for head in page.all("th"))
        assert page.all("a")[0] == {"class": "skip", "href": "#main"}
        assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe", "form"})
        assert all("src" not in attributes for _, attributes in page.tags)
        for link in page.all("a"):
            target = str(link["href"])
            assert target.startswith("#") or (file.parent / target).resolve().is_file()
        assert CATALOGUE.version in page.text


def test_headings_skip_no_level(guide: Path) -> None:
    for file in pages(guide):
        levels = [int(tag[1]) for tag, _ in Page(file.read_text("utf-8")).tags if tag in ("h1", "h2", "h3")]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_a_retained_item_states_what_the_founding_document_demands(guide: Path) -> None:
    text = Page((guide / "items" / "communal-consent.html").read_text("utf-8")).text

    for head in ("设定依据", "样式", "程序", "出具时限", "办理用途", "流程", "议事协商", "索要单位", "开具单位"):
        assert head in text


def test_what_is_to_be_confirmed_is_marked_for_the_reader(guide: Path) -> None:
    assert "来源待核实" in Page((guide / "items" / "disability.html").read_text("utf-8")).text
    assert "来源待核实" not in Page((guide / "items" / "identity.html").read_text("utf-8")).text


def test_texts_of_the_lists_cannot_become_markup(tmp_path: Path) -> None:
    hostile = NATION.replace("guide: 说明\n    parameters", "guide: '<script>alert(1)</script>&\"'\n    parameters")
    export_guide(load_texts(tmp_path, hostile), tmp_path / "guide")

    page = (tmp_path / "guide" / "items" / "premises.html").read_text("utf-8")

    assert "<script" not in page
    assert '<script>alert(1)</script>&"' in Page(page).text


def test_the_json_says_what_the_catalogue_says(guide: Path) -> None:
    told = json.loads((guide / "catalogue.json").read_text("utf-8"))

    assert told == guide_body(CATALOGUE)
    assert told["catalogue_version"] == CATALOGUE.version
    assert [item["code"] for item in told["items"]] == list(CATALOGUE.items)


def matches(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Check a value against the part of JSON Schema that our schema uses; every keyword must be one of these."""
    if "$ref" in schema:
        return matches(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None)}
    known = {
        "type", "properties", "required", "additionalProperties", "propertyNames", "items", "minItems", "maxItems",
        "enum", "const", "anyOf", "pattern", "minimum", "maximum", "description", "format", "title", "$schema", "$id",
        "$defs",
    }  # fmt: skip
    assert set(schema) <= known
    checks = [
        "type" not in schema
        or (isinstance(value, kinds[schema["type"]]) and (schema["type"] != "integer" or not isinstance(value, bool))),
        "const" not in schema or value == schema["const"],
        "enum" not in schema or value in schema["enum"],
        "anyOf" not in schema or any(matches(value, one, root) for one in schema["anyOf"]),
        "pattern" not in schema or bool(re.search(schema["pattern"], value)),
        "minimum" not in schema or value >= schema["minimum"],
        "maximum" not in schema or value <= schema["maximum"],
    ]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        checks += [set(schema.get("required", ())) <= set(value)]
        checks += [matches(key, schema["propertyNames"], root) for key in value if "propertyNames" in schema]
        for key, inner in value.items():
            if key in properties:
                checks.append(matches(inner, properties[key], root))
            else:
                checks.append(others if isinstance(others, bool) else matches(inner, others, root))
    if isinstance(value, list):
        checks.append(schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)))
        checks += [matches(inner, schema["items"], root) for inner in value if "items" in schema]
    return all(checks)


def test_the_json_keeps_its_published_schema(guide: Path) -> None:
    schema = json.loads((guide / "guide.schema.json").read_text("utf-8"))
    told = json.loads((guide / "catalogue.json").read_text("utf-8"))

    assert matches(told, schema, schema)
    for damage in ({"type": "x"}, {"catalogue_version": "x"}, {"more": 1}, {"items": [{}]}, {"fallback": []}):
        assert not matches({**told, **damage}, schema, schema)


def test_a_validator_of_the_world_agrees(guide: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((guide / "guide.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads((guide / "catalogue.json").read_text("utf-8")))


def test_an_earlier_guide_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "guide"
    export_guide(CATALOGUE, folder)
    (folder / "items" / "gone.html").write_text("old")

    written = export_guide(load_texts(tmp_path, NATION), folder)

    assert not (folder / "items" / "gone.html").exists()
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()) == written
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["letter.txt", "catalogue.json"])
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / name).write_text("[]")

    with pytest.raises(FolderTaken):
        export_guide(CATALOGUE, folder)

    assert [file.name for file in folder.iterdir()] == [name]


def test_progress_is_told_for_every_page(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    export_guide(CATALOGUE, tmp_path / "guide", progress=lambda done, total: told.append((done, total)))

    assert told == [(number, len(CATALOGUE.items)) for number in range(1, len(CATALOGUE.items) + 1)]
