"""What commands that append share: the open ledger, how long they wait for a receipt, and what they say without it."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.config import LedgerSettings
    from ledger import Ledger

_PATIENCE = 30.0
"""Seconds for which a command waits, where no witnesses are asked."""
_STANDS = (
    "It stands: do not give the command again. When it is published, `chengxin ledger prove {index}` is its receipt."
)


class Unpublished(click.ClickException):
    """What was asked for is recorded, and has no receipt yet."""

    exit_code = 4


@contextmanager
def writing_ledger(
    settings: LedgerSettings, *, as_json: bool, advice: str = _STANDS, accepted: int | None = None
) -> Iterator[Ledger]:
    """Open the configured ledger to append by a command, which does not wait for its receipt for ever.

    `accepted` is as of `open_ledger`.

    Raises:
        Unpublished: the receipt did not come in time; what is recorded was told, as JSON too, and `advice` with it.
        ledger.LedgerError: as `open_ledger`.
    """
    from gateway.bootstrap.ledger import open_ledger, waited_for
    from ledger.appends.publishing import SignAfter
    from ledger.appends.waiting import Patience
    from ledger.errors import ReceiptLate

    awaited, seconds = waited_for(settings), _PATIENCE
    if settings.sign_after is SignAfter.WITNESS:  # a round may have begun before the entry came: the next one counts
        seconds = 2 * (settings.publish_every + settings.witness_timeout).total_seconds()

    def told() -> None:
        click.echo(f"recorded; waiting until {awaited}, {seconds:g} seconds at most", err=True)

    try:
        with open_ledger(settings, patience=Patience(seconds=seconds, told=told), accepted=accepted) as ledger:
            yield ledger
    except ReceiptLate as late:
        record = late.record.hex()
        if as_json:
            click.echo(jsonlib.dumps({"index": late.index, "record": record, "published": False}))
        missing = "witnessed" if settings.sign_after is SignAfter.WITNESS else "published"
        raise Unpublished(
            f"recorded as entry {late.index} (record {record}), not yet {missing}: that takes until {awaited}, "
            f"which was not within {seconds:g} seconds. {advice.format(index=late.index)}"
        ) from late
