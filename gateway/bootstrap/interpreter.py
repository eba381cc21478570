"""How the interpreter is set for serving: when it searches for garbage, and how soon a thread that waits is let in.

Nearly all garbage is gone as soon as nobody knows it. Only what knows itself in a circle must be searched for, and of
that a call leaves next to nothing: gRPC leaves some small objects, and of a call that is refused no more than the error
that ended it (`gateway.rpc.sizes`). A search looks at everything that is under way
meanwhile, so one that begins whenever some thousand objects are new, as it does by itself, took an eighth of the time
of a busy gateway and found nothing. Here it begins by the clock.
"""

from __future__ import annotations

import gc
import sys
from datetime import timedelta

from gateway.bootstrap.chores import Chore

_EVERY = timedelta(seconds=2)
_MANY = 100_000
"""New objects after which a search begins whatever the clock says: more than what is under way at the busiest."""
_LET_IN = 0.0005
"""Seconds after which a thread that waits for the interpreter is let in."""
_OLDER, _OLDEST = 16, 512
"""Every how many searches those that outlived one are searched too, and everything is."""


def prepare_interpreter() -> None:
    """Set the interpreter for serving."""
    settle()
    gc.set_threshold(_MANY, 20, 50)
    sys.setswitchinterval(_LET_IN)


def settle() -> None:
    """Take what there is now for what lives as long as the process: it is not searched again and again."""
    gc.collect()
    gc.freeze()


def tidying() -> Chore:
    """Give the chore that searches for garbage: what is new each time, what is older more rarely, so that none stays
    for good and no search stops the callers for long.
    """
    searches = 0

    async def search() -> None:
        nonlocal searches
        searches += 1
        gc.collect(2 if searches % _OLDEST == 0 else 1 if searches % _OLDER == 0 else 0)

    return Chore(name="tidy", act=search, every=_EVERY, first=_EVERY, retry=_EVERY)
