"""A fuzz target for everything that reads what strangers hand in: only `LedgerError` may come out, and never a lie.

    python -m tests.fuzz.fuzz_verifiers --runs 100000 --seed 7     without any library: seeds, bent at random
    python -m tests.fuzz.fuzz_verifiers --atheris corpus/          with `atheris` installed: guided by coverage

A run ends at the first input that crashes a verifier, or passes as a proof of something else than the seed it was made
from, and prints it in hexadecimal.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ledger.completeness.proof import CompleteHistory, verify_completeness
from ledger.completeness.smt import MapProof, verify_absent, verify_member
from ledger.errors import LedgerError
from ledger.fsck.state import read_state
from ledger.log.checkpoint import open_checkpoint
from ledger.log.note import open_note
from ledger.merkle import verify_consistency, verify_inclusion
from ledger.receipt import verify_receipt
from ledger.records.codec import decode_entry
from tests.fuzz.seeds import KEYS, ORIGIN, PROOFS, RECORDS, TREE

Proved = object


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A verifier, total over bytes; it returns what it proved. With `exact`, nothing else than a seed proves passes."""

    verify: Callable[[bytes], Proved]
    seeds: tuple[bytes, ...]
    exact: bool = True
    true: Callable[[Proved], bool] = lambda proved: False
    """Tells of something else that it is true all the same."""


def _hashes(data: bytes) -> tuple[list[bytes], bytes]:
    """Read a proof of any length: hashes, the last of which may be cut short, behind two numbers of two bytes."""
    return [data[at : at + 32] for at in range(4, len(data), 32)], data[:4]


def _inclusion(data: bytes) -> Proved:
    proof, numbers = _hashes(data)
    index, size = int.from_bytes(numbers[:2], "big"), 23
    verify_inclusion(TREE.node(0, 9), index, size, proof, TREE.root(size))
    return index


def _consistency(data: bytes) -> Proved:
    proof, numbers = _hashes(data)
    old = int.from_bytes(numbers[:2], "big")
    verify_consistency(old, 23, proof, TREE.root(11), TREE.root(23))
    return old


def _map_proof(data: bytes) -> Proved:
    end = (data[:32], data[32:64]) if len(data) % 2 else None
    proof = MapProof(path=tuple(data[at : at + 32] for at in range(64, len(data), 32)), end=end)
    root, key, value = PROOFS.map_root, PROOFS.map_key, PROOFS.map_value
    try:
        verify_absent(root, key, proof)
    except LedgerError:
        verify_member(root, key, value, proof)
        return "member"
    return "absent"


def _state(data: bytes) -> Proved:
    return read_state(data.decode("utf-8", "replace"))


def is_truly_absent(proved: Proved) -> bool:
    """Tell whether it was proved that a record has no entries which has none: one way down serves many such records."""
    assert isinstance(proved, CompleteHistory)
    return not proved.entries and proved.record not in RECORDS


TARGETS: dict[str, Target] = {
    "receipt": Target(verify=lambda data: verify_receipt(data, KEYS, ORIGIN), seeds=(TREE.receipt(9, 23),)),
    "note": Target(verify=lambda data: open_note(data, KEYS), seeds=(TREE.note(23),)),
    "checkpoint": Target(verify=lambda data: open_checkpoint(data, KEYS, ORIGIN), seeds=(TREE.note(23),)),
    "entry": Target(verify=decode_entry, seeds=(TREE.leaves[9],), exact=False),
    "inclusion": Target(verify=_inclusion, seeds=(b"\x00\x09\x00\x00" + b"".join(TREE.proof(9, 23)),), exact=False),
    "consistency": Target(verify=_consistency, seeds=(PROOFS.consistency,), exact=False),
    "map": Target(verify=_map_proof, seeds=(PROOFS.map_member,), exact=False),
    "completeness": Target(
        verify=lambda data: verify_completeness(data, KEYS, ORIGIN), seeds=PROOFS.completeness, true=is_truly_absent
    ),
    "fsck-state": Target(verify=_state, seeds=(PROOFS.state,), exact=False),
}


class Lie(AssertionError):
    """An altered input passed as a proof of something else."""


def feed(target: Target, data: bytes) -> None:
    """Give one input to a verifier.

    Raises:
        Lie: it passed though it is no seed, and proves something that no seed proves.
    """
    try:
        proved = target.verify(data)
    except LedgerError:
        return
    if not target.exact or data in target.seeds or target.true(proved):
        return
    if proved not in [target.verify(seed) for seed in target.seeds]:
        raise Lie(f"an altered input passed: {data.hex()}")


def bend(seeds: tuple[bytes, ...], source: random.Random) -> bytes:
    """Make one input: a seed with some of its bytes flipped, cut, doubled, moved or replaced; now and then noise."""
    if source.random() < 0.05:
        return source.randbytes(source.randrange(400))
    data = bytearray(source.choice(seeds))
    for _ in range(source.choice((1, 1, 1, 2, 5))):
        at = source.randrange(len(data) + 1)
        to = min(len(data), at + source.choice((1, 1, 2, 32, 64, 200)))
        act = source.randrange(6)
        if act == 0 and at < len(data):
            data[at] ^= 1 << source.randrange(8)
        elif act == 1:
            del data[at:to]
        elif act == 2:
            data[at:at] = data[at:to]
        elif act == 3:
            data[at:to] = source.randbytes(to - at)
        elif act == 4:
            data[at:at] = source.choice((b"\n", b" ", b"\x00", b"0", b"-1", b"\xe2\x80\x94", b"\xff", b'"', b"\\u0041"))
        else:
            piece = bytes(data[at:to])
            del data[at:to]
            data[source.randrange(len(data) + 1) :] = piece
    return bytes(data)


def inputs(runs: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield inputs for each verifier in turn, the same for the same seed."""
    source = random.Random(seed)
    names = sorted(TARGETS)
    for number in range(runs):
        name = names[number % len(names)]
        yield name, bend(TARGETS[name].seeds, source)


def fuzz(runs: int, seed: int) -> None:
    """Run so many inputs; raises what the first bad one raised, with a note that has the input."""
    for name, data in inputs(runs, seed):
        try:
            feed(TARGETS[name], data)
        except Exception as failure:
            failure.add_note(f"{name}: {data.hex()}")
            raise


def _guided(arguments: list[str]) -> None:
    import atheris  # type: ignore[import-not-found, unused-ignore]  # an optional tool of whoever fuzzes

    names = sorted(TARGETS)

    def one(data: bytes) -> None:
        if data:
            feed(TARGETS[names[data[0] % len(names)]], data[1:])

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", nargs=argparse.REMAINDER, help="Everything after it goes to libFuzzer.")
    given = parser.parse_args()
    if given.atheris is not None:
        _guided(given.atheris)
    else:
        fuzz(given.runs, given.seed)
        print(json.dumps({"runs": given.runs, "seed": given.seed, "verifiers": sorted(TARGETS)}))


if __name__ == "__main__":
    main()
