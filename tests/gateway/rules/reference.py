"""A second evaluator, written from the design's words and nothing of `gateway.rules`: slow, plain, over raw YAML trees.

Truths are numbers (1 true, 0 false, 0.5 unknown): Kleene's logic is then minimum, maximum and 1 - x.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

Tree = dict[str, Any]
Said = Sequence[str]
"""What the sources of one fact say, in their order: the twelve outcomes by name, and OTHER_NAME."""
Key = tuple[object, ...]

MISSING = {"NO_RECORD", "NOT_COVERED", "NOT_HELD", "REFUSED"}
UNCLEAR = {"AMBIGUOUS", "CONFLICT", "UNCONFIRMED", "SUBJECT_INACTIVE"}
HELD = {"OTHER_NAME", "NOT_HELD", "AMBIGUOUS", "SUBJECT_INACTIVE", "NEEDS_ATTRIBUTE"}
"""What a source says that has a record, and not whether what is claimed is so."""
TEMPORARY = {"UNAVAILABLE", "STALE", "NOT_ASKED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """Who asks and what they say: texts by name; a person is a pair of name and number."""

    person: tuple[str, str]
    arguments: Mapping[str, str | tuple[str, str]]
    today: date


def key_of(leaf: Tree, applicant: Applicant) -> Key:
    """Tell one question from another: the fact, whose, and what is compared and given."""
    subject = leaf.get("subject", "applicant")
    person = applicant.person if subject == "applicant" else applicant.arguments[subject[1:]]
    return (
        leaf["fact"],
        person,
        _closed(leaf.get("expect", {}), applicant),
        _closed(leaf.get("given", {}), applicant),
        leaf.get("place", ""),
        _period(person, leaf.get("from_age"), applicant.today),
    )


def _period(person: str | tuple[str, str], age: int | None, today: date) -> tuple[date, date] | None:
    if age is None or isinstance(person, str):
        return None
    year, month, day = int(person[1][6:10]) + age, int(person[1][10:12]), int(person[1][12:14])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    begins = date(year, month, 28 if (month, day) == (2, 29) and not leap else day)
    return (begins if begins < today else today), today


def _closed(operands: Tree, applicant: Applicant) -> frozenset[tuple[str, object]]:
    found: set[tuple[str, object]] = set()
    for name, operand in operands.items():
        if not isinstance(operand, str) or not operand.startswith("$"):
            found.add((name, operand))
            continue
        whose, _, part = operand[1:].partition(".")
        value = applicant.person if whose == "applicant" else applicant.arguments.get(whose)
        if value is None:
            continue  # an optional parameter that is not given falls away
        if isinstance(value, tuple) and part:
            found.add((name, value[0] if part == "name" else value[1]))
        elif isinstance(value, tuple):
            found |= {(f"{name}_name", value[0]), (f"{name}_id_number", value[1]), (f"{name}_id_type", "resident-id")}
        else:
            found.add((name, value))
    return frozenset(found)


def fact_truth(said: Said, fact: Tree, heard: Said = (), *, negated: bool = False) -> tuple[float, frozenset[str]]:
    """What the sources of one fact come to, with the people who were heard of it, and why it is open.

    People speak of what is claimed, which may be that the fact is not so. Then nothing that a source says bears it out
    while one of them has a record of another name. Having none is worth nothing beside one that has a record, and
    neither is another name in that; where nobody else knows better, they disagree. MATCH disagrees with every denial.
    """
    conclusive = fact["absence"] == "conclusive"
    policy = fact["sources"]
    k = policy.get("k", 1)
    needed = {"first": 1, "quorum": k, "all-agree": max(k, len(said))}[policy["policy"]]

    def disagree(asked: Said) -> bool:
        return conclusive and "NO_RECORD" in asked and not HELD.isdisjoint(asked)

    def truths(asked: Said) -> list[float]:
        values = {"MATCH": 1, "MISMATCH": 0, "OTHER_NAME": 0.5 if negated else 0, "NO_RECORD": 0 if conclusive else 0.5}
        if "MATCH" not in asked and disagree(asked):
            values |= {"NO_RECORD": 0.5, "OTHER_NAME": 0.5}
        if "MATCH" not in asked and negated and "OTHER_NAME" in asked:
            values = {}
        return [values.get(outcome, 0.5) for outcome in asked]

    if policy["policy"] == "first":  # those after the first that decides are not asked
        decided = [n for n in range(1, len(said)) if set(truths(said[:n])) != {0.5}]
        said = said[: min(decided, default=len(said))]
    known = [truth for truth in truths(said) if truth != 0.5]
    known += [float((outcome == "MATCH") != negated) for outcome in heard if outcome in ("MATCH", "MISMATCH")]
    if 1 in known and 0 in known:
        return 0.5, frozenset({"CONFLICT"})
    if known and len(known) >= needed:
        return known[0], frozenset()
    # What one source knows is not silenced by those that know nothing: too few know it, and that is unclear.
    words = dict.fromkeys(("MISMATCH", "OTHER_NAME"), "AMBIGUOUS")
    if disagree(said):  # whose the record is may be unknown: that is held against nobody who says that there is none
        words |= dict.fromkeys({"NO_RECORD", *HELD}, "AMBIGUOUS" if negated else "CONFLICT")
        if not negated:  # one more thing may end it, and who claims the fact has it: that is asked for first
            del words["NEEDS_ATTRIBUTE"]
    silent = frozenset(
        words.get(outcome, outcome) for outcome, truth in zip(said, truths(said), strict=True) if truth == 0.5
    )
    silent |= frozenset(outcome for outcome in heard if outcome not in ("MATCH", "MISMATCH"))
    return 0.5, silent | {"UNCONFIRMED"} if known else silent or frozenset({"NOT_ASKED"})


class Reference:
    """Judges one question, all its sources asked."""

    def __init__(
        self,
        facts: Mapping[str, Tree],
        applicant: Applicant,
        said: Callable[[Key], Said],
        heard: Mapping[str, Said] | None = None,
    ) -> None:
        """`heard` is what people said of each type of fact."""
        self._facts = facts
        self._applicant = applicant
        self._said = said
        self._heard = heard or {}
        self._signs: dict[Key, set[bool]] = {}

    def verdict(self, expression: Tree) -> tuple[str, frozenset[str]]:
        leaves = list(self._leaves(expression, ()))
        for leaf, above in leaves:
            self._signs.setdefault(key_of(leaf, self._applicant), set()).add(_is_negated(above))
        value = self._value(expression)
        if value == 1:
            return "ESTABLISHED", frozenset()
        if value == 0:
            return "CONTRADICTED", frozenset()
        reasons = self._why(expression)
        if any(self._is_disproved(leaf, above) for leaf, above in leaves):
            reasons |= {"DISPROVED"}
        return ("PENDING" if "PENDING" in reasons else "UNDETERMINED"), reasons

    def _leaf(self, leaf: Tree) -> tuple[float, frozenset[str]]:
        key = key_of(leaf, self._applicant)
        negated = True in self._signs[key]
        return fact_truth(self._said(key), self._facts[leaf["fact"]], self._people(leaf), negated=negated)

    def _people(self, leaf: Tree) -> Said:
        """What people said that can be placed: nothing where the same fact is claimed and denied at once."""
        return self._heard.get(leaf["fact"], ()) if len(self._signs[key_of(leaf, self._applicant)]) == 1 else ()

    def _leaves(self, tree: Tree, above: tuple[Tree, ...]) -> Iterator[tuple[Tree, tuple[Tree, ...]]]:
        """Each leaf, with everything that it stands in, from the root down."""
        if "fact" in tree:
            yield tree, above
        elif "choose" in tree:
            yield from self._leaves(self._chosen(tree), (*above, tree))
        else:
            for inner in [tree["not"]] if "not" in tree else tree.get("any", tree.get("all")):
                yield from self._leaves(inner, (*above, tree))

    def _is_disproved(self, leaf: Tree, above: tuple[Tree, ...]) -> bool:
        """People say that it is untrue, nobody contradicts them, and nothing it stands in is so as it is claimed."""
        if "MISMATCH" not in self._people(leaf) or self._leaf(leaf)[0] == 0.5:
            return False
        return all(self._value(tree) != (0 if _is_negated(above[:place]) else 1) for place, tree in enumerate(above))

    def _value(self, tree: Tree) -> float:
        if "fact" in tree:
            return self._leaf(tree)[0]
        if "not" in tree:
            return 1 - self._value(tree["not"])
        if "choose" in tree:
            return self._value(self._chosen(tree))
        values = [self._value(inner) for inner in tree.get("any", tree.get("all"))]
        return max(values) if "any" in tree else min(values)

    def _chosen(self, tree: Tree) -> Tree:
        chosen: Tree = tree["cases"][self._applicant.arguments[tree["choose"][1:]]]
        return chosen

    def _why(self, tree: Tree) -> frozenset[str]:
        """The reasons of the leaves below which nothing decides: everything from the root down to them is open."""
        if self._value(tree) != 0.5:
            return frozenset()
        if "fact" in tree:
            return self._leaf(tree)[1]
        if "not" in tree:
            return self._why(tree["not"])
        if "choose" in tree:
            return self._why(self._chosen(tree))
        return frozenset().union(*(self._why(inner) for inner in tree.get("any", tree.get("all"))))


def _is_negated(above: Sequence[Tree]) -> bool:
    return sum("not" in tree for tree in above) % 2 == 1


def next_step(
    verdict: str, reasons: frozenset[str], item: Tree, asked: Tree, *, attempted: frozenset[str], impatient: bool
) -> str:
    """The design's table in 4.3, over the item and the matter's override as they are written."""
    people = [rung for rung in ("ASSISTANCE", "OWN_OR_COMMISSIONED_CHECK") if rung not in attempted]
    match verdict:
        case "ESTABLISHED":
            return "NONE"
        case "CONTRADICTED":
            return "DISPUTE"
        case "PENDING":
            return "WAIT"
    if "NEEDS_ATTRIBUTE" in reasons:
        return "ASK_APPLICANT"
    if reasons & TEMPORARY and not impatient:
        return "RETRY_AFTER"
    if "DISPROVED" in reasons and not reasons & TEMPORARY:
        return people[0] if people else "DISPUTE"
    if reasons & (TEMPORARY | UNCLEAR):
        return people[0] if people else "NOT_ESTABLISHABLE"
    assert reasons <= MISSING
    ladder = asked.get("ladder", item["ladder"])
    forbidden = (
        item["commitment"]["allowed"] == "NEVER"
        or item["state"] == "BANNED"
        or asked.get("excluded_from_commitment", False)
    )
    mode = asked.get("commitment_mode", item["commitment"]["mode"])
    if "COMMITMENT" in ladder and not forbidden and mode == "APPLICANT_CHOICE":
        return "COMMITMENT"
    for rung in ladder:
        if rung == "COMMITMENT" and not forbidden:
            return "COMMITMENT"
        if rung != "COMMITMENT" and rung not in attempted:
            return str(rung)
    return "NOT_ESTABLISHABLE"
