"""Catalogues drawn from the loader's own grammar, as YAML: every key it knows, in every combination it accepts."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import assume
from hypothesis import strategies as st

from gateway.catalogue.loader import load_catalogue
from gateway.catalogue.mistakes import CatalogueError
from gateway.catalogue.model import Catalogue
from tests import composed

Tree = dict[str, Any]

RUNGS = ("ASSISTANCE", "OWN_OR_COMMISSIONED_CHECK", "COMMITMENT")
USCC = "11230000000000101E"
MATTER = "230000-AAA-001"
WORDS = ("YES", "NO", "MAYBE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A catalogue that the loader accepted, and the trees it was written from."""

    catalogue: Catalogue
    nation: Tree
    province: Tree | None

    def raw_item(self, code: str) -> Tree:
        """The item as written, the province's keys over the nation's."""
        return merged(_coded(self.nation["items"], code), _coded((self.province or {}).get("items", []), code))

    def raw_matter(self) -> Tree:
        return merged(_coded(self.nation["matters"], MATTER), _coded((self.province or {}).get("matters", []), MATTER))

    def raw_fact(self, code: str) -> Tree:
        return merged(
            _coded(self.nation["fact_types"], code), _coded((self.province or {}).get("fact_types", []), code)
        )

    def above(self) -> Catalogue:
        """The nation's list alone."""
        return load_trees(self.nation)


def _coded(trees: list[Tree], code: str) -> Tree:
    return next((tree for tree in trees if tree["code"] == code), {})


def merged(below: Tree, above: Tree) -> Tree:
    found = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict) and key != "expression"
        found[key] = merged(found[key], value) if both else value
    return found


class _Plain(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes everything out: the loader refuses aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dumped(tree: Tree) -> str:
    return str(yaml.dump(tree, Dumper=_Plain, allow_unicode=True, sort_keys=False))


def load_trees(*trees: Tree) -> Catalogue:
    """Write the trees as files and load them, as an operator would."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for tree in trees:
            file = Path(folder) / f"{tree['level']}.yaml"
            file.write_text(dumped(tree), "utf-8")
            files.append(file)
        with composed.quickly():
            return load_catalogue(files)


ladders = st.sets(st.sampled_from(RUNGS)).map(lambda chosen: [rung for rung in RUNGS if rung in chosen])
optional = st.booleans()


@st.composite
def fact_types(draw: st.DrawFn, code: str) -> Tree:
    policy: Tree = {"policy": draw(st.sampled_from(["first", "quorum", "all-agree"]))}
    if policy["policy"] == "quorum" or (policy["policy"] == "all-agree" and draw(optional)):
        policy["k"] = draw(st.integers(1, 3))
    return {
        "code": code,
        "title": f"事实{code}",
        "authority": "某部门",
        "attributes": {"held": "string", "sure": "boolean", "word": f"enum[{','.join(WORDS)}]"},
        "given": {"number": "string", "other": "person"},
        "absence": draw(st.sampled_from(["conclusive", "inconclusive"])),
        "sharing": draw(st.sampled_from(["UNCONDITIONAL", "CONDITIONAL", "NOT_SHARED"])),
        "sources": policy,
    }


PARAMETERS: Tree = {
    "text": {"type": "string", "label": "文字"},
    "maybe": {"type": "string", "label": "可不填", "required": False},
    "other": {"type": "person", "label": "另一人"},
    "choice": {
        "type": f"enum[{','.join(WORDS)}]",
        "label": "选择",
        "labels": {"YES": "是", "NO": "否", "MAYBE": "或许"},
    },
}


def leaves(codes: tuple[str, ...]) -> st.SearchStrategy[Tree]:
    return st.fixed_dictionaries(
        {"fact": st.sampled_from(codes)},
        optional={
            "expect": st.fixed_dictionaries(
                {},
                optional={
                    "held": st.sampled_from(["$text", "$maybe", "$other.name", "$applicant.id_number", "定值"]),
                    "sure": st.booleans(),
                    "word": st.sampled_from(["$choice", "YES"]),
                },
            ),
            "given": st.fixed_dictionaries(
                {}, optional={"number": st.just("$text"), "other": st.sampled_from(["$other", "$applicant"])}
            ),
            "subject": st.sampled_from(["applicant", "$other"]),
            "place": st.just("230100"),
            "from_age": st.integers(1, 30),
        },
    )


def expressions(codes: tuple[str, ...]) -> st.SearchStrategy[Tree]:
    return st.recursive(
        leaves(codes),
        lambda inner: st.one_of(
            st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}, optional={"ordered": optional}),
            st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}, optional={"ordered": optional}),
            inner.map(lambda tree: {"not": tree}),
            st.fixed_dictionaries(
                {"choose": st.just("$choice"), "cases": st.fixed_dictionaries(dict.fromkeys(WORDS, inner))}
            ),
        ),
        max_leaves=6,
    )


def _used(tree: Any) -> set[str]:
    if isinstance(tree, dict):
        return set().union(*(_used(value) for value in tree.values()))
    if isinstance(tree, list):
        return set().union(*(_used(value) for value in tree))
    return {tree[1:].partition(".")[0]} if isinstance(tree, str) and tree.startswith("$") else set()


@st.composite
def commitments(draw: st.DrawFn, ladder: list[str]) -> Tree:
    by_default = "COMMITMENT" in ladder
    return {
        "allowed": "BY_DEFAULT" if by_default else draw(st.sampled_from(["NEVER", "BY_MATTER"])),
        "mode": draw(st.sampled_from(["LAST_RESORT", "APPLICANT_CHOICE"])),
        "template": "general",
        "proxy": draw(optional),
        "withdrawal": {
            "until": draw(st.sampled_from(["DECISION", "FEE_PAYMENT", "CLOSING_DATE"])),
            "after_effect": draw(st.sampled_from(["NONE", "BARRED_THIS_YEAR"])),
        },
        "publication": draw(st.sampled_from(["PUBLIC", "LIMITED", "NOT_PUBLIC"])),
    }


@st.composite
def items(draw: st.DrawFn, code: str, codes: tuple[str, ...]) -> Tree:
    expression = draw(expressions(codes))
    ladder = draw(ladders)
    state = draw(st.sampled_from(["NOT_ISSUED_BY_COMMITTEE", "TRANSITIONAL", "RETAINED", "BANNED"]))
    item: Tree = {
        "code": code,
        "title": f"事项{code}",
        "state": state,
        "legal_basis": [{"text": "某条", "source": "某法", "certainty": draw(st.sampled_from(["L", "S", "M", "I"]))}],
        "demanded_by": "甲",
        "issued_by": "乙",
        "checked_by": "丙",
        "guide": "说明",
        "parameters": {name: PARAMETERS[name] for name in PARAMETERS if name in _used(expression)},
        "expression": expression,
        "ladder": ladder,
        "commitment": draw(commitments(ladder)),
        "audit": {
            "timing": draw(st.sampled_from(["NONE", "DURING", "AFTER"])),
            "due_working_days": draw(st.integers(1, 120)),
            "due_source": "某规定",
            "sampling": {"LOW": draw(st.integers(0, 100)), "HIGH": draw(st.integers(0, 100))},
        },
        "disclosure": draw(st.sampled_from(["PER_FACT", "AGGREGATE"])),
        "sensitivity": "SENSITIVE",
    }
    if state == "TRANSITIONAL":
        item["transition"] = {"scope": "范围", "risk_assessment": "评估", "review_by": "2027-01-01"}
    if state == "RETAINED":
        item["issuing"] = {"form": "表", "procedure": "程", "time_limit": "限", "use": "用", "flow": "流"}
    return item


@st.composite
def asked(draw: st.DrawFn, item: Tree) -> Tree:
    found: Tree = {"item": item["code"]}
    excluded = draw(optional)
    committable = item["commitment"]["allowed"] != "NEVER" and item["state"] != "BANNED" and not excluded
    if draw(optional):
        found["ladder"] = [rung for rung in draw(ladders) if rung != "COMMITMENT" or committable]
    if draw(optional):
        found["commitment_mode"] = draw(st.sampled_from(["LAST_RESORT", "APPLICANT_CHOICE"]))
    if draw(optional):
        found["disclosure"] = item["disclosure"]
    if draw(optional):
        found["patience_seconds"] = draw(st.integers(0, 1000))
    if draw(optional):
        found["confirm_by_clerk"] = draw(optional)
    if excluded or draw(optional):
        found["excluded_from_commitment"] = excluded
    return found


@st.composite
def provinces(draw: st.DrawFn, nation: Tree) -> Tree:
    """A list below that changes one item and the matter, as it likes; the loader decides what it may."""
    item = draw(st.sampled_from(nation["items"]))
    ladder = draw(ladders)
    overlay: Tree = {"code": item["code"]}
    if draw(optional):
        overlay |= {"ladder": ladder, "commitment": draw(commitments(ladder))}
    if draw(optional):
        overlay["state"] = draw(st.sampled_from(["NOT_ISSUED_BY_COMMITTEE", "BANNED"]))
    if draw(optional):
        overlay["expression"] = {"all": [item["expression"], {"fact": nation["fact_types"][0]["code"]}]}
    if draw(optional):
        overlay["disclosure"] = "AGGREGATE"
    below: Tree = {
        "level": "province",
        "code": "230000",
        "version": "1",
        "title": "省清单",
        "parent": "000000",
        "adopts": "all",
        "items": [overlay],
    }
    if draw(optional):
        fact = draw(st.sampled_from(nation["fact_types"]))
        changed = draw(fact_types(fact["code"]))
        below["fact_types"] = [
            {"code": fact["code"], **{key: changed[key] for key in ("absence", "sources") if draw(optional)}}
        ]
    if draw(optional):
        below["matters"] = [{"code": MATTER, "items": [draw(asked(one)) for one in nation["items"]]}]
    return below


@st.composite
def nations(draw: st.DrawFn) -> Tree:
    """A nation's list that the loader accepts."""
    codes = ("fact-a", "fact-b", "fact-c")
    drawn_items = [draw(items(code, codes)) for code in ("item-a", "item-b")]
    return {
        "level": "nation",
        "code": "000000",
        "version": "1",
        "title": "国家清单",
        "fact_types": [draw(fact_types(code)) for code in codes],
        "items": drawn_items,
        "matters": [
            {
                "code": MATTER,
                "title": "办理事项",
                "departments": [{"uscc": USCC, "name": "某局"}],
                "purposes": ["办理行政许可"],
                "items": [draw(asked(item)) for item in drawn_items],
                "patience_seconds": draw(st.integers(0, 1000)),
                "retry_after_seconds": draw(st.integers(1, 1000)),
            }
        ],
    }


@st.composite
def catalogues(draw: st.DrawFn) -> Drawn:
    """A catalogue that the loader accepts: a nation's list, sometimes under a province's that is stricter."""
    nation = draw(nations())
    if draw(optional):
        province = draw(provinces(nation))
        try:
            return Drawn(catalogue=load_trees(nation, province), nation=nation, province=province)
        except CatalogueError:
            pass  # looser than the nation's: refused, as it must be
    return Drawn(catalogue=load_trees(nation), nation=nation, province=None)


@st.composite
def chains(draw: st.DrawFn) -> Drawn:
    """A nation's list under a province's that weighs sources otherwise, and that the loader accepts as stricter."""
    nation = draw(nations())
    for item in nation["items"]:  # so that commitments are at stake
        item |= {"state": "NOT_ISSUED_BY_COMMITTEE", "ladder": ["COMMITMENT"]}
        item["commitment"]["allowed"] = "BY_DEFAULT"
    nation["matters"][0]["items"] = [{"item": item["code"]} for item in nation["items"]]
    province: Tree = {
        "level": "province",
        "code": "230000",
        "version": "1",
        "title": "省清单",
        "parent": "000000",
        "adopts": "all",
        "fact_types": [],
    }
    for fact in nation["fact_types"]:
        changed = draw(fact_types(fact["code"]))
        keys = draw(st.sampled_from([(), ("absence",), ("sources",), ("absence", "sources")]))
        province["fact_types"].append({"code": fact["code"], **{key: changed[key] for key in keys}})
    if draw(optional):
        item = draw(st.sampled_from(nation["items"]))
        more = {"all": [item["expression"], {"fact": nation["fact_types"][0]["code"]}]}
        province["items"] = [{"code": item["code"], "expression": more}]
    try:
        return Drawn(catalogue=load_trees(nation, province), nation=nation, province=province)
    except CatalogueError:
        assume(False)
        raise
