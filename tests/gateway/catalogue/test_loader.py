"""Every mistake in the lists is told at once, with file and line; a list without mistakes has one version."""

# ruff: noqa: E501  YAML as it is written

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.mistakes import CatalogueError
from ledger.canonical import parse_canonical
from tests.gateway.catalogue.lists import NATION, PROVINCE, load_texts, mistakes_of, replaced

MISTAKES = [
    ("level: nation", "level: village", "file: 'level' must be one of nation, province, city, not 'village'"),
    ('code: "000000"', "code: all", "file 国家清单: 'code' is a six-digit division"),
    ('version: "1"\ntitle', "title", "file: 'version' is missing"),
    ("region: {", "region: {owner: x, ", "region: unknown key 'owner'"),
    ("code: home\n    title", "code: Home\n    title", "'code' must be small letters, digits and hyphens, not 'Home'"),
    ("address: string, use", "address: text, use", "'address' has an unknown type"),
    ("address: string, use", "Address: string, use", "'Address' is not a name"),
    ('"enum[LIVE,WORK]"}\n    labels', '"enum[LIVE,LIVE]"}\n    labels', "distinct and in capitals"),
    ("labels: {use: 用途, LIVE", "labels: {usage: 用途, LIVE", "'usage' is neither"),
    ("absence: inconclusive\n    sharing", "absence: perhaps\n    sharing", "'absence' must be one of"),
    ("{policy: quorum, k: 2}", "{policy: quorum}", "a quorum needs 'k'"),
    ("{policy: quorum, k: 2}", "{policy: first, k: 2}", "'k' belongs to quorum and all-agree"),
    ("{policy: quorum, k: 2}", "{policy: quorum, k: 0}", "'k' must be a whole number from 1 to 16"),
    ("{policy: quorum, k: 2}", "{policy: quorum, k: 0x2}", "'k' must be a whole number"),
    ("number: 1\n", "number: one\n", "'number' must be a whole number"),
    ("number: 2\n", "number: 1\n", "'number' 1 is taken by another item"),
    ("    title: 住所证明\n", "", "'title' is missing"),
    ("state: TRANSITIONAL", "state: FREE", "'state' must be one of"),
    ("    transition: {scope", "    transitions: {scope", "a TRANSITIONAL item states 'transition'"),
    ("review_by: 2027-01-01", "review_by: soon", "'review_by' must be a day"),
    ("flow: 流, ", "", "'flow' is missing"),
    (", deliberation: 议", "", "'deliberation' is missing"),
    ("  - code: kept\n", "  - code: premises\n", "item 'premises' is there twice"),
    (
        "demanded_by: 甲\n    issued_by: 乙\n    checked_by: 丙\n    guide: 说明\n    ladder",
        "demanded_by: [甲]\n    issued_by: 乙\n    checked_by: 丙\n    guide: 说明\n    ladder",
        "'demanded_by' must be a text",
    ),
    (
        "certainty: L}\n    demanded_by: 甲\n    issued_by: 乙\n    checked_by: 丙\n    guide: 说明\n    parameters",
        "certainty: X}\n    demanded_by: 甲\n    issued_by: 乙\n    checked_by: 丙\n    guide: 说明\n    parameters",
        "'certainty' must be one of L, S, M, I",
    ),
    ("address: {type: string, label", "applicant: {type: string, label", "the name is taken"),
    (
        "labels: {LIVE: 居住, WORK: 经营}}\n    expression",
        "labels: {LIVE: 居住}}\n    expression",
        "'labels' gives the Chinese for each word",
    ),
    ("expression: {fact: home, expect", "expression: {fact: house, expect", "no fact type 'house' is declared"),
    ("expression: {fact: home, expect", "expression: {fact: home, any: [], expect", "exactly one of fact, any, all"),
    ("address: {type: string,", "address: {type: name,", "'address' has an unknown type"),
    ("attributes: {address: string,", "attributes: {address: person,", "'address' has an unknown type"),
    ("address: $address,", "address: $place,", "no parameter '$place' is declared"),
    ("address: $address,", "street: $address,", "the fact type declares no 'street'"),
    ("use: $use}", "use: $address}", "'use' is enum[LIVE,WORK], but $address is string"),
    ("use: $use}", "use: SLEEP}", "'use' must be enum[LIVE,WORK]"),
    ("given: {owner: $owner}}", "given: {owner: $owner.name}}", "'owner' is person, but $owner.name is name"),
    ("given: {owner: $owner}}", "given: {owner: $owner.phone}}", "only a person has parts"),
    ("given: {owner: $owner}}", "given: {}}", "parameter 'owner' is asked of the applicant but never used"),
    (
        "expression: {fact: home, ",
        "expression: {fact: home, subject: $owner, ",
        "'subject' is 'applicant' or a required parameter",
    ),
    ("expression: {fact: home, ", "expression: {fact: home, from_age: 200, ", "'from_age' must be a whole number"),
    (
        "expression: {fact: home, ",
        "expression: {fact: home, from_age: 20, on: 2020-01-01, ",
        "'on' and 'from_age' both say",
    ),
    (
        "expression: {fact: home, expect: {address: $address, use: $use}, given: {owner: $owner}}",
        "expression: {any: [{fact: illness}, {fact: home, expect: {address: $address, use: $use}, given: {owner: $owner}}]}",
        "'ordered: true', and the sensitive ones last",
    ),
    (
        "expression: {fact: home, expect: {address: $address, use: $use}, given: {owner: $owner}}",
        "expression: {all: [{fact: home, expect: {address: $address, use: $use}, given: {owner: $owner}}, {fact: illness}], ordered: true}",
        "must be SENSITIVE, because it asks illness",
    ),
    ("[ASSISTANCE, OWN_OR_COMMISSIONED_CHECK, COMMITMENT]", "[COMMITMENT, ASSISTANCE]", "'ladder' keeps the order"),
    ("[ASSISTANCE, OWN_OR_COMMISSIONED_CHECK, COMMITMENT]", "[ASSISTANCE]", "'ladder' ends in COMMITMENT exactly when"),
    ("template: general, ", "", "'commitment' needs a 'template'"),
    ("timing: AFTER", "timing: LATER", "'timing' must be one of"),
    ("due_source: 某规定, ", "", "'due_source' is missing"),
    ("LOW: 5", "LOW: 101", "'sampling' gives LOW, MEDIUM and HIGH"),
    ("disclosure: PER_FACT\n", "disclosure: ALL\n", "'disclosure' must be one of"),
    ("code: 230000-MSA-001", "code: MSA-1", "'code' is a division, a department and a number"),
    ("uscc: 11230000000000101E", "uscc: 11230000000000101X", "'uscc' is no unified social credit code"),
    ("purposes: [办理行政许可, 核查]", "purposes: []", "'purposes' may not be empty"),
    ("patience_seconds: 3600", "patience_seconds: -1", "'patience_seconds' must be a whole number"),
    ("retry_after_seconds: 60", "credit_silent: ELIGIBLE", "'credit_silent' must be one of"),
    ("retry_after_seconds: 60", "decision_working_days: 0", "'decision_working_days' must be a whole number from 1"),
    ("retry_after_seconds: 60", "closing_date: 2027-02-30", "'closing_date' must be a day"),
    (
        "{item: premises, ladder",
        "{item: kept}\n      - {item: premises, ladder",
        "issued by a committee and not verified here",
    ),
    ("{item: premises, ladder", "{item: nothing}\n      - {item: premises, ladder", "no item 'nothing' is declared"),
    ("confirm_by_clerk: true}", "confirm_by_clerk: yes}", "'confirm_by_clerk' must be true or false"),
    ("confirm_by_clerk: true}", "excluded_from_commitment: true}", "'excluded_from_commitment' forbids it"),
    ("disclosure: AGGREGATE, ", "disclosures: AGGREGATE, ", "unknown key 'disclosures'"),
    ("guide: 说明\n    ladder", "guide: &a 说明\n    x: *a\n    ladder", "YAML aliases are not allowed"),
    ("guide: 说明\n    ladder", "guide: 说明\n    guide: 再说\n    ladder", "key 'guide' is there twice"),
    ("guide: 说明\n    ladder", 'guide: "\\ud800"\n    ladder', "half a surrogate pair"),
    ("guide: 说明\n    ladder", "guide: 说明\n    指南: x\n    ladder", "a key must be a word in ASCII"),
]


@pytest.mark.parametrize(("old", "new", "told"), MISTAKES, ids=[told[:40] for _, _, told in MISTAKES])
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    changed = replaced(NATION, (old, new))

    found = [one for one in mistakes_of(tmp_path, changed) if told in one]

    assert found, mistakes_of(tmp_path, changed)
    for one in found:
        file, line, _ = one.split(":", 2)
        assert file == "nation.yaml"
        assert 0 <= int(line) <= changed.count("\n") + 1


def test_all_mistakes_of_all_files_are_told_at_once_in_order(tmp_path: Path) -> None:
    nation = replaced(
        NATION, ("number: 1\n", "number: one\n"), ("LOW: 5", "LOW: 500"), ("code: 230000-MSA-001", "code: x")
    )
    province = PROVINCE.replace("adopts: all", "adopts: [premises, kept, more]") + "colour: red\n"

    found = mistakes_of(tmp_path, nation, province)

    assert found == [
        "nation.yaml:23: item 'premises' 住所证明: 'number' must be a whole number from 0 to 9999",
        "nation.yaml:39: item 'premises' 住所证明: audit: 'sampling' gives LOW, MEDIUM and HIGH a whole percentage",
        "nation.yaml:56: matter 'x' 登记: 'code' is a division, a department and a number, like 230000-CIV-001",
        "province.yaml:6: file: 'adopts' names 'more', which the list above does not have",
        "province.yaml:7: file 省清单: unknown key 'colour'",
    ]


def test_a_mistake_stands_on_the_line_where_it_is(tmp_path: Path) -> None:
    lines = NATION.splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "due_working_days: 60" in line)

    (found,) = mistakes_of(tmp_path, NATION.replace("due_working_days: 60", "due_working_days: 0"))

    assert found.startswith(f"nation.yaml:{number}: item 'premises' 住所证明: audit: 'due_working_days'")


def test_a_file_that_is_no_yaml_hides_no_mistake_behind_false_ones(tmp_path: Path) -> None:
    assert mistakes_of(tmp_path, "level: [nation", PROVINCE) == [
        "nation.yaml:1: is not YAML: expected ',' or ']', but got '<stream end>'"
    ]


def test_a_missing_file_a_foreign_charset_and_an_empty_file_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "gbk.yaml").write_bytes("title: 清单".encode("gbk"))
    with pytest.raises(CatalogueError) as refused:
        load_catalogue([tmp_path / "none.yaml", tmp_path / "empty.yaml", tmp_path / "gbk.yaml"])

    assert [str(one) for one in refused.value.mistakes] == [
        "empty.yaml:0: must be a mapping",
        "gbk.yaml:0: is not UTF-8",
        "none.yaml:0: cannot be read: No such file or directory",
    ]


def test_a_list_nested_without_end_is_refused(tmp_path: Path) -> None:
    assert mistakes_of(tmp_path, "level: " + "[" * 100_000) == ["nation.yaml:0: is nested too deeply"]


def test_no_file_at_all_is_refused() -> None:
    with pytest.raises(CatalogueError, match="no catalogue file is configured"):
        load_catalogue([])


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ((PROVINCE,), "the chain must begin with a national list"),
        ((NATION, PROVINCE.replace('parent: "000000"', 'parent: "110000"')), "'parent' must be 000000"),
        ((NATION, PROVINCE, PROVINCE), "a second list of level province"),
        ((NATION, PROVINCE.replace("adopts: all\n", "")), "'adopts' is missing"),
        ((NATION.replace("title: 国家清单", 'title: 国家清单\nparent: "000000"'),), "a national list has no 'parent'"),
    ],
)
def test_files_that_are_no_chain_are_refused(tmp_path: Path, texts: tuple[str, ...], told: str) -> None:
    assert any(told in one for one in mistakes_of(tmp_path, *texts))


def test_the_order_of_the_files_does_not_matter(tmp_path: Path) -> None:
    there = load_texts(tmp_path, NATION, PROVINCE)

    assert load_catalogue([tmp_path / "province.yaml", tmp_path / "nation.yaml"]) == there


def test_the_version_is_the_digest_of_the_canonical_lists() -> None:
    catalogue = load_catalogue(shipped_catalogue_files())

    assert hashlib.sha256(catalogue.canonical).hexdigest() == catalogue.version
    assert isinstance(parse_canonical(catalogue.canonical), dict)


def test_comments_and_layout_do_not_change_the_version_and_any_word_does(tmp_path: Path) -> None:
    version = load_texts(tmp_path, NATION).version

    assert load_texts(tmp_path, "# 说明\n" + NATION.replace("guide: 说明", 'guide: "说明"')).version == version
    assert (
        load_texts(tmp_path, NATION.replace("guide: 说明\n    ladder", "guide: 说明。\n    ladder")).version != version
    )


def test_a_list_below_takes_a_key_away_with_null(tmp_path: Path) -> None:
    below = PROVINCE + "fact_types:\n  - {code: home, sources: {policy: all-agree, k: 2}}\n"
    assert load_texts(tmp_path, NATION, below).fact_types["home"].sources.k == 2
    gone = below.replace("{policy: all-agree, k: 2}", "{policy: all-agree, k: null}")

    assert any("'sources: k' is looser" in one for one in mistakes_of(tmp_path, NATION, gone))


def test_the_region_below_keeps_what_it_does_not_say(tmp_path: Path) -> None:
    region = load_texts(tmp_path, NATION, PROVINCE + "region: {name: 某省}\n").region

    assert (region.name, region.credit_platform) == ("某省", "平台")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_list_is_refused_with_places_and_never_breaks_the_loader(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Lines lost, doubled, moved or overwritten: either it loads, or every mistake has a file and a line."""
    lines = NATION.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    noise = data.draw(
        st.sampled_from(["", "  ", "- x", "code: 1", "    {}", "  - [", "null", "    expression: {not: 3}", "\t"])
    )
    match data.draw(st.sampled_from(["lose", "double", "overwrite", "insert"])):
        case "lose":
            del lines[at]
        case "double":
            lines.insert(at, lines[at])
        case "overwrite":
            lines[at] = noise
        case _:
            lines.insert(at, noise)

    found = mistakes_of(tmp_path_factory.mktemp("lists"), "\n".join(lines))

    assert all(one.startswith("nation.yaml:") for one in found)


@pytest.mark.parametrize(
    ("declared", "said", "told"),
    [
        ("name", "$address", []),
        ("id_number", "$address", []),
        ("name", "$owner.name", []),
        ("id_number", "$owner.id_number", []),
        ("string", "$owner.id_number", []),
        ("id_number", "$owner.name", ["'address' is id_number, but $owner.name is name"]),
        ("name", "$owner.id_number", ["'address' is name, but $owner.id_number is id_number"]),
        ("name", "$use", ["'address' is name, but $use is enum[LIVE,WORK]"]),
        ("name", "$owner", ["'address' is name, but $owner is person"]),
    ],
)
def test_a_name_is_no_number_and_a_text_may_be_either(
    tmp_path: Path, declared: str, said: str, told: list[str]
) -> None:
    changed = replaced(NATION, ("attributes: {address: string,", f"attributes: {{address: {declared},"))
    changed = changed.replace("expect: {address: $address,", f"expect: {{address: {said},")
    found = [one for one in mistakes_of(tmp_path, changed) if ", but $" in one]
    assert [any(what in one for one in found) for what in told] == [True] * len(found) == [True] * len(told)
