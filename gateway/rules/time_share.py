"""How much of the time that is left one question to a source may use, so that those after it are asked in time too.

Sources of one fact under `first`, and facts under an `ordered` node, are asked one after the other: a source that does
not answer must not use up the time of the next. What one leaves over, the others have.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.rules.plan import AllOf, AnyOf, Leaf, Node, NotOf, Plan
from gateway.rules.verdict import LeafTruth


def time_share(plan: Plan, answers: Mapping[str, LeafTruth], rounds: Mapping[str, int], check: str) -> float:
    """Return the share (0 to 1) of the time left that the next round of a check may use.

    `rounds` is how many rounds of asking each check still has, one after the other, at most. What runs at the same
    time shares no time; what runs one after the other divides it by rounds.
    """
    share = _share(plan.root, answers, rounds, check)
    return 1.0 if share is None else share


def _share(node: Node, answers: Mapping[str, LeafTruth], rounds: Mapping[str, int], check: str) -> float | None:
    """Return the share below a node, or None if the check is not below it."""
    match node:
        case Leaf():
            return 1 / max(1, rounds.get(check, 1)) if node.id == check else None
        case NotOf():
            return _share(node.of, answers, rounds, check)
        case AnyOf() | AllOf():
            shares = [_share(inner, answers, rounds, check) for inner in node.of]
            found = [share for share in shares if share is not None]
            if not found:
                return None
            if not node.ordered:
                return min(found)  # one claim may stand in several places: the tightest counts
            lengths = [_length(inner, answers, rounds) for inner in node.of]
            ahead = [(share, lengths[n], sum(lengths[n:])) for n, share in enumerate(shares) if share is not None]
            return min(share * own / max(1, left) if own else share for share, own, left in ahead)


def _length(node: Node, answers: Mapping[str, LeafTruth], rounds: Mapping[str, int]) -> int:
    """Count the rounds that a node still needs one after the other, at most."""
    match node:
        case Leaf():
            return 0 if node.id in answers else max(1, rounds.get(node.id, 1))
        case NotOf():
            return _length(node.of, answers, rounds)
        case AnyOf() | AllOf():
            lengths = [_length(inner, answers, rounds) for inner in node.of]
            return sum(lengths) if node.ordered else max(lengths, default=0)
