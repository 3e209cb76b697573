"""How many agents of a `torpor up` wait follows from its wakes; with real agents and Postgres."""

from __future__ import annotations

from support.up import Up, a_database, command_line, running_up, until


def agents(up: Up) -> set[str]:
    """By the ids of their computes; a warm one has processes of its own."""
    lines = [command_line(pid) for pid in up.processes("--compute ")]
    return {line.split("--compute ")[1].split()[0] for line in lines if "--compute " in line}


def test_after_a_wake_more_wait_than_at_least_and_none_beyond_the_most() -> None:
    with running_up("--warm", "1", "--warm-max", "2") as up:
        assert len(agents(up)) == 1
        with a_database(up) as database:
            database.wake()
            until(lambda: len(agents(up)) == 3, "one serves, and two wait")
        log = up.log_of("autoscaler")
        assert "warm_pool_sized" in log and "2 of 3 wanted wait warm" in log
        assert "cold_start" not in log
