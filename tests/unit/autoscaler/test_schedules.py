"""Schedules through a database's life: woken in time, kept awake, and let go at the end."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from torpor_api.chain import Chain, Step
from torpor_api.failures import DataDamaged, Refused
from torpor_api.messages import LocateStorage, StartCompute
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, LastResume
from torpor_api.rhythm import CronJobs
from torpor_autoscaler.core.decision import Loop
from torpor_autoscaler.lifecycle import facts, why
from torpor_autoscaler.lifecycle.limits import Limits
from unit.autoscaler.story import Story

HOUR = 3600.0
OFFICE = {"cron": "0 8 * * mon-fri", "timeZone": "Europe/Berlin", "duration": "10h", "minCU": 0.5}
LEAD_S = Limits().lead_s_min


def at(text: str) -> float:
    """Of a clock in Berlin, on the first Friday of 2026 unless it says another day."""
    text = f"2026-01-02 {text}" if " " not in text else text
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


def asleep(since: str, *schedules: dict[str, Any], **others: Any) -> Story:
    """Made while the autoscaler runs, at that time of the day."""
    status = others.pop("status", DatabaseStatus(observed_generation=1))
    story = Story(status, agents=8, schedules=list(schedules), maxCU=2, **others)
    assert story.world.wall_s == 0.0
    story.world.wall_s = at(since)
    story.fact(lambda _: None).rest()
    return story


def until(story: Story, text: str) -> Story:
    """Time passes, and the plan has every moment that it asked for."""
    ends_at = story.world.now + at(text) - story.world.wall_s
    while True:
        wait = story.rest()
        if wait.until is None or wait.until > ends_at:
            break
        story.at(wait.until)
    story.at(ends_at).rest()
    return story


def jump(story: Story, text: str) -> Story:
    """Somebody sets the clock on the wall; whoever watches it tells the plan."""
    story.world.wall_s = at(text)
    return story.fact(lambda _: None)


def test_it_is_woken_ahead_of_its_window() -> None:
    story = asleep("07:00", OFFICE)
    wait = story.rest()
    assert story.phase() is Phase.SUSPENDED and wait.until is not None
    assert wait.until == pytest.approx(story.world.now + HOUR - LEAD_S, abs=0.01)
    until(story, "07:59:54")
    assert story.phase() is Phase.SUSPENDED
    until(story, "07:59:56")
    assert story.phase() is Phase.ACTIVE
    lines = [dated.decision.line for dated in story.database.decisions]
    assert "wakes (schedule 0 8 * * mon-fri Europe/Berlin): wanted by 1, above 0" in lines


def test_nothing_is_asked_until_then() -> None:
    story = asleep("07:00", OFFICE)
    story.asked.clear()
    until(story, "07:59")
    assert story.asked == []


def test_it_is_awake_for_as_long_as_the_window_is_open() -> None:
    story = until(asleep("07:00", OFFICE), "17:59:59")
    assert story.phase() is Phase.ACTIVE
    assert why.lines(story.database, story.world.now) == (
        "schedule 0 8 * * mon-fri Europe/Berlin for 2s more",
    )
    assert story.record.status.why_awake == ("schedule 0 8 * * mon-fri Europe/Berlin",)
    until(story, "18:00:01")
    assert story.phase() is Phase.SUSPENDED


def test_who_uses_it_at_the_end_has_his_time() -> None:
    story = until(asleep("07:00", OFFICE), "17:59:58")
    story.sample(idle_s=0.0)
    until(story, "18:00:00")
    for second in range(3, 12):
        story.at(story.world.now + 1.0).sample(idle_s=float(second)).rest()
        assert (story.phase() is Phase.ACTIVE) == (second < 10)


def test_one_that_began_during_the_window_wakes_at_once() -> None:
    assert asleep("12:00", OFFICE).phase() is Phase.ACTIVE


def test_on_a_saturday_it_sleeps() -> None:
    story = until(asleep("2026-01-03 07:00", OFFICE), "2026-01-05 07:59:54")
    assert story.phase() is Phase.SUSPENDED and not story.all(StartCompute)
    assert until(story, "2026-01-05 08:00").phase() is Phase.ACTIVE


def test_the_window_has_its_least_size() -> None:
    story = asleep("11:30", OFFICE, {"cron": "0 11 * * *", "duration": "30m", "minCU": 1.5})
    assert story.database.min_cu == Decimal("0.5")
    until(story, "12:01")
    assert story.database.min_cu == Decimal("1.5")
    assert story.database.size.cu >= Decimal("1.5")
    until(story, "12:31")
    assert story.database.min_cu == Decimal("0.5")
    until(story, "18:01")
    assert story.database.min_cu == Decimal(0)


def test_a_wake_that_takes_longer_begins_earlier() -> None:
    slow = LastResume(steps=(Step(name="start", where="postgres", ms=20_000),), total_ms=20_000)
    story = asleep("07:00", OFFICE, status=DatabaseStatus(observed_generation=1, last_resume=slow))
    assert until(story, "07:59:19").phase() is Phase.SUSPENDED
    assert until(story, "07:59:21").phase() is Phase.ACTIVE
    endless = slow.model_copy(update={"total_ms": 1e9})
    story = asleep(
        "07:00", OFFICE, status=DatabaseStatus(observed_generation=1, last_resume=endless)
    )
    assert until(story, "07:57:59").phase() is Phase.SUSPENDED


def test_a_persons_wish_is_refused_within_and_granted_outside() -> None:
    story = asleep("12:00", OFFICE)
    story.fact(facts.wish_asleep, 7, story.world.now).rest()
    (refusal,) = story.refusals()
    assert isinstance(refusal, Refused)
    assert refusal.message == "shop is kept awake: schedule 0 8 * * mon-fri Europe/Berlin"
    assert refusal.hint == "change spec.schedules first, or ask again when its window is over"
    assert story.phase() is Phase.ACTIVE


def test_a_clock_that_is_set_ahead_into_a_window_wakes_it_at_once() -> None:
    story = jump(asleep("03:00", OFFICE), "12:00")
    story.rest()
    assert story.phase() is Phase.ACTIVE


def test_a_clock_that_is_set_back_out_of_a_window_lets_it_sleep() -> None:
    story = asleep("12:00", OFFICE)
    jump(story.at(story.world.now + 20.0), "05:00").rest()
    assert story.phase() is Phase.SUSPENDED
    assert until(story, "07:59").phase() is Phase.SUSPENDED
    assert until(story, "08:00").phase() is Phase.ACTIVE


def test_a_clock_that_is_set_ahead_over_a_whole_window_makes_nothing_up_for() -> None:
    story = jump(asleep("07:00", OFFICE), "19:00")
    story.rest()
    assert story.phase() is Phase.SUSPENDED
    assert not story.all(StartCompute)
    assert until(story, "2026-01-05 08:00").phase() is Phase.ACTIVE


def test_a_wake_by_the_clock_ends_no_gap() -> None:
    """With ``idleTimeout: auto``: the gap goes on until a client comes, and is nobody's debt."""
    story = asleep("06:00", OFFICE, idleTimeout="auto")
    story.wake()
    story.rest()
    until(story, "06:01")
    assert story.phase() is Phase.SUSPENDED
    until(story, "09:00")
    assert story.phase() is Phase.ACTIVE
    story.at(story.world.now + 1.0).sample(idle_s=0.2).rest()
    known = story.database.learned
    assert known is not None
    told = known.stored("")
    assert (told.counts, told.debt_seconds) == ("28:1.0", 0.0)


def test_a_changed_spec_counts_at_once() -> None:
    story = asleep("12:00")
    assert story.phase() is Phase.SUSPENDED
    story.change(schedules=[OFFICE]).rest()
    assert story.phase() is Phase.ACTIVE
    story.at(story.world.now + 20.0).change(schedules=[]).rest()
    assert story.phase() is Phase.SUSPENDED
    assert story.database.schedules is None


def test_one_that_has_failed_is_tried_again_within_its_window_only() -> None:
    story = asleep("07:59:50", OFFICE)
    story.at(story.world.now + 5.1)
    story.until(LocateStorage)
    story.fail(DataDamaged("no PG_VERSION")).rest()
    assert story.phase() is Phase.FAILED
    until(story, "08:02")
    assert story.phase() is Phase.ACTIVE


def test_what_woke_it_is_told_with_its_chain() -> None:
    story = until(asleep("07:00", OFFICE), "08:00")
    story.fact(facts.resume_seen, 1, Chain()).rest()
    last = story.database.last_resume
    assert last is not None and last.cause == "schedule 0 8 * * mon-fri Europe/Berlin"


def test_its_decisions_tell_of_windows() -> None:
    story = until(asleep("07:00", OFFICE), "19:00")
    told = [
        dated.decision.follows
        for dated in story.database.decisions
        if dated.decision.loop is Loop.SCHEDULE
    ]
    assert told == [
        "may sleep by its schedules",
        "is awake with 0.5 CU or more by schedule 0 8 * * mon-fri Europe/Berlin",
        "may sleep by its schedules",
    ]


def told(story: Story, *schedules: str, time_zone: str = "Europe/Berlin") -> Story:
    """By a look inside, where pg_cron has these jobs."""
    jobs = CronJobs(time_zone=time_zone, schedules=schedules)
    story.activity = story.activity.model_copy(update={"jobs": jobs})
    return story.look(jobs=jobs)


def with_jobs(*schedules: str, at_time: str = "07:00") -> Story:
    """It was woken, has slept again, and pg_cron has these jobs in it."""
    story = asleep(at_time)
    story.wake()
    story.rest()
    told(story, *schedules).rest()
    return until(story, story_time(story, 20.0))


def story_time(story: Story, later_s: float) -> str:
    moment = datetime.fromtimestamp(story.world.wall_s + later_s, ZoneInfo("Europe/Berlin"))
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def test_a_job_of_pg_cron_wakes_it_before_its_minute() -> None:
    story = with_jobs("30 7 * * *")
    assert story.phase() is Phase.SUSPENDED
    assert story.record.status.cron_jobs == CronJobs(
        time_zone="Europe/Berlin", schedules=("30 7 * * *",)
    )
    assert until(story, "07:29:54").phase() is Phase.SUSPENDED
    assert until(story, "07:29:56").phase() is Phase.ACTIVE
    assert why.lines(story.database, story.world.now)[0].startswith(
        "pg_cron job 30 7 * * * Europe/Berlin for 2"
    )
    until(story, "07:30:14")
    assert story.phase() is Phase.ACTIVE
    assert until(story, "07:30:16").phase() is Phase.SUSPENDED


def test_a_job_that_runs_longer_keeps_it_awake_by_itself() -> None:
    story = until(with_jobs("30 7 * * *"), "07:30:05")
    running = "a job of pg_cron runs in app (process 7)"
    story.activity = story.activity.model_copy(update={"busy": (running,)})
    for _ in range(15):
        story.at(story.world.now + 2.0).look(running, jobs=story.activity.jobs).rest()
    assert story.phase() is Phase.ACTIVE
    assert why.lines(story.database, story.world.now) == (f"{running} for 28s",)


def test_jobs_outlive_the_autoscaler_and_a_lost_compute() -> None:
    jobs = CronJobs(time_zone="Europe/Berlin", schedules=("0 8 * * *",))
    story = asleep("07:00", status=DatabaseStatus(observed_generation=1, cron_jobs=jobs))
    assert until(story, "08:00").phase() is Phase.ACTIVE


def test_a_look_at_which_jobs_could_not_be_read_takes_none_away() -> None:
    jobs = CronJobs(time_zone="Europe/Berlin", schedules=("0 8 * * *",))
    story = asleep("07:59:54", status=DatabaseStatus(observed_generation=1, cron_jobs=jobs))
    assert until(story, "07:59:56").phase() is Phase.ACTIVE
    assert story.activity.jobs is None
    story.look().rest()
    assert until(story, "08:00:14").phase() is Phase.ACTIVE
    assert until(story, "08:00:25").phase() is Phase.SUSPENDED
    assert story.record.status.cron_jobs == jobs


def test_a_job_every_few_seconds_keeps_it_awake_until_it_is_gone() -> None:
    story = with_jobs("10 seconds")
    assert until(story, "07:20").phase() is Phase.ACTIVE
    assert why.lines(story.database, story.world.now)[0].startswith("pg_cron job 10 seconds")
    told(story)
    assert until(story, "07:21").phase() is Phase.SUSPENDED
    assert story.record.status.cron_jobs is None


def test_a_job_that_was_made_in_the_last_moment_calls_the_sleep_off() -> None:
    """The look that a suspend takes finds it; its window is about to open."""
    story = asleep("07:59:48")
    story.wake()
    story.rest()
    jobs = CronJobs(time_zone="Europe/Berlin", schedules=("0 8 * * *",))
    story.activity = story.activity.model_copy(update={"jobs": jobs})
    until(story, "08:00:14")
    assert "CloseGate" not in story.names()
    assert story.phase() is Phase.ACTIVE
    assert until(story, "08:00:25").phase() is Phase.SUSPENDED


def test_what_no_clock_runs_and_what_can_not_be_read_wakes_nobody() -> None:
    story = with_jobs("@reboot", "whenever", "0 0 * *")
    assert story.phase() is Phase.SUSPENDED
    assert story.rest().until is None


def test_who_is_deleted_is_woken_by_nothing() -> None:
    jobs = CronJobs(time_zone="UTC", schedules=("* * * * *",))
    story = asleep("07:00", status=DatabaseStatus(observed_generation=1, cron_jobs=jobs))
    assert story.phase() is Phase.ACTIVE
    metadata = story.record.metadata.model_copy(update={"deletion_timestamp": "2026-01-02"})
    story.store(story.record.model_copy(update={"metadata": metadata}))
    story.fact(facts.observe, story.record)
    story.fact(facts.wish_asleep, 7, story.world.now).sample(sessions=0).rest()
    assert story.refusals() == [None]


def test_a_database_without_schedules_waits_for_no_moment() -> None:
    story = asleep("07:00")
    assert story.rest().until is None
    assert story.database.schedules is None
