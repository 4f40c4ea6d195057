"""Moments: what RFC 3339 allows, and what programs write."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import Invalid
from db.formats.timestamps import LAST, clamped, format_timestamp, microseconds, moment_of, parse_timestamp, said_moment

NINE = datetime(2026, 11, 29, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-29T09:00:00Z", "2026-11-29t09:00:00z", "2026-11-29 09:00:00Z", "2026-11-29T09:00:00z"),
        *("2026-11-29T10:00:00+01:00", "2026-11-29T10:00:00+0100", "2026-11-29T00:00:00-09:00"),
        *("2026-11-29T09:00:00.000Z", "2026-11-29T09:00:00.0000000001Z", "2026-11-29T09:00:00-00:00"),
    ],
)
def test_reads_every_way_to_write_one(text: str) -> None:
    assert parse_timestamp(text) == NINE


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-11-29", "2026-11-29T09:00:00", "2026-11-29T09:00Z", "2026-W48-7T09:00:00Z", "20261129T090000Z"),
        *("2026-11-29T09:00:00+01", "2026-11-29T09:00:00+01:00:30", "2026-11-29T09:00:00,5Z", "2026-11-31T09:00:00Z"),
        *("2026-11-29T24:00:00Z", "0001-01-01T00:00:00+14:00", "\uff12026-11-29T09:00:00Z", "2026-11-29T09:00:00Z "),
    ],
)
def test_is_not_fooled_by_what_is_none(text: str) -> None:
    assert parse_timestamp(text) is None


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NINE, "2026-11-29T09:00:00.000Z"),
        (NINE.replace(microsecond=999_999), "2026-11-29T09:00:00.999Z"),
        (NINE.astimezone(timezone(timedelta(hours=-9, minutes=-30))), "2026-11-29T09:00:00.000Z"),
    ],
)
def test_writes_milliseconds_in_utc(moment: datetime, text: str) -> None:
    assert format_timestamp(moment) == text


@pytest.mark.parametrize(
    "said",
    ["2026-11-29T09:00:00", " 2026-11-29 09:00:00 ", "2026-11-29t09:00:00z", "2026-11-29T10:00+01:00", NINE],
)
def test_a_file_may_leave_out_the_zone(said: object) -> None:
    assert said_moment(said, "at") == NINE


@pytest.mark.parametrize(
    "said",
    [
        *("yesterday", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00"),
        *("1969-12-31T23:59:59Z", 7, True, [], {}, "2026-11-31", " ", "\x00"),
    ],
)
def test_a_file_that_says_no_time_of_a_label_is_told(said: object) -> None:
    with pytest.raises(Invalid, match="`at` must be a time from 1970 until 9000"):
        said_moment(said, "at")


def test_what_the_driver_reads_as_infinite_is_a_moment() -> None:
    assert format_timestamp(datetime.min) == "0001-01-02T00:00:00.000Z"  # noqa: DTZ901
    assert clamped(datetime.max) == LAST  # noqa: DTZ901
    assert clamped(NINE) == NINE
    assert parse_timestamp("9999-12-31T23:59:59.999999Z") == LAST  # also as the expiry of a token


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact(moment: datetime) -> None:
    assert moment_of(microseconds(moment)) == moment
