"""Cron expressions: what they mean, what is refused, and what comes when clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torpor_api.cron import parse_cron, parse_time_zone


def due(cron: str, zone: str, after: str, count: int = 1) -> list[str]:
    """The next moments, as that zone's clock shows them; ``after`` too."""
    known = parse_time_zone(zone)
    moment: float | None = datetime.fromisoformat(after).replace(tzinfo=known).timestamp()
    found = []
    for _ in range(count):
        assert moment is not None
        moment = parse_cron(cron).next_after(moment, known)
        found.append("never" if moment is None else shown(moment, known))
    return found


def shown(moment: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(moment, zone).strftime("%a %Y-%m-%d %H:%M %z")


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("* * * * *", "Thu 2026-01-01 10:31 +0000"),
        ("*/20 * * * *", "Thu 2026-01-01 10:40 +0000"),
        ("10-30/7 * * * *", "Thu 2026-01-01 11:10 +0000"),
        ("5,45,50 * * * *", "Thu 2026-01-01 10:45 +0000"),
        ("0 8 * * mon-fri", "Fri 2026-01-02 08:00 +0000"),
        ("0 8 * * SAT,sun", "Sat 2026-01-03 08:00 +0000"),
        ("0 8 * * 7", "Sun 2026-01-04 08:00 +0000"),
        ("0 8 * * 0", "Sun 2026-01-04 08:00 +0000"),
        ("0 8 * * sat-sun", "Sat 2026-01-03 08:00 +0000"),
        ("0 8 * * 0-0", "Sun 2026-01-04 08:00 +0000"),
        ("0 8 2-31 * */7", "Sun 2026-01-04 08:00 +0000"),
        ("0 0 1 mar *", "Sun 2026-03-01 00:00 +0000"),
        ("30 10 1 1 *", "Fri 2027-01-01 10:30 +0000"),
        ("0 0 29 2 *", "Tue 2028-02-29 00:00 +0000"),
        ("0 0 31 * *", "Sat 2026-01-31 00:00 +0000"),
        ("0 0 13 * fri", "Fri 2026-01-02 00:00 +0000"),
        ("0 0 */2 * fri", "Fri 2026-01-09 00:00 +0000"),
        ("0 0 13 * */2", "Tue 2026-01-13 00:00 +0000"),
        ("@hourly", "Thu 2026-01-01 11:00 +0000"),
        ("@Weekly", "Sun 2026-01-04 00:00 +0000"),
        ("  0   12 * * *  ", "Thu 2026-01-01 12:00 +0000"),
    ],
)
def test_the_next_moment(cron: str, expected: str) -> None:
    assert due(cron, "UTC", "2026-01-01 10:30") == [expected]


def test_moments_follow_each_other() -> None:
    assert due("15 9,17 1,15 * *", "Asia/Kathmandu", "2026-01-01 09:15", 3) == [
        "Thu 2026-01-01 17:15 +0545",
        "Thu 2026-01-15 09:15 +0545",
        "Thu 2026-01-15 17:15 +0545",
    ]


def test_what_may_be_eight_years_away_is_found_and_no_more_is_looked_for() -> None:
    assert due("0 0 29 feb *", "UTC", "2096-03-01") == ["Fri 2104-02-29 00:00 +0000"]
    assert due("0 0 29 feb */6", "UTC", "2032-03-01") == ["never"]


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("60 * * * *", "minute '60': allowed is 0 to 59, *, ranges a-b"),
        ("* 24 * * *", "hour '24': allowed is 0 to 23, "),
        ("* * 0 * *", "day of month '0': allowed is 1 to 31, "),
        ("* * * 13 *", "month '13': allowed is 1 to 12 or jan to dec, "),
        ("* * * * 8", "day of week '8': allowed is 0 to 7 or sun to sat, "),
        ("* * * * monday", "day of week 'monday': allowed"),
        ("* * L * *", "day of month 'L': allowed"),
        ("* * 15W * *", "day of month '15W': allowed"),
        ("30-10 * * * *", "minute '30-10': allowed"),
        ("*/0 * * * *", "minute '*/0': allowed"),
        ("5/15 * * * *", "minute '5/15': allowed is 0 to 59, *, ranges a-b, steps */n or a-b/n"),
        ("1,,2 * * * *", "minute '1,,2': allowed"),
        ("1- * * * *", "minute '1-': allowed"),
        ("-5 * * * *", "minute '-5': allowed"),
        ("٣ * * * *", "minute '٣': allowed"),
        ("*/٣ * * * *", "minute '*/٣': allowed"),
        ("0 0 * *", "'0 0 * *' has 4 fields: allowed are five (minute, hour, day of month, "),
        ("@reboot", "has 1 fields: allowed are five"),
        ("", "'' has 0 fields"),
        ("0 0 30 2 *", "'0 0 30 2 *' never comes: no month among these has a day 30"),
        ("0 0 31 feb,apr,jun *", "never comes: no month among these has a day 31"),
        ("1," * 200 + " * * * *", "is too long: allowed are 256 characters"),
    ],
)
def test_what_cannot_be_read_is_refused(cron: str, says: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_cron(cron)
    assert says in str(refused.value)


def test_a_list_may_be_as_long_as_all_minutes() -> None:
    minutes = ",".join(map(str, range(60)))
    assert len(parse_cron(f"{minutes} * * * *".ljust(256)).minutes) == 60


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../etc/passwd", "Europe", "\0", "GMT+99"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone: write a name of IANA's, like"):
        parse_time_zone(name)


class TestClocksSetForward:
    """In Berlin from 2:00 to 3:00, on the 29th of March 2026."""

    def test_a_time_that_is_skipped_comes_at_once(self) -> None:
        assert due("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", 2) == [
            "Sun 2026-03-29 03:00 +0200",
            "Mon 2026-03-30 02:30 +0200",
        ]

    def test_several_that_are_skipped_come_once_together(self) -> None:
        assert due("0,10,30 2,3 * * *", "Europe/Berlin", "2026-03-29 01:00", 3) == [
            "Sun 2026-03-29 03:00 +0200",
            "Sun 2026-03-29 03:10 +0200",
            "Sun 2026-03-29 03:30 +0200",
        ]

    def test_of_every_hour_only_those_that_are_shown_come(self) -> None:
        assert due("30 * * * *", "Europe/Berlin", "2026-03-29 01:00", 2) == [
            "Sun 2026-03-29 01:30 +0100",
            "Sun 2026-03-29 03:30 +0200",
        ]

    def test_by_half_an_hour(self) -> None:
        assert due("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00") == [
            "Sun 2026-10-04 02:30 +1100"
        ]

    def test_at_midnight(self) -> None:
        """Where a day begins at 1:00."""
        assert due("0 0 * * *", "Asia/Beirut", "2026-03-28 12:00", 2) == [
            "Sun 2026-03-29 01:00 +0300",
            "Mon 2026-03-30 00:00 +0300",
        ]

    def test_by_a_whole_day(self) -> None:
        """Samoa went to the other side of the date line: there was no 30th."""
        assert due("0 9 * * *", "Pacific/Apia", "2011-12-29 12:00", 2) == [
            "Sat 2011-12-31 00:00 +1400",
            "Sat 2011-12-31 09:00 +1400",
        ]


class TestClocksSetBack:
    """In Berlin from 3:00 to 2:00, on the 25th of October 2026."""

    def test_a_time_that_comes_twice_counts_the_first_time(self) -> None:
        assert due("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", 2) == [
            "Sun 2026-10-25 02:30 +0200",
            "Mon 2026-10-26 02:30 +0100",
        ]

    def test_of_every_hour_both_come(self) -> None:
        assert due("*/30 2-3 * * *", "Europe/Berlin", "2026-10-25 01:00", 5) == [
            "Sun 2026-10-25 02:00 +0200",
            "Sun 2026-10-25 02:30 +0200",
            "Sun 2026-10-25 02:00 +0100",
            "Sun 2026-10-25 02:30 +0100",
            "Sun 2026-10-25 03:00 +0100",
        ]

    def test_over_midnight(self) -> None:
        """Where the first hour of a day comes twice."""
        assert due("0 * * * *", "America/Havana", "2026-10-31 23:30", 3) == [
            "Sun 2026-11-01 00:00 -0400",
            "Sun 2026-11-01 00:00 -0500",
            "Sun 2026-11-01 01:00 -0500",
        ]


_numbers = st.tuples(st.integers(0, 59), st.integers(0, 23))
_everyday_fields = st.sampled_from(["* * *", "*/2 * *", "* 3,10 *", "* * 0", "29,25 * 1"])


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "America/Nuuk"]),
    st.sampled_from(["2026-03-28", "2026-10-03", "2026-10-24", "2026-04-04", "2026-11-01"]),
    st.integers(0, 2 * 1440),
    _numbers,
    _everyday_fields,
    st.sampled_from(["{minute} * {days}", "*/{hour} {hour} {days}", "*/7 */5 {days}"]),
)
def test_what_goes_by_the_clock_comes_whenever_the_clock_shows_it(
    zone: str, day: str, later: int, numbers: tuple[int, int], days: str, pattern: str
) -> None:
    """Compared with a look at the clock in each minute of two days, around the changes."""
    known = parse_time_zone(zone)
    minute, hour = numbers
    cron = parse_cron(pattern.format(minute=minute, hour=max(hour, 1), days=days))
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=later)
    found = cron.next_after(start.timestamp(), known)
    for ahead in range(1, 2 * 1440):
        local = (start + timedelta(minutes=ahead)).astimezone(known)
        is_shown = local.minute in cron.minutes and local.hour in cron.hours
        if is_shown and cron.is_on(local.date()):
            assert found == local.timestamp()
            assert cron.latest_until(found, known, 1) == found
            before = cron.latest_until(found - 1, known, 3)
            assert before is None or cron.next_after(before, known) == found
            return
    assert found is None or found >= (start + timedelta(days=2)).timestamp()
