"""The serials in the codes of reports: of a division and a day, none is given twice.

What is taken is told by the claims of the codes, and not by the reports: an erased report has lost its code, under
which others know it all the same.
"""

from __future__ import annotations

import hashlib

from ledger import Ledger

LAST_SERIAL = 999_999
_AT_ONCE = 64
"""Claims that are asked for at once: four questions find one of a million."""


def code_of(prefix: str, serial: int) -> str:
    """Write the code of a report."""
    return f"{prefix}{serial:06d}"


def code_claim(code: str) -> bytes:
    """Give the claim that one report only can make."""
    return hashlib.sha256(b"report-code\x00" + code.encode()).digest()


async def free_serial(ledger: Ledger, prefix: str, *, after: int = 0) -> int:
    """Find a free serial after one that is taken; `LAST_SERIAL + 1` if there is none.

    It is the first, as long as serials are given in their order.
    """
    taken, free = after, LAST_SERIAL + 1
    while free - taken > 1:
        step = max(1, (free - taken) // _AT_ONCE)
        asked = {code_claim(code_of(prefix, serial)): serial for serial in range(taken + step, free, step)}
        held = await ledger.holders(list(asked))
        for claim, serial in asked.items():
            if claim not in held:
                free = serial
                break
            taken = serial
    return free
