"""A page ends by bytes; something is on each page, or nobody would ever come to its end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rpc.paging import LONGEST_PAGE, fill, page_bytes
from gateway.v1 import verification_pb2 as pb


@given(st.lists(st.integers(0, 2000), max_size=30), st.integers(0, 5000))
def test_a_page_holds_as_many_as_fit_and_the_first_in_any_case(sizes: list[int], most: int) -> None:
    parts = [pb.Verification(item="x" * size) for size in sizes]
    page = pb.ListVerificationsResponse()

    added = fill(page.verifications, iter(parts), most)

    assert list(page.verifications) == parts[:added]
    assert added >= min(1, len(parts))
    assert added <= 1 or page.ByteSize() <= most
    if added < len(parts):
        more = pb.ListVerificationsResponse(verifications=parts[: added + 1])
        assert more.ByteSize() + 12 * (added + 1) > most


@pytest.mark.parametrize(("message", "page"), [(1024, 512), (1 << 20, 1 << 19), (1 << 26, LONGEST_PAGE)])
def test_a_page_is_half_of_what_may_be_sent_and_never_more_than_clients_take(message: int, page: int) -> None:
    assert page_bytes(message) == page
