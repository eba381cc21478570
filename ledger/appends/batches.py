"""How much is committed at once, or sent at once to who commits: bounded by count, and by bytes."""

from __future__ import annotations

from collections import deque
from typing import Protocol, TypeVar

from ledger.appends.admission import MOST_BYTES, Admitted

MOST_SUBMISSIONS = 1024


class Waits(Protocol):
    """A submission with whatever tells where its answer goes."""

    @property
    def admitted(self) -> Admitted:
        """The submission."""
        ...


Waiting = TypeVar("Waiting", bound=Waits)


def take(queue: deque[Waiting]) -> list[Waiting]:
    """Take what waits first, one at least, and more only while all of it together is no more than one may be.

    It ends with the first submission that erases, so that what comes later in the queue can never be destroyed by it.
    """
    batch: list[Waiting] = []
    weight = 0
    while queue and len(batch) < MOST_SUBMISSIONS:
        weight += queue[0].admitted.weight
        if batch and weight > MOST_BYTES:
            break
        batch.append(queue.popleft())
        if batch[-1].admitted.erase:
            break
    return batch
