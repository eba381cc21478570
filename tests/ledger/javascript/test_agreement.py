"""The JavaScript verifier and the Python one agree: on every vector, and on receipts that chance has changed."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ledger import LedgerError, VerifiedReceipt, parse_vkey, verify_key_history, verify_receipt
from ledger.records.lifecycle import FAMILY_OF
from tests.ledger.javascript.node import NODE, ask, history_question, needs_node, receipt_question
from tests.vectors.entries import mistaken
from tests.vectors.generate import KINDS_FILE, decoded
from tests.vectors.histories import histories
from tests.vectors.keys import OLD_VKEY, ORIGIN, VKEY
from tests.vectors.receipts import Tree, grown
from tests.vectors.test_vectors import load

SCRIPTS = KINDS_FILE.parent
ML_DSA_VKEY = f"{ORIGIN}+01234567+{base64.b64encode(bytes([6]) + bytes(1312)).decode()}"


def require_agreement(cases: list[Any], answers: list[dict[str, Any]]) -> None:
    disagreeing = []
    for case, answer in zip(cases, answers, strict=True):
        expected = (
            {key: case[key] for key in answer if key in case} if "error" not in case else {"error": case["error"]}
        )
        if {key: str(value) for key, value in expected.items()} != {key: str(value) for key, value in answer.items()}:
            disagreeing.append((case.get("why", case.get("path")), expected, answer))
    assert disagreeing == []


@needs_node
def test_javascript_agrees_on_every_checkpoint() -> None:
    cases = load("checkpoints.json")
    questions = [{**case, "ask": "checkpoint", "data": decoded(case["note"])} for case in cases]
    require_agreement(cases, ask(questions))


@needs_node
def test_javascript_agrees_on_every_receipt() -> None:
    cases = load("receipts.json")
    questions = [receipt_question(decoded(case["receipt"]), case["vkeys"], case["origin"]) for case in cases]
    require_agreement(cases, ask(questions))


@needs_node
def test_javascript_agrees_on_every_history() -> None:
    cases = load("histories.json")
    questions = [
        history_question(case["history"].encode(), decoded(case["receipt"]), case["vkey"], case["origin"])
        for case in cases
    ]
    require_agreement(cases, ask(questions))


@needs_node
def test_one_key_alone_is_taken_for_the_only_one_there_was() -> None:
    receipt, stranger = grown().receipt(3, 23), {"error": "WrongKey"}
    for vkey, told in ((VKEY, judge(receipt, (VKEY,))), (f"{VKEY}\n", judge(receipt, (VKEY,))), (OLD_VKEY, stranger)):
        assert ask([{"ask": "only", "data": receipt, "vkey": vkey, "origin": ORIGIN}]) == [told]


@needs_node
def test_javascript_agrees_on_every_path() -> None:
    cases = load("paths.json")
    require_agreement(cases, ask({"ask": "path", "path": case["path"]} for case in cases))


@needs_node
def test_javascript_agrees_on_every_bundle() -> None:
    cases = load("bundles.json")
    questions = [{"ask": "bundle", "data": bytes.fromhex(case["bundle"]), "count": case["count"]} for case in cases]
    require_agreement(cases, ask(questions))


def judge(receipt: bytes, vkeys: tuple[str, ...]) -> dict[str, str]:
    """What Python says of a receipt, in the words of `run.mjs`."""
    try:
        proved = verify_receipt(receipt, [parse_vkey(vkey) for vkey in vkeys], ORIGIN)
    except LedgerError as refusal:
        return {"error": type(refusal).__name__}
    return told_of(proved)


def told_of(proved: VerifiedReceipt) -> dict[str, str]:
    entry = proved.entry
    return {
        "index": str(proved.index),
        "size": str(proved.size),
        "root": proved.root.hex(),
        "kind": entry.kind,
        "record": entry.record.hex(),
    }


def mutated(chance: random.Random, pool: list[bytes]) -> bytes:
    """Change a receipt a little: bits, bytes, lines, or parts of another receipt."""
    data = bytearray(chance.choice(pool))
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        at, end = sorted((chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)))
        match chance.randrange(8):
            case 0 if data:
                data[min(at, len(data) - 1)] ^= 1 << chance.randrange(8)
            case 1:
                data[at:at] = chance.choice(
                    (b"\n", b" ", b"=", b"+", b"0", b"\r", b"\xff", b"\n\n", "\u2014 ".encode())
                )
            case 2:
                del data[at : min(end, at + 5)]
            case 3:
                data[at:end] = data[at:end][::-1]
            case 4:
                other = chance.choice(pool)
                data[at:] = other[at:]
            case 5:
                lines = data.split(b"\n")
                chance.shuffle(lines)
                data = bytearray(b"\n".join(lines))
            case 6:
                lines = data.split(b"\n")
                line = chance.randrange(len(lines))
                lines[line:line] = [lines[chance.randrange(len(lines))]]
                data = bytearray(b"\n".join(lines))
            case _:
                lines = data.split(b"\n")
                del lines[chance.randrange(len(lines))]
                data = bytearray(b"\n".join(lines))
    return bytes(data)


@needs_node
@pytest.mark.parametrize("seed", range(3))
def test_javascript_agrees_on_receipts_that_chance_has_changed(seed: int) -> None:
    chance = random.Random(seed)
    pool = [decoded(case["receipt"]) for case in load("receipts.json") if len(case["vkeys"]) > 0]
    vkeys = (VKEY, OLD_VKEY)
    receipts = [mutated(chance, pool) for _ in range(700)]
    expected = [judge(receipt, vkeys) for receipt in receipts]
    answers = ask(receipt_question(receipt, vkeys, ORIGIN) for receipt in receipts)
    assert [pair for pair in zip(receipts, expected, answers, strict=True) if pair[1] != pair[2]] == []
    kinds = {answer.get("error", "accepted") for answer in expected}
    assert kinds >= {"accepted", "ReceiptError", "NoteError", "WrongKey", "ProofError"}


def judge_history(history: bytes, receipt: bytes) -> dict[str, Any]:
    """What Python says of a history and of a receipt verified with it, in the words of `run.mjs`."""
    try:
        verified = verify_key_history(history.decode("utf-8"), OLD_VKEY, ORIGIN)
        proved = verified.verify_receipt(receipt)
    except UnicodeDecodeError:
        return {"error": "KeyHistoryError"}
    except LedgerError as refusal:
        return {"error": type(refusal).__name__}
    return {"ranges": [[key.vkey, key.first, key.last] for key in verified.keys], **told_of(proved)}


def rewritten(chance: random.Random, history: bytes) -> bytes:
    """Change a history a little, or one receipt in it."""
    if chance.randrange(2):
        return mutated(chance, [history])
    lines = history.split(b"\n")
    at = chance.choice([n for n, line in enumerate(lines) if line.startswith((b"added", b"retired"))])
    act, number, receipt = lines[at].split(b" ")
    changed = base64.b64encode(mutated(chance, [base64.b64decode(receipt)]))
    lines[at] = b" ".join((act, number, changed))
    return b"\n".join(lines)


@needs_node
@pytest.mark.parametrize("seed", range(3))
def test_javascript_agrees_on_histories_that_chance_has_changed(seed: int) -> None:
    chance = random.Random(seed)
    pool = [case for case in histories() if case.error is None and "added" in case.history]
    chosen = [chance.choice(pool) for _ in range(400)]
    asked = [(rewritten(chance, case.history.encode()), case.receipt) for case in chosen]
    expected = [judge_history(*one) for one in asked]
    answers = ask(history_question(*one, OLD_VKEY, ORIGIN) for one in asked)
    assert [pair for pair in zip(asked, expected, answers, strict=True) if pair[1] != pair[2]] == []
    assert {answer.get("error", "accepted") for answer in expected} >= {"accepted", "KeyHistoryError"}


@needs_node
@pytest.mark.parametrize("seed", range(2))
def test_javascript_agrees_on_entries_that_chance_has_changed(seed: int) -> None:
    """Each is the only entry of a log that really has it, so that nothing but the entry can be wrong."""
    chance = random.Random(seed)
    pool = [*grown().leaves[:9], *(leaf for _, leaf in mistaken())]
    leaves = [mutated(chance, pool) for _ in range(400)]
    leaves += [leaf.replace(b'"commits":{', b'"commits":{' + _groups(860), 1) for leaf in pool[:1]]
    leaves += [leaf.replace(b'"commits":{', b'"commits":{' + _groups(840), 1) for leaf in pool[:1]]
    receipts = [Tree([leaf]).receipt(0, 1) for leaf in leaves]
    expected = [judge(receipt, (VKEY,)) for receipt in receipts]
    answers = ask(receipt_question(receipt, (VKEY,), ORIGIN) for receipt in receipts)
    assert [pair for pair in zip(leaves, expected, answers, strict=True) if pair[1] != pair[2]] == []
    assert expected[-1].get("kind"), "840 groups are an entry"
    assert expected[-2] == {"error": "EntryError"}, "860 are too long"


def _groups(count: int) -> bytes:
    return b"".join(b'"a%06d":"%064x",' % (number, number) for number in range(count))


@needs_node
def test_javascript_agrees_on_the_longest_receipt_and_one_byte_more() -> None:
    good = grown().receipt(3, 23)
    longest = good + b"\n" * (2**20 - len(good))
    for receipt, error in ((longest, "NoteError"), (longest + b"\n", "ReceiptError")):
        assert judge(receipt, (VKEY,)) == ask([receipt_question(receipt, (VKEY,), ORIGIN)])[0] == {"error": error}


def test_the_kinds_of_the_javascript_verifier_are_those_of_the_lifecycle() -> None:
    _, _, listed = KINDS_FILE.read_text("utf-8").partition("export default ")
    assert json.loads(listed.rstrip().removesuffix(";")) == sorted(FAMILY_OF)


def test_the_javascript_verifier_depends_on_nothing() -> None:
    allowed = {"./receipt.mjs", "./kinds.mjs", "node:crypto", "node:fs/promises", "node:util"}
    for script in SCRIPTS.glob("*.mjs"):
        for line in script.read_text("utf-8").splitlines():
            if not line.startswith("//") and ("import(" in line or line.startswith("import ")):
                assert line.split('"')[1] in allowed, line


def test_what_checks_receipts_is_short_enough_to_be_read() -> None:
    assert len((SCRIPTS / "receipt.mjs").read_text("utf-8").splitlines()) < 400


def verify_with_node(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert NODE is not None
    return subprocess.run(
        [NODE, str(SCRIPTS / "verify.mjs"), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@needs_node
def test_the_command_verifies_refuses_and_explains_itself(tmp_path: Path) -> None:
    (tmp_path / "receipt").write_bytes(grown().receipt(3, 23))
    (tmp_path / "log.pub").write_text(VKEY + "\n")
    (tmp_path / "old.pub").write_text(OLD_VKEY + "\n")
    key = ["--key", str(tmp_path / "log.pub")]
    done = verify_with_node(str(tmp_path / "receipt"), *key)
    assert (done.returncode, done.stderr) == (0, "")
    assert "index 3, size 23" in done.stdout
    (tmp_path / "all.pub").write_text(f"# every line of the log\n\n{VKEY}\n{ML_DSA_VKEY}\n")
    further = verify_with_node(str(tmp_path / "receipt"), "--key", str(tmp_path / "all.pub"))
    assert (further.returncode, "passed over" in further.stderr) == (0, True)
    refused = verify_with_node(str(tmp_path / "receipt"), "--key", str(tmp_path / "old.pub"))
    assert refused.returncode == 1
    assert "WrongKey" in refused.stderr
    other = verify_with_node(str(tmp_path / "receipt"), *key, "--origin", "other.example")
    assert (other.returncode, "WrongOrigin" in other.stderr) == (1, True)
    (tmp_path / "both.pub").write_text(f"{OLD_VKEY}\n{VKEY}\n")
    for several in (["--key", str(tmp_path / "both.pub")], [*key, "--key", str(tmp_path / "old.pub")]):
        ranges = verify_with_node(str(tmp_path / "receipt"), *several)
        assert (ranges.returncode, "a key history proves" in ranges.stderr) == (2, True)
    for wrong in ([], [str(tmp_path / "receipt")], [str(tmp_path / "missing"), *key], ["--bogus"]):
        used = verify_with_node(*wrong)
        assert (used.returncode, "use: node verify.mjs" in used.stderr) == (2, True)


@needs_node
def test_the_command_follows_the_key_history_and_refuses_a_retired_key(tmp_path: Path) -> None:
    cases = {case.why: case for case in histories()}
    forged = cases["a checkpoint of a log that the retired first key forged"]
    true = cases["a checkpoint of size 20 by the third key, in its range"]
    (tmp_path / "log.pub").write_text(OLD_VKEY + "\n")
    (tmp_path / "key-history").write_bytes(true.history.encode())
    given = ["--key", str(tmp_path / "log.pub"), "--history", str(tmp_path / "key-history")]
    for case, status, told in ((true, 0, "size 20"), (forged, 1, "KeyNotInForce")):
        (tmp_path / "receipt").write_bytes(case.receipt)
        done = verify_with_node(str(tmp_path / "receipt"), *given)
        assert (done.returncode, told in done.stdout + done.stderr) == (status, True)
    (tmp_path / "key-history").write_bytes(true.history.replace("0-8 ", "0-48 ").encode())
    refused = verify_with_node(str(tmp_path / "receipt"), *given)
    assert (refused.returncode, "KeyHistoryError" in refused.stderr) == (1, True)
