"""Histories of the log's keys, right and forged, and receipts of the time before, between and after two rotations."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ledger.keyring.history import KeyHistory, commit_key
from ledger.keyring.published import format_key_history
from ledger.log.algorithms.ed25519 import Ed25519Signer
from ledger.log.checkpoint import Checkpoint
from ledger.merkle import hash_leaf
from ledger.receipt import format_receipt
from ledger.records.codec import Entry, encode_entry
from ledger.records.commitments import PUBLIC_GROUP
from tests.vectors.entries import more
from tests.vectors.keys import ELSEWHERE, LOG, OLD, OLD_VKEY, ORIGIN, STRANGER, VKEY, at, fixed, line, signer
from tests.vectors.notes import sign
from tests.vectors.receipts import Tree

NEXT = signer("the log's key after")
ADDED, RETIRED, ADDED_AGAIN, RETIRED_AGAIN = 3, 8, 11, 13
"""Where the entries stand: the keys may sign sizes 0 to 8, 4 to 13, and from 12 on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryCase:
    """A history, the first key to verify it with, a receipt to verify with it, and the error expected."""

    why: str
    history: str
    receipt: bytes
    error: str | None = None
    vkey: str = OLD_VKEY
    origin: str = ORIGIN


def _about_key(kind: str, key: Ed25519Signer, number: int, before: bytes | None = None) -> bytes:
    entry = Entry(
        kind=kind, record=fixed(f"record of key {key.key_id.hex()}", 16), seq=0 if before is None else 1,
        prev=None if before is None else hash_leaf(before), at=at(number), policy="",
        commits={PUBLIC_GROUP: commit_key(key.verifier.vkey)},
    )  # fmt: skip
    return encode_entry(entry)


def changed() -> Tree:
    """A log of twenty entries whose key changed twice."""
    leaves = more(20)
    leaves[ADDED] = _about_key("LogKeyAdded", LOG, ADDED)
    leaves[RETIRED] = _about_key("LogKeyRetired", OLD, RETIRED)
    leaves[ADDED_AGAIN] = _about_key("LogKeyAdded", NEXT, ADDED_AGAIN)
    leaves[RETIRED_AGAIN] = _about_key("LogKeyRetired", LOG, RETIRED_AGAIN, leaves[ADDED])
    return Tree(leaves)


def signed(tree: Tree, index: int, size: int, *signers: Ed25519Signer, more: str = "") -> bytes:
    """The receipt of an entry whose checkpoint these keys signed, whether they may or not."""
    text = Checkpoint(origin=ORIGIN, size=size, root=tree.root(size)).text()
    return format_receipt(tree.leaves[index], index, tree.proof(index, size), sign(text, signers, more=more))


def _proofs(tree: Tree) -> tuple[bytes, bytes, bytes, bytes]:
    return (
        signed(tree, ADDED, 4, OLD), signed(tree, RETIRED, 9, OLD, LOG),
        signed(tree, ADDED_AGAIN, 12, LOG), signed(tree, RETIRED_AGAIN, 14, LOG, NEXT),
    )  # fmt: skip


def histories() -> Iterator[HistoryCase]:
    tree = changed()
    added, retired, added_again, retired_again = _proofs(tree)
    begun = KeyHistory.beginning(OLD_VKEY, ORIGIN)
    once = begun.adding(VKEY, added)
    between = once.retiring(0, retired)
    whole = between.adding(NEXT.verifier.vkey, added_again).retiring(1, retired_again)
    good = signed(tree, 5, 20, NEXT)
    yield HistoryCase(
        why="a key that never changed", history=format_key_history(begun), receipt=signed(tree, 5, 6, OLD)
    )
    yield HistoryCase(
        why="a key that was announced", history=format_key_history(once), receipt=signed(tree, 5, 20, LOG)
    )
    yield HistoryCase(
        why="the first key with the newline that ends its line",
        history=format_key_history(whole), receipt=good, vkey=OLD_VKEY + "\n",
    )  # fmt: skip
    yield from _receipts(tree, format_key_history(whole))
    yield from _forged(tree, format_key_history(whole), good)
    yield from _unproved(tree, good)


def _receipts(tree: Tree, history: str) -> Iterator[HistoryCase]:
    def case(why: str, receipt: bytes, error: str | None = None) -> HistoryCase:
        return HistoryCase(why=f"a checkpoint {why}", history=history, receipt=receipt, error=error)

    ranges = (("first", OLD, range(1, 9)), ("second", LOG, range(4, 14)), ("third", NEXT, range(12, 21)))
    for name, key, sizes in ranges:
        for size in (1, 3, 4, 8, 9, 11, 12, 13, 14, 20):
            inside = size in sizes
            why = f"of size {size} by the {name} key, {'in' if inside else 'outside'} its range"
            yield case(why, signed(tree, 0, size, key), None if inside else "KeyNotInForce")
    yield case("by two keys of which one is retired", signed(tree, 2, 9, OLD, LOG))
    yield case("by two retired keys", signed(tree, 2, 20, OLD, LOG), "KeyNotInForce")
    yield case("by a retired key and a stranger", signed(tree, 2, 9, OLD, STRANGER), "KeyNotInForce")
    yield case("by a stranger", signed(tree, 2, 9, STRANGER), "WrongKey")
    yield case("by a key of another name", signed(tree, 2, 9, ELSEWHERE), "WrongKey")
    bad = line(ORIGIN, OLD.key_id, bytes(64))
    yield case("with a bad line of a retired key", signed(tree, 2, 20, NEXT, more=bad), "NoteError")
    # Who holds a retired private key writes a log of its own, as large as it likes.
    forged = Tree([*tree.leaves[:8], *more(40)])
    yield case("of a log that the retired first key forged", signed(forged, 30, 48, OLD), "KeyNotInForce")
    yield case("of a log that the retired second key forged", signed(forged, 30, 48, LOG), "KeyNotInForce")
    text = Checkpoint(origin="other.example/log", size=20, root=tree.root(20)).text()
    other = format_receipt(tree.leaves[0], 0, tree.proof(0, 20), sign(text, [OLD]))
    yield case("of another log by a retired key", other, "WrongOrigin")
    yield case("with a byte too many in its receipt", signed(tree, 0, 20, NEXT) + b"x", "NoteError")
    yield case("of no receipt at all", b"", "ReceiptError")


def _forged(tree: Tree, good: str, receipt: bytes) -> Iterator[HistoryCase]:
    head, keys, events = good.split("\n\n")
    lines, key_lines = events.splitlines(), keys.splitlines()

    def put(*, head: str = head, keys: Sequence[str] = key_lines, events: Sequence[str] = lines) -> str:
        return f"{head}\n\n" + "".join(f"{one}\n" for one in keys) + "\n" + "".join(f"{one}\n" for one in events)

    assert put() == good
    stray = lines[1][:-2] + chr(ord(lines[1][-2]) + 1) + "="
    forgeries: dict[str, Callable[[], str]] = {
        "with a longer range": lambda: good.replace("0-8 ", "0-9 "),
        "with an open range": lambda: good.replace("0-8 ", "0- "),
        "with an earlier start": lambda: good.replace("4-13 ", "3-13 "),
        "with a leading zero": lambda: good.replace("4-13 ", "04-13 "),
        "with a space too many": lambda: good.replace("0-8 ", "0-8  "),
        "without its last retirement": lambda: put(events=lines[:-1]),
        "without its events": lambda: put(events=()),
        "without its keys": lambda: put(keys=()),
        "with its events out of order": lambda: put(events=lines[::-1]),
        "with an event twice": lambda: put(events=[*lines, lines[-1]]),
        "with a retirement twice at its end": lambda: put(events=[*lines, lines[1]]),
        "with a key too many": lambda: put(keys=[*key_lines, f"14- {STRANGER.verifier.vkey}"]),
        "with a stranger for the second key": lambda: good.replace(VKEY, STRANGER.verifier.vkey),
        "with a stranger for the first key": lambda: good.replace(OLD_VKEY, STRANGER.verifier.vkey),
        "with an unknown act": lambda: good.replace("added 1 ", "invited 1 "),
        "with an act without its letters": lambda: good.replace("added 1 ", " 1 "),
        "with a key out of turn": lambda: good.replace("added 1 ", "added 0 "),
        "with a key that is not there": lambda: good.replace("added 1 ", "added 7 "),
        "with the retirement of a key that is not there": lambda: good.replace("retired 0 ", "retired 9 "),
        "with the retirement of a property of JavaScript": lambda: good.replace("retired 0 ", "retired length "),
        "with the retirement of another property": lambda: good.replace("retired 0 ", "retired constructor "),
        "with a number written with a zero": lambda: good.replace("retired 0 ", "retired 00 "),
        "with a number without digits": lambda: good.replace("retired 0 ", "retired  "),
        "with a word too many": lambda: put(events=[f"{lines[0]} x", *lines[1:]]),
        "with no receipt": lambda: put(events=["added 1", *lines[1:]]),
        "with an empty receipt": lambda: put(events=["added 1 ", *lines[1:]]),
        "with a receipt that is no base64": lambda: put(events=["added 1 ****", *lines[1:]]),
        "with a receipt in base64 with stray bits": lambda: put(events=[lines[0], stray, *lines[2:]]),
        "of another version": lambda: good.replace("v1\n", "v2\n", 1),
        "of another log": lambda: good.replace(f"\n{ORIGIN}\n", "\nother.example/log\n", 1),
        "without the name of its log": lambda: good.replace(f"\n{ORIGIN}\n", "\n", 1),
        "with a third line at its head": lambda: put(head=f"{head}\nmore"),
        "without its last newline": lambda: good[:-1],
        "with a newline more": lambda: good + "\n",
        "with another part": lambda: good + "\nmore\n",
        "with carriage returns": lambda: good.replace("\n", "\r\n"),
        "with a byte order mark": lambda: "\ufeff" + good,
        "with a space before a key": lambda: good.replace(f" {VKEY}", f" \u00a0{VKEY}"),
        "that is empty": lambda: "",
    }
    for why, forge in forgeries.items():
        forged = forge()
        assert forged != good, why
        yield HistoryCase(why=f"a history {why}", history=forged, receipt=receipt, error="KeyHistoryError")
    for why, vkey in (
        ("another key of the log", VKEY), ("a stranger", STRANGER.verifier.vkey), ("no key", ""),
        ("a key of another log", ELSEWHERE.verifier.vkey), ("a key with a space after it", OLD_VKEY + " "),
        ("a key with a byte order mark", "\ufeff" + OLD_VKEY),
    ):  # fmt: skip
        yield HistoryCase(
            why=f"a history verified from {why}", history=good, receipt=receipt, vkey=vkey, error="KeyHistoryError"
        )
    yield HistoryCase(
        why="a history of another origin than asked for",
        history=good, receipt=receipt, origin="other.example/log", error="KeyHistoryError",
    )  # fmt: skip


def _unproved(tree: Tree, receipt: bytes) -> Iterator[HistoryCase]:
    """Texts in the one spelling, of which one receipt does not prove what the text says."""
    proofs = _proofs(tree)
    keys = (f"0-8 {OLD_VKEY}", f"4-13 {VKEY}", f"12- {NEXT.verifier.vkey}")
    acts = ("added 1", "retired 0", "added 2", "retired 1")

    def case(why: str, **changes: bytes) -> HistoryCase:
        used = [changes.get(f"at_{number}", proof) for number, proof in enumerate(proofs)]
        events = "".join(f"{act} {base64.b64encode(one).decode()}\n" for act, one in zip(acts, used, strict=True))
        ranges = "".join(f"{key}\n" for key in keys)
        text = f"chengxin key history v1\n{ORIGIN}\n\n{ranges}\n{events}"
        error = "KeyHistoryError" if changes else None
        return HistoryCase(why=f"a history {why}", history=text, receipt=receipt, error=error)

    yield case("in its one spelling")
    yield case("whose new key announces itself", at_0=signed(tree, ADDED, 4, LOG))
    yield case("whose new key is announced by a stranger", at_0=signed(tree, ADDED, 4, STRANGER))
    yield case("whose first key retires itself", at_1=signed(tree, RETIRED, 9, OLD))
    yield case("whose first key retires itself in time", at_1=signed(tree, ADDED, 8, OLD))
    yield case("whose third key is announced by the first, retired", at_2=signed(tree, ADDED_AGAIN, 12, OLD))
    yield case("whose second key is retired by the first, retired", at_3=signed(tree, RETIRED_AGAIN, 14, OLD))
    yield case("whose second key retires itself", at_3=signed(tree, RETIRED_AGAIN, 14, LOG))
    yield case("with the receipt of an ordinary entry", at_0=signed(tree, 2, 4, OLD))
    yield case("with the receipt of another key", at_2=signed(tree, ADDED, 12, LOG))
    yield case("with a proof younger than the next change", at_0=signed(tree, ADDED, 9, OLD, LOG))
    yield case("with an addition proved as the retirement", at_1=signed(tree, ADDED, 9, OLD, LOG))
    bad = line(ORIGIN, OLD.key_id, bytes(64))
    yield case("with a bad line of the key that retires", at_1=signed(tree, RETIRED, 9, LOG, more=bad))
    yield case("with a receipt for another size", at_0=signed(tree, ADDED, 4, OLD).replace(b"\n4\n", b"\n5\n"))
    beginning = KeyHistory.beginning(OLD_VKEY, ORIGIN).adding(VKEY, proofs[0])
    events = [replace(beginning.events[0], act="retired", number=0, receipt=proofs[1])]
    alone = replace(
        beginning, keys=(replace(beginning.keys[0], last=RETIRED),), events=tuple(events)
    )  # the only key, retired by one that was never added
    yield HistoryCase(
        why="a history whose only key is retired", history=format_key_history(alone), receipt=receipt,
        error="KeyHistoryError",
    )  # fmt: skip
    twice = replace(beginning, keys=(*beginning.keys, beginning.keys[1]), events=beginning.events * 2)
    yield HistoryCase(
        why="a history with a key added twice",
        history=format_key_history(twice).replace("added 1", "added 2").replace("added 2", "added 1", 1),
        receipt=receipt, error="KeyHistoryError",
    )  # fmt: skip
