"""The owner process of a shared ledger under measurement: `python -m ledger.bench.owner HOME URL SOCKET`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from ledger.appends.identity import Identity
from ledger.bench.house import ORIGIN, now, serve_like
from ledger.log.key_file import load_signer
from ledger.sharing.owner import open_owner


def main() -> None:
    """Serve until SIGTERM."""
    home, url, socket = sys.argv[1:]
    signer = load_signer(Path(home) / "log.key", ORIGIN)
    identity = Identity(origin=ORIGIN, signers=(signer,), verifiers=(signer.verifier,))
    serve_like()
    with open_owner(url, Path(socket), identity=identity, now=now) as owner:
        signal.signal(signal.SIGTERM, lambda *_: owner.stop())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        owner.serve()


if __name__ == "__main__":
    main()
