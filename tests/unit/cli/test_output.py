"""Tables and stories, as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from torpor_api.chain import Step
from torpor_api.decided import CurrentDecision
from torpor_api.messages import SessionInfo, SessionStanding
from torpor_api.phases import Phase
from torpor_api.resource import (
    Condition,
    DatabaseStatus,
    Endpoint,
    LastResume,
    LastSwitchover,
    ServerlessDatabase,
)
from torpor_api.rhythm import CronJobs
from torpor_cli import output

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)

CHAIN = LastResume(
    steps=(
        Step(name="claim", where="autoscaler", ms=1.0),
        Step(name="start", where="postgres", ms=27.0),
        Step(name="first row", where="proxy", ms=2.0),
    ),
    total_ms=30.0,
    at="2026-01-01T11:58:00Z",
    cause="session 3 of app",
)


def resource(**status: Any) -> dict[str, Any]:
    made = ServerlessDatabase.model_validate(
        {"metadata": {"name": "shop", "creationTimestamp": "2025-12-30T12:00:00Z"}}
    )
    return made.model_copy(update={"status": DatabaseStatus(**status)}).model_dump(
        mode="json", by_alias=True
    )


def test_columns_are_aligned_and_numbers_flush_right() -> None:
    text = output.table(["A", "N"], [["longer", "1"], ["x", "1000"]], right=[1])
    assert text.splitlines() == ["A          N", "longer     1", "x       1000"]


def test_a_sleeping_and_an_awake_database() -> None:
    rows = [
        resource(),
        resource(
            phase=Phase.ACTIVE,
            epoch=12,
            compute="c1",
            last_resume=CHAIN,
            why_awake=("session 17 holds advisory lock 42",),
        ),
    ]
    lines = output.resource_table(rows, NOW).splitlines()
    assert lines[0].split() == ["NAME", "PHASE", "EPOCH", "LAST", "RESUME", "WHY", "AWAKE"]
    assert lines[1].split() == ["shop", "Suspended", "0", "-"]
    assert "30 ms, 2m ago" in lines[2]
    assert lines[2].endswith("session 17 holds advisory lock 42")


def test_what_policies_have_decided_is_a_part_of_the_story() -> None:
    decision = CurrentDecision(
        loop="size",
        follows="grows from 1 to 2 CU",
        metric="load",
        value=1.4,
        threshold=0.9,
        unit="CPU",
        window_seconds=60.0,
        since="2026-01-01T11:55:00Z",
    )
    story = output.resource_story(resource(phase=Phase.ACTIVE, decisions=(decision,)), NOW)
    assert "Decided:\n  size: grows from 1 to 2 CU (load 1.4 against 0.9 CPU), 5m ago" in story
    assert "Decided" not in output.resource_story(resource(), NOW)


def test_wide_adds_where_and_how_old() -> None:
    row = resource(endpoint=Endpoint(host="shop.localhost", port=6432))
    line = output.resource_table([row], NOW, is_wide=True).splitlines()[1]
    assert "shop.localhost:6432" in line and "5m" in line and line.endswith("2d")


def test_a_failed_database_says_why_in_the_list() -> None:
    condition = Condition(type="Ready", status="False", reason="Lost", message="data is missing")
    row = resource(phase=Phase.FAILED, conditions=(condition,))
    assert "data is missing" in output.resource_table([row], NOW)
    assert "Ready=False (Lost) data is missing" in output.resource_story(row, NOW)


def test_a_long_reason_is_shortened_in_the_list_and_whole_in_the_story() -> None:
    reason = "x" * 200
    row = resource(phase=Phase.ACTIVE, why_awake=(reason,))
    assert reason not in output.resource_table([row], NOW)
    assert reason in output.resource_story(row, NOW)


def test_each_step_of_a_chain_begins_where_the_one_before_ended() -> None:
    chain = resource(last_resume=CHAIN)["status"]["lastResume"]
    lines = output.steps_table(chain["steps"], chain["totalMs"]).splitlines()
    bars = {line.split()[0]: line for line in lines[1:4]}
    assert bars["claim"].rindex("█") <= bars["start"].index("█")
    assert bars["start"].count("█") > 20
    assert bars["start"].rindex("█") <= bars["first"].index("█")
    assert lines[4].split() == ["total", "30.0"]


def test_the_last_switchover_is_in_the_story() -> None:
    moved = LastSwitchover(at="2026-01-01T11:58:00Z", epoch=7, pause_ms=81.4)
    story = output.resource_story(resource(last_switchover=moved), NOW)
    assert "Last switchover:  81 ms pause, 2m ago, to epoch 7" in story
    assert "Last switchover:  -" in output.resource_story(resource(), NOW)


def session(**fields: Any) -> dict[str, Any]:
    info = {
        "session": 17,
        "user": "app",
        "dbname": "shop",
        "application": "worker",
        "client": "10.0.0.7:5000",
        "state": SessionStanding.PINNED,
        "since_s": 190.0,
        "reason": "holds advisory lock 42",
        "process_id": 4711,
        "proxy": "proxy-1",
    }
    return SessionInfo.model_validate(info | fields).model_dump(mode="json")


def test_a_session_is_one_line() -> None:
    header, line = output.session_table([session()]).splitlines()
    assert header.split() == [
        *("SESSION", "USER", "DATABASE", "APPLICATION", "CLIENT", "STATE", "SINCE", "REASON")
    ]
    words = ["17", "app", "shop", "worker", "10.0.0.7:5000", "pinned", "3m"]
    assert line.split() == [*words, "holds", "advisory", "lock", "42"]


def test_wide_shows_where_a_session_is() -> None:
    rows = [session(), session(backend_process_id=99, application="", reason="")]
    header, parked, attached = output.session_table(rows, is_wide=True).splitlines()
    assert header.index("PROXY") < header.index("PROCESS ID") < header.index("REASON")
    assert parked.split()[7:10] == ["proxy-1", "4711", "-"]
    assert attached.split()[3] == "-" and attached.split()[-2:] == ["4711", "99"]


def test_what_clients_call_themselves_can_not_spoil_the_table() -> None:
    text = output.session_table([session(application="a\nb\x1b[31m", user="ü")])
    assert len(text.splitlines()) == 2 and "a?b?[31m" in text and "ü" in text


def test_ages_take_their_largest_unit() -> None:
    ages = {
        "2026-01-01T11:59:50Z": "10s",
        "2026-01-01T11:57:00Z": "3m",
        "2026-01-01T09:00:00Z": "3h",
        "2025-12-25T12:00:00Z": "7d",
        "2026-01-01T12:00:09Z": "0s",
        "": "?",
    }
    assert {at: output.ago(at, NOW) for at in ages} == ages


def test_json_has_no_place_for_passwords() -> None:
    roles = output.as_kubernetes_holds(resource())["spec"]["roles"]
    assert roles and all("password" not in role for role in roles)


def test_a_namespace_is_a_part_of_the_name() -> None:
    elsewhere = resource()
    elsewhere["metadata"]["namespace"] = "team"
    lines = output.resource_table([resource(), elsewhere], NOW).splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "shop", "shop.team"]
    assert "Name:" in output.resource_story(elsewhere, NOW)
    assert "shop.team" in output.resource_story(elsewhere, NOW).splitlines()[0]


def test_a_story_tells_when_a_database_is_awake_by_the_clock() -> None:
    told = resource(cron_jobs=CronJobs(schedules=("0 3 $ * *", "\x1b[2J")))
    often = {
        "cron": "0 8 * * mon-fri",
        "timeZone": "Europe/Berlin",
        "duration": "10h",
        "minCU": 0.5,
    }
    rarely = {"cron": "@weekly", "timeZone": "UTC", "duration": "1h", "minCU": 0}
    told["spec"] |= {"idleTimeout": "auto", "schedules": [often, rarely]}
    story = output.resource_story(told, NOW)
    assert "Idle timeout:     auto\n" in story
    assert "0 8 * * mon-fri Europe/Berlin for 10h, 0.5 CU or more\n" in story
    assert "@weekly UTC for 1h\n" in story
    assert "0 3 $ * * GMT\n" in story and "\x1b" not in story
    assert "Schedules" not in output.resource_story(resource(), NOW)
