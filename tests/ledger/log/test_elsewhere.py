"""Published checkpoints are asked for at once and within one time, however an address drips."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import PublicationUnavailable
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.elsewhere import ask_elsewhere
from ledger.publication.sources import HttpSource
from tests.ledger.peers import BODY, HEAD, answering
from tests.ledger.witness.house import new_log


@pytest.fixture(params=[HEAD, BODY], ids=["head", "body"])
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    """Answers everybody a byte at a time: of the body, or of the head."""
    with answering(request.param, dripping=True) as url:
        yield url


def test_addresses_that_drip_are_given_up_together(dripping: str, tmp_path: Path) -> None:
    log = new_log(tmp_path).grow(2)
    there = tmp_path / "checkpoint"
    there.write_bytes(sign_checkpoint(Checkpoint(origin="log.example/a", size=2, root=bytes(32)), [log.signer]))
    drips = [f"{dripping}{n}" for n in range(5)]
    began = time.monotonic()
    found = ask_elsewhere([*drips, str(there)], timeout=0.5)
    assert time.monotonic() - began < 2
    assert (list(found.notes), list(found.unreachable)) == ([str(there)], drips)


@pytest.mark.parametrize(
    "address",
    [
        "http://xn--/", "http://127.0.0.1:99999/", "http://a\x01b/", "http://[::1", "ftp://x/", "nowhere", "a\x00b",
        "http://127.0.0.1:1/", "http://" + "a" * 300,
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_unreachable_beside_one_that_answers(address: str, tmp_path: Path) -> None:
    log = new_log(tmp_path).grow(2)
    there = tmp_path / "checkpoint"
    there.write_bytes(sign_checkpoint(Checkpoint(origin="log.example/a", size=2, root=bytes(32)), [log.signer]))
    found = ask_elsewhere([address, str(there)])
    assert (list(found.notes), list(found.unreachable)) == ([str(there)], [address])


def test_a_published_resource_that_drips_is_given_up(dripping: str) -> None:
    with HttpSource(dripping, whole=0.3) as source, pytest.raises(PublicationUnavailable, match="too slowly"):
        source.fetch("checkpoint", 1 << 20)
