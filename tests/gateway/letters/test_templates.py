"""Templates: complete or refused by name, chosen by how specific they are, and never changed once released."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import gateway.letters
from gateway.catalogue.model import CommitmentRules
from gateway.catalogue.words import CommitmentAllowance
from gateway.letters.parts import NOTICE, PLACEHOLDERS, STATEMENT, worded_names
from gateway.letters.template_file import TemplatesRefused, template_files
from gateway.letters.templates import Templates, UnknownTemplate, load_templates
from gateway.letters.wording import WordingMalformed, parse_wording
from tests.gateway.letters.making import catalogue, shipped, write

RELEASED = {
    "alive@1": "79fef1ac55569ff0212a99e998353ee4607dd38aa1833bb3e98552d3d1f002e7",
    "alive@2": "a4ae73eff43d6c238be0fb05f6dfaa52ca882b2de0177524f2d06da50f852f00",
    "business-premises@1": "4a393e43e5ce68e37c3d50d950ad2fab7979e1e4beb58aaeb7a4c25a8581ccb0",
    "business-premises@2": "58288aed5718e33597314aaa85b611e309d290f1b32176fd5d28e7dabe594dbc",
    "dog-keeping@1": "77acd746c4261615741cf36ffaf68692a44751bb177ca63213ed7584035bc051",
    "dog-keeping@2": "2927870eee105a95567fd203d22f279e888a7e695f591f82ddecd6535c1a3cba",
    "employment@1": "b1836787ef6398159a96fc1c9ae4bf81860e27a54ff0c641e92f5681354a6a45",
    "employment@2": "0523dd4afa3d037d12d4bcfef76fe5d86ecfcee292c3cbc0c6e8f9ec60d53e69",
    "general@1": "5efecda2ff37098b5fb74c49aa0cac5bc2c84b3245ae0319d36bd176de9a3741",
    "general@2": "a0da52d5288557b93b5388c1e32300c09879929ffdbe5ed2a2cf12645eb1d612",
    "kinship@1": "6b7635ac5e08cce176fbea1d667ec882b36df2efc4a20d49a6745042ff0d409f",
    "kinship@2": "528336fe48daa410fe1e3ecd9d972a790a734d8cd70171cf46f8550f3f7ed131",
    "lost-document@1": "05916785fc2d8e1d47fa7b30d72e6a2c600ef8c479bf2075a6a8c91df243d3f2",
    "lost-document@2": "30d206a5d68065f6207493508edf862503697bd39298ebb4fe25f4079e6c1a0e",
    "marital-status@1": "b510a114e43605a280ea5d90ecd473b91bc1e8fd1550ae460fc52c9a0404f544",
    "marital-status@2": "89b95e3b4d42f368ebdc0d4d3e7235a8081fab4216f7d8cf71468dab76024e8e",
    "marital-status-relief@1": "122299edf7012a4930f3214537d58258514823a13cbb10b772227a80083475bf",
    "marital-status-relief@2": "bed7c11345ad35890b91a5cc53fb2bd452ef4bc8d8fde8b23249e910a02c303a",
    "marriage-and-childbearing@1": "50716eaaf0d8d76f0bddaf3b8db69b58738f3e0203550f888e8f64d0ad270707",
    "marriage-and-childbearing@2": "9e85e0e423e3ff02322290601f8fbf728bf2fdfed072b18bbae5654979a20f3c",
    "property@1": "388d148bd2a378ada545eae1ce33e6408e8304c2b501c5cbbdfe56bc53f28ef5",
    "property@2": "f6e04774b2dd9df71de045778e31ccbb1ca6f569fdb1fe1af03e0fdf42a194f2",
}
"""Digests of the templates that documents may name: a wording that was in force is never edited."""
OWN = """
templates:
  - id: own
    version: 1
    extends: general@2
    title: 样式
"""


def general() -> dict[str, object]:
    """The shipped general template as plain data, to spoil."""
    whole, newest = yaml.safe_load(template_files()[0].read_text("utf-8"))["templates"]
    return {**whole, "id": "own", "notice": {**whole["notice"], **newest["notice"]}}


def refused(folder: Path, text: str) -> str:
    with pytest.raises(TemplatesRefused) as caught:
        load_templates([write(folder, text)])
    return "\n".join(str(mistake) for mistake in caught.value.mistakes)


def test_a_released_template_never_changes() -> None:
    assert {template.name: template.digest for template in shipped()} == RELEASED


@pytest.mark.parametrize("name", list(worded_names()))
def test_a_template_that_lacks_any_one_part_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    spoiled = general()
    *above, last = name.split(".")
    inside: dict[str, object] = spoiled
    for key in above:
        inside = inside[key]  # type: ignore[assignment]
    del inside[last]

    told = refused(tmp_path, yaml.safe_dump({"templates": [spoiled]}, allow_unicode=True))

    assert told == f"own.yaml:2: template 'own@1': lacks {name} ({worded_names()[name]})"


@pytest.mark.parametrize("empty", ["''", "null", "'  '"])
def test_a_part_that_is_empty_or_taken_away_is_lacking(empty: str, tmp_path: Path) -> None:
    text = OWN + f"    notice: {{effect: {empty}}}\n"

    assert "template 'own@1': lacks notice.effect (承诺的效力)" in refused(tmp_path, text)


def test_every_part_of_the_general_template_is_worded_for_every_scope_of_publication() -> None:
    texts = shipped().get("general").texts

    assert set(texts) == set(worded_names())
    assert len(texts) == len(NOTICE) + len(STATEMENT) + 4  # scope and term, of two further scopes each
    assert all(text.strip() for text in texts.values())


def test_all_mistakes_of_all_templates_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = (
        OWN
        + "    notice: {effect: '{nobody} {item!r}', use: '}', colour: 红, basis: [1]}\n"
        + "    matters: [230000-CIV-002]\n    size: 3\n"
        + "  - {id: own, version: 1, extends: general@2, title: 样式}\n"
        + "  - {id: Two, version: 0, extends: nothing@9, title: 样式}\n"
        + "  - {id: three, version: 1, extends: general, title: 样式}\n"
        + "extra: 1\n"
    )

    told = refused(tmp_path, text)

    for part in (
        "own.yaml:3: template 'own@1': has a part 'notice.colour'",
        "own.yaml:7: template 'own@1': notice.basis must be a text",
        "template 'own@1': notice.effect: a placeholder is a name in braces and nothing else",
        "template 'own@1': notice.use: a brace stands alone",
        "own.yaml:8: template 'own@1': 'matters' goes with 'items'",
        "own.yaml:9: template 'own@1': unknown key 'size'",
        "own.yaml:10: template 'own@1': is there twice",
        "'id' must be small letters",
        "'version' must be a whole number from 1 to 999999",
        "'extends' 'nothing@9' is no template read before",
        "'extends' 'general' is not of the form NAME@VERSION",
        "file: unknown key 'extra'",
    ):
        assert part in told, told


def test_an_unknown_placeholder_is_refused_by_name(tmp_path: Path) -> None:
    told = refused(tmp_path, OWN + "    notice: {effect: '{applicant_phone}', use: '{fact.}'}\n")

    assert "notice.effect has an unknown placeholder {applicant_phone}; known are item, matter" in told
    assert "notice.use has an unknown placeholder {fact.}" in told


def test_no_fact_may_be_in_what_the_credit_platform_is_told(tmp_path: Path) -> None:
    told = refused(tmp_path, OWN + "    notice: {liability: {civil: '欠款{fact.amount}'}}\n")

    assert "notice.liability.civil has {fact.amount}: it is reported to the credit platform" in told


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"templates: [", "is not YAML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"- 1", "must be a mapping"),
        (b"templates: {}", "'templates' must be a list"),
        (b"templates: []", "'templates' may not be empty"),
        (b"{}", "'templates' is missing"),
        (b"templates: [3]", "must be a mapping"),
        (b"templates: [&a {id: a, version: 1}, *a]", "YAML aliases are not allowed"),
    ],
)
def test_a_file_that_holds_no_templates_is_refused(content: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes(content)

    with pytest.raises(TemplatesRefused, match=r"own\.yaml") as caught:
        load_templates([tmp_path / "own.yaml"])

    assert what in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TemplatesRefused, match=r"none\.yaml:0: cannot be read"):
        load_templates([tmp_path / "none.yaml"])


def choice(templates: Templates, item: str, matter: str, *, named: str = "general") -> str:
    whole = catalogue().item(item)
    return templates.choose(replace(whole, commitment=replace(whole.commitment, template=named)), matter).name


def test_the_most_specific_template_is_chosen() -> None:
    assert choice(shipped(), "marital-status", "230000-CIV-002") == "marital-status-relief@2"
    assert choice(shipped(), "marital-status", "230000-CIV-002", named="property") == "marital-status-relief@2"
    assert choice(shipped(), "marital-status", "230000-CIV-005", named="property") == "property@2"
    assert choice(shipped(), "marital-status", "230000-CIV-005") == "marital-status@2"
    assert choice(shipped(), "disability", "230000-CIV-005") == "general@2"


def test_a_house_comes_before_what_is_shipped_and_the_newest_version_before_the_older(tmp_path: Path) -> None:
    own = write(tmp_path, OWN.replace("title: 样式", "title: 样式\n    items: [alive]"))
    newer = write(tmp_path, OWN.replace("version: 1", "version: 7\n    items: [alive]"), "newer.yaml")

    assert choice(load_templates([own]), "alive", "230000-HRS-003") == "own@1"
    assert choice(load_templates([newer, own]), "alive", "230000-HRS-003") == "own@7"


def test_old_versions_stay_and_can_be_read(tmp_path: Path) -> None:
    own = write(tmp_path, OWN.replace("id: own", "id: general").replace("version: 1", "version: 3"))
    templates = load_templates([own])

    assert templates.get("general").name == "general@3"
    assert templates.get("general@1").digest == RELEASED["general@1"]
    with pytest.raises(UnknownTemplate):
        templates.get("general@4")


def test_of_a_template_only_the_newest_version_must_have_every_part(tmp_path: Path) -> None:
    old = "  - {id: own, version: 1, extends: general@1, title: 样式}\n"
    told = refused(tmp_path, "templates:\n" + old)

    assert told == "own.yaml:2: template 'own@1': lacks notice.withdrawal (承诺的撤回)"
    second = "  - {id: own, version: 2, extends: general@2, title: 样式}\n"
    templates = load_templates([write(tmp_path, "templates:\n" + old + second)])
    assert templates.get("own").name == "own@2"
    assert "notice.withdrawal" not in templates.get("own@1").texts


@pytest.mark.parametrize("words", ["办结前可以撤回。", "{item}"])
def test_no_template_words_the_rule_of_withdrawal_itself(words: str, tmp_path: Path) -> None:
    told = refused(tmp_path, OWN + f"    notice: {{withdrawal: '{words}'}}\n")

    assert "template 'own@1': notice.withdrawal must have {withdrawal}, until when" in told


def test_every_shipped_template_tells_of_withdrawal_in_its_own_part_only() -> None:
    for template in {one.id: one for one in shipped()}.values():
        assert template.texts["notice.withdrawal"] == "{withdrawal}"
        assert [name for name, text in template.texts.items() if "撤回" in text] == []


def test_a_new_wording_has_a_new_digest(tmp_path: Path) -> None:
    one = load_templates([write(tmp_path, OWN)]).get("own")
    two = load_templates([write(tmp_path, OWN.replace("样式", "式样"))]).get("own")

    assert one.digest != two.digest


def test_the_example_of_the_readme_is_a_template_and_its_placeholders_are_all_there_are(tmp_path: Path) -> None:
    readme = (Path(gateway.letters.__file__).parent / "README.md").read_text("utf-8")
    example = readme.split("```yaml\n")[1].split("```")[0]
    placeholders = readme.split("Placeholders:")[1].split("Braces")[0]

    templates = load_templates([write(tmp_path, example)])

    assert templates.check_against(catalogue()) == []
    assert choice(templates, "marital-status", "230000-CIV-005") == "marital-status-city@1"
    assert set(re.findall(r"\{(\w+)\}", placeholders)) == set(PLACEHOLDERS)


def test_two_templates_of_one_house_for_the_same_item_are_refused(tmp_path: Path) -> None:
    text = OWN + "    items: [alive]\n  - {id: other, version: 1, extends: general@2, title: 样式, items: [alive]}\n"

    assert "template 'other@1': 'own@1' is for item 'alive' too" in refused(tmp_path, text)


def test_the_shipped_templates_fit_the_shipped_catalogue() -> None:
    assert shipped().check_against(catalogue()) == []


def test_what_a_house_words_for_nothing_it_has_is_told(tmp_path: Path) -> None:
    text = OWN + (
        "    items: [unicorn, alive]\n    matters: [230000-XYZ-001, 230000-CIV-002]\n"
        "  - {id: facts, version: 1, extends: general@2, title: 样式, items: [employment],"
        " notice: {content: '{fact.wage}'}}\n"
        "  - {id: spouse, version: 1, extends: general@2, title: 样式, items: [marital-status],"
        " notice: {content: '{fact.spouse}'}}\n"
    )

    told = "\n".join(str(one) for one in load_templates([write(tmp_path, text)]).check_against(catalogue()))

    for part in (
        "template 'own@1': is for item 'unicorn', which the catalogue does not have",
        "template 'own@1': is for matter '230000-XYZ-001', which the catalogue does not have",
        "template 'facts@1': notice.content has {fact.wage}, no parameter of item 'employment'",
        "template 'spouse@1': notice.content has {fact.spouse}, an optional parameter of item 'marital-status'",
    ):
        assert part in told, told


def test_a_template_for_a_matter_that_asks_none_of_its_items_is_told(tmp_path: Path) -> None:
    text = OWN + "    items: [alive]\n    matters: [230000-CIV-002]\n"

    (mistake,) = load_templates([write(tmp_path, text)]).check_against(catalogue())

    assert "template 'own@1': is for matter '230000-CIV-002', which asks none of its items" in str(mistake)


def test_an_item_that_names_no_template_there_is_is_told() -> None:
    lists = catalogue()
    named = CommitmentRules(allowed=CommitmentAllowance.BY_DEFAULT, template="nowhere")
    items = {**lists.items, "alive": replace(lists.item("alive"), commitment=named)}

    (mistake,) = shipped().check_against(replace(lists, items=items))

    assert "item 'alive' 健在证明: no template 'nowhere'; there are alive, business-premises" in str(mistake)


@given(pieces=st.lists(st.tuples(st.text(), st.sampled_from(["item", "fact.a", "matter"]))), values=st.text())
def test_a_wording_gives_back_what_it_is_made_of_whatever_is_filled_in(
    pieces: list[tuple[str, str]], values: str
) -> None:
    source = "".join(literal.replace("{", "{{").replace("}", "}}") + f"{{{name}}}" for literal, name in pieces)

    filled = parse_wording(source).filled(dict.fromkeys(["item", "fact.a", "matter"], values))

    assert filled == "".join(literal + values for literal, _ in pieces)


@pytest.mark.parametrize("text", ["{", "}", "{}", "{ item}", "{item!r}", "{item:>9}", "{item", "a}b", "{item.{x}}"])
def test_what_is_no_wording_is_refused(text: str) -> None:
    with pytest.raises(WordingMalformed):
        parse_wording(text)
