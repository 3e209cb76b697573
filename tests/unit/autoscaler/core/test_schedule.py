"""Schedules: who has to be awake now, how large, and when the answer changes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from torpor_autoscaler.core.decision import Loop
from torpor_autoscaler.core.schedule import (
    Schedule,
    ScheduleChoice,
    Window,
    choose_awake,
    parse_job,
    parse_schedule,
)

HOUR = 3600.0
OFFICE = parse_schedule("0 8 * * mon-fri", "Europe/Berlin", 10 * HOUR, Decimal("0.5"))
LUNCH = parse_schedule("30 11 * * *", "Europe/Berlin", 2 * HOUR, Decimal(2))


def at(text: str) -> float:
    """Of a clock in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=OFFICE.zone).timestamp()


def choose(text: str, *schedules: Schedule, lead_s: float = 0.0) -> ScheduleChoice:
    choice = choose_awake(schedules, at(text), lead_s)
    assert choice is not None
    return choice


def test_without_schedules_there_is_nothing_to_say() -> None:
    assert choose_awake((), 0.0) is None


def test_within_its_window_it_is_awake() -> None:
    """The second of January 2026 is a Friday."""
    choice = choose("2026-01-02 08:00", OFFICE)
    assert (choice.is_awake, choice.min_cu) == (True, Decimal("0.5"))
    assert choice.look_again_s == at("2026-01-02 18:00")
    assert choice.decision.line == (
        "is awake with 0.5 CU or more by schedule 0 8 * * mon-fri Europe/Berlin: "
        "time to the window's end 10h, above 0 s"
    )


@pytest.mark.parametrize("moment", ["2026-01-02 07:59:59", "2026-01-02 18:00", "2026-01-03 12:00"])
def test_outside_of_it_may_sleep(moment: str) -> None:
    choice = choose(moment, OFFICE)
    assert (choice.is_awake, choice.min_cu) == (False, Decimal(0))
    next_at = at("2026-01-02 08:00" if moment < "2026-01-02 08" else "2026-01-05 08:00")
    assert choice.look_again_s == next_at
    assert choice.decision.follows == "may sleep by its schedules"


def test_it_is_woken_so_long_before_as_a_wake_takes() -> None:
    early = choose("2026-01-02 07:59:40", OFFICE, lead_s=15.0)
    assert not early.is_awake
    assert early.look_again_s == at("2026-01-02 07:59:45")
    assert early.decision.line == (
        "may sleep by its schedules: time to the next window 20 s, above 15 s"
    )
    assert choose("2026-01-02 07:59:45", OFFICE, lead_s=15.0).is_awake
    assert choose("2026-01-02 17:59:50", OFFICE, lead_s=15.0).is_awake


@pytest.mark.parametrize("moment", ["07:58:00", "07:59:30", "07:59:59", "08:00:59"])
def test_a_window_that_is_over_before_a_slow_wake_would_be_done_counts_as_well(moment: str) -> None:
    short = parse_schedule("0 8 * * *", "Europe/Berlin", 60.0)
    assert choose(f"2026-01-02 {moment}", short, lead_s=120.0).is_awake
    assert not choose("2026-01-02 08:01", short, lead_s=120.0).is_awake


def test_where_windows_overlap_the_largest_minimum_counts() -> None:
    morning, noon = (choose(f"2026-01-02 {t}", OFFICE, LUNCH) for t in ("09:00", "12:00"))
    assert (morning.min_cu, noon.min_cu) == (Decimal("0.5"), Decimal(2))
    assert morning.look_again_s == at("2026-01-02 11:30")
    assert noon.look_again_s == at("2026-01-02 13:30")
    assert noon.decision.value == at("2026-01-02 18:00") - at("2026-01-02 12:00")
    assert choose("2026-01-03 12:00", OFFICE, LUNCH).min_cu == 2


def test_windows_of_one_schedule_may_overlap() -> None:
    """Every half hour for an hour: it is always awake, and each begin puts off the end."""
    always = parse_schedule("*/30 * * * *", "UTC", HOUR)
    choice = choose_awake((always,), 45 * 60.0)
    assert choice is not None
    assert (choice.is_awake, choice.min_cu) == (True, Decimal(0))
    assert choice.decision.value == 45 * 60.0
    assert choice.decision.follows == "is awake by schedule */30 * * * * UTC"
    assert choice.look_again_s == HOUR


def test_a_window_of_days_is_found_from_its_end() -> None:
    week = parse_schedule("0 8 * * mon", "Europe/Berlin", 6.5 * 24 * HOUR)
    assert choose("2026-01-11 19:59", week).is_awake
    assert not choose("2026-01-11 20:00", week).is_awake


@pytest.mark.parametrize("duration_s", [0.5, 604_800.0])
def test_a_window_may_be_as_short_or_as_long(duration_s: float) -> None:
    assert parse_schedule("@daily", "UTC", duration_s).duration_s == duration_s


def test_a_window_lasts_as_long_where_clocks_are_changed() -> None:
    """From 22:00 for eight hours: until 7:00 in spring, until 5:00 in autumn."""
    night = parse_schedule("0 22 * * sat", "Europe/Berlin", 8 * HOUR)
    assert choose("2026-03-29 06:59", night).is_awake
    assert not choose("2026-03-29 07:00", night).is_awake
    assert choose("2026-10-25 04:59", night).is_awake
    assert not choose("2026-10-25 05:00", night).is_awake


def test_what_never_comes_in_eight_years_is_looked_at_again_then() -> None:
    rare = parse_schedule("0 0 29 feb */6", "UTC", HOUR)
    choice = choose_awake((rare,), at("2032-03-02 08:00"))
    assert choice is not None and not choice.is_awake
    assert choice.look_again_s == at("2032-03-02 08:00") + 8 * 366 * 24 * HOUR


@pytest.mark.parametrize(
    ("cron", "zone", "duration_s", "min_cu", "says"),
    [
        ("0 8 * * *", "UTC", 0.0, "0", "duration 0 s: allowed is above 0, up to 604800 s"),
        ("0 8 * * *", "UTC", 604_801.0, "0", "duration 604801 s: allowed is above 0"),
        ("0 8 * * *", "UTC", float("nan"), "0", "duration nan s"),
        ("0 8 * * *", "UTC", 60.0, "-1", "minCU -1: allowed is a number from 0 on"),
        ("0 8 * * *", "Berlin", 60.0, "0", "'Berlin' is no time zone"),
        ("0 88 * * *", "UTC", 60.0, "0", "hour '88': allowed is 0 to 23"),
    ],
)
def test_what_cannot_be_is_refused(
    cron: str, zone: str, duration_s: float, min_cu: str, says: str
) -> None:
    with pytest.raises(ValueError) as refused:
        parse_schedule(cron, zone, duration_s, Decimal(min_cu))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("schedule", "moment"),
    [
        ("30 7 * * *", "2026-01-02 07:30"),
        ("0 0 $ * *", "2026-01-31 00:00"),
        ("0 0 $ 2 *", "2026-02-28 00:00"),
        ("0 0 $ feb *", "2026-02-28 00:00"),
        ("15 3 1,$ * *", "2026-01-31 03:15"),
        (" @daily ", "2026-01-03 00:00"),
    ],
)
def test_a_job_opens_a_window_of_seconds(schedule: str, moment: str) -> None:
    job = parse_job(schedule, "Europe/Berlin")
    assert job is not None
    window = job.next_window(at("2026-01-02 07:00"))
    assert window is not None
    assert (window.begins_s, window.ends_s) == (at(moment), at(moment) + 15.0)


@pytest.mark.parametrize("schedule", ["10 seconds", " 1 second", "59 SECONDS "])
def test_a_job_every_few_seconds_has_a_window_at_all_times(schedule: str) -> None:
    job = parse_job(schedule, "GMT")
    assert job is not None and job.line == f"pg_cron job {schedule.strip()} GMT"
    for second in range(0, 200, 7):
        choice = choose_awake([job], 1_800_000_000.0 + second)
        assert choice is not None and choice.is_awake


@pytest.mark.parametrize(
    ("schedule", "zone"),
    [("@reboot", "GMT"), ("* * * *", "GMT"), ("0 0 $$ * *", "GMT"), ("@daily", "Mars/Base")],
)
def test_a_job_that_runs_by_no_clock_or_can_not_be_read_is_none(schedule: str, zone: str) -> None:
    assert parse_job(schedule, zone) is None


def test_between_the_runs_of_a_job_each_minute_it_may_sleep() -> None:
    job = parse_job("* * * * *", "Europe/Berlin")
    assert job is not None
    awake = [
        second for second in range(60) if choose(f"2026-01-02 07:00:{second:02}", job).is_awake
    ]
    assert awake == [*range(15)]


def test_a_schedule_knows_no_last_day() -> None:
    with pytest.raises(ValueError, match=r"day of month '\$': allowed is 1 to 31"):
        parse_schedule("0 0 $ * *", "UTC", HOUR)


def test_a_choice_names_the_schedule_and_the_end_of_its_window() -> None:
    choice = choose("2026-01-02 12:00", LUNCH, OFFICE)
    assert (choice.line, choice.ends_s) == (OFFICE.line, at("2026-01-02 18:00"))
    outside = choose("2026-01-03 18:00", LUNCH, OFFICE)
    assert (outside.line, outside.ends_s) == ("", 0.0)
    for decision in (choice.decision, outside.decision):
        assert (decision.loop, decision.window_s) == (Loop.SCHEDULE, 0.0)


def test_a_window_is_known_with_its_bounds() -> None:
    assert OFFICE.window_at(at("2026-01-02 12:00")) == Window(
        at("2026-01-02 08:00"), at("2026-01-02 18:00")
    )


def test_a_job_asks_for_no_size_and_is_told_as_one() -> None:
    nightly, always = parse_job("30 7 * * *", "GMT"), parse_job("10 seconds", "GMT")
    assert nightly is not None and always is not None
    assert (nightly.line, nightly.min_cu) == ("pg_cron job 30 7 * * * GMT", Decimal(0))
    assert (always.min_cu, always.duration_s) == (Decimal(0), 120.0)
    assert (nightly.min_cu, nightly.duration_s) == (Decimal(0), 15.0)


def test_who_wants_more_than_a_week_is_told_what_to_do() -> None:
    with pytest.raises(ValueError) as refused:
        parse_schedule("@daily", "UTC", 604_801.0)
    assert str(refused.value) == (
        "duration 604801 s: allowed is above 0, up to 604800 s; keepAwake is for longer"
    )
