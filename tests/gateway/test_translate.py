"""Times on the wire are those of the values, to the microsecond and in every year."""

from datetime import UTC, datetime, timedelta, timezone

from google.protobuf import timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway.rpc.translate import timestamp

ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC) | ZONES)


@given(TIMES)
def test_a_time_is_written_as_protobuf_itself_writes_it(at: datetime) -> None:
    expected = timestamp_pb2.Timestamp()
    expected.FromDatetime(at)
    assert timestamp(at) == expected


def test_no_time_is_no_message() -> None:
    assert timestamp(None) is None
