"""What another implementation does (PyPI aics-tlog and aics-witness, Python 3.12 or newer); told as JSON lines.

verify NOTE LOG_VKEY WITNESS_VKEY      verify the log's signature and the witness's cosignature of a checkpoint
feed URL WITNESS_VKEY                  as a log: ask a witness, with its own client, for growing and forked checkpoints
"""

import json
import sys
from pathlib import Path

from aics_tlog import (
    Checkpoint,
    MerkleTree,
    format_vkey,
    parse_note,
    parse_vkey,
    sign_checkpoint,
    verify_checkpoint,
    vkey_from_ed25519,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "aics.example/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


LOG = vkey_from_ed25519(ORIGIN, KEY.public_key().public_bytes_raw())


def vkey() -> None:
    print(json.dumps({"vkey": format_vkey(LOG)}))


def verify(note: str, log: str, witness: str) -> None:
    result = verify_checkpoint(parse_note(Path(note).read_bytes()), parse_vkey(log), [parse_vkey(witness)], quorum=1)
    print(json.dumps({"log_ok": result.log_ok, "ok": result.ok, "witnesses": result.witnesses, "error": result.error}))


def feed(url: str, witness: str) -> None:
    from aics_witness.feeder import FeederError, WitnessClient, merge_cosignatures

    tree, fork = MerkleTree(), MerkleTree()
    with WitnessClient(url, witness) as client:
        for number in range(300):
            tree.append(b"entry %d" % number)
            fork.append(b"entry %d" % number if number < 200 else b"fork %d" % number)
            if number not in (0, 1, 6, 99, 255, 299):
                continue
            note = sign_checkpoint(Checkpoint(ORIGIN, tree.size, tree.root()), KEY, ORIGIN).to_bytes()
            whole = merge_cosignatures(note, client.submit(note, tree.consistency_proof))
            result = verify_checkpoint(parse_note(whole), LOG, [parse_vkey(witness)], quorum=1)
            print(json.dumps({"size": tree.size, "ok": result.ok}))
        note = sign_checkpoint(Checkpoint(ORIGIN, fork.size, fork.root()), KEY, ORIGIN).to_bytes()
        try:
            client.submit(note, fork.consistency_proof)
        except FeederError as refused:
            print(json.dumps({"refused": type(refused).__name__, "status": getattr(refused, "status", None)}))


if __name__ == "__main__":
    {"vkey": vkey, "verify": verify, "feed": feed}[sys.argv[1]](*sys.argv[2:])
