"""The tree of a real `torpor up`, and the verbs on its nodes: real Postgres, sessions and files."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from support.up import WAIT_SECONDS_MAX, Database, Up, until
from torpor_cli.client import ask_autoscaler
from torpor_cli.main import torpor
from torpor_cli.top.terminal import ENTER, LEAVE


def asked(up: Up, *arguments: str) -> Result:
    """A verb, in this process."""
    return CliRunner().invoke(torpor, [*arguments, "--state", str(up.folder.root)])


def ran(up: Up, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A verb that starts others, or that is to be timed, as a person runs it."""
    argv = [sys.executable, "-m", "torpor_cli.main", *arguments[:1]]
    argv += ["--state", str(up.folder.root), *arguments[1:]]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def path_of(database: Database) -> list[dict[str, Any]]:
    """The nodes of its tree, from the pool on, each with what is below it."""
    told = json.loads(asked(database.up, "tree", database.name, "-o", "json").stdout)
    found, nodes = list[dict[str, Any]](), told["nodes"]
    while nodes:
        found.append(nodes[0])
        nodes = nodes[0]["children"]
    return found


def test_an_awake_one_stands_under_its_compute_and_a_sleeping_one_under_its_pool(
    database: Database,
) -> None:
    with psycopg.connect(database.uri(), autocommit=True) as connection:
        connection.execute("select 1")
        until(lambda: bool(path_of(database)[-1]["kind"] == "session"), "its session is told")
        awake = path_of(database)
        assert [node["kind"] for node in awake] == ["pool", "compute", "database", "session"]
        assert awake[1]["name"] == database.status["compute"] and awake[1]["state"] == "claimed"
        shown = asked(database.up, "tree", f"compute/{awake[1]['name']}", "--ascii").stdout
        assert f"   `- database/{database.name}  Active" in shown
        assert f"volume/{database.name}" in shown
        database.fall_asleep()
        asleep = path_of(database)
        assert [node["kind"] for node in asleep] == ["pool", "database", "session"]
        assert asleep[2]["state"] == "parked"


def test_one_is_suspended_and_resumed_by_its_nodes_and_no_other_is_touched(
    database: Database, up: Up
) -> None:
    other = up.database()
    epoch = other.epoch
    suspend = ("suspend", f"compute/{database.status['compute']}")
    until(lambda: asked(up, *suspend).exit_code == 0, "it may sleep")
    sleeping = [each.name for each in (database, other) if each.is_asleep]
    assert sleeping == [database.name]
    gone = asked(up, "suspend", f"volume/{database.name}")
    assert gone.exit_code == 0, gone.output
    woken = json.loads(asked(up, "resume", f"volume/{database.name}", "-o", "json").stdout)
    assert woken == {"results": [{"node": f"database/{database.name}", "outcome": "awake"}]}
    # A wake is answered before it is written down.
    until(lambda: bool(database.status["phase"] == "Active"), "it is awake")
    assert other.epoch == epoch
    other.apply(idleTimeout="1s")


def test_a_session_is_ended_in_the_middle_of_its_query_and_its_query_with_it(
    database: Database,
) -> None:
    with (
        psycopg.connect(database.uri(), autocommit=True) as busy,
        psycopg.connect(database.uri(), autocommit=True) as other,
        ThreadPoolExecutor(1) as beside,
    ):
        other.execute("select 1")
        asleep = beside.submit(busy.execute, "select pg_sleep(600)")
        number = until_known(database, busy.info.backend_pid)
        told = asked(database.up, "delete", f"session/{number}")
        assert told.exit_code == 0, told.output
        with pytest.raises(psycopg.OperationalError) as ended:
            asleep.result(WAIT_SECONDS_MAX)
        assert ended.value.sqlstate == "57P01"
        running = "select count(*) from pg_stat_activity where query like 'select pg_sleep%'"
        until(lambda: other.execute(running).fetchone() == (0,), "its backend has ended")
        again = asked(database.up, "delete", f"session/{number}")
        assert again.exit_code == 1 and "no session" in str(again.exception)


def until_known(database: Database, process_id: int) -> int:
    """The number of that client's session, once it is known to be at work."""
    until(lambda: database.session_of(process_id).get("reason", "") != "", "it is at work")
    number: int = database.session_of(process_id)["session"]
    return number


def test_logs_are_those_of_postgres_of_agents_and_of_the_pool(database: Database) -> None:
    with psycopg.connect(database.uri(), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select * from a_table_that_is_not_there")
    told = asked(database.up, "logs", database.name, "--since", "10m")
    assert "a_table_that_is_not_there" in told.stdout
    compute = database.status["compute"]
    lines = asked(database.up, "logs", f"compute/{compute}", "-o", "json").stdout.splitlines()
    sources = {json.loads(line)["source"] for line in lines}
    assert sources == {f"compute/{compute}", f"database/{database.name}"}
    times = [json.loads(line)["at"] for line in lines]
    assert times == sorted(times)
    pool = asked(database.up, "logs", "pool/default", "--since", "10m").stdout
    assert "a_table_that_is_not_there" in pool
    assert asked(database.up, "logs", "no-such").exit_code == 1
    nothing = asked(database.up, "logs", database.name, "--since", "10m", "--tail", "0")
    assert nothing.stdout == "" and nothing.exit_code == 0


def test_a_shell_is_in_the_data_directory_and_connected_past_the_proxy(
    database: Database,
) -> None:
    inside = ran(database.up, "shell", database.name, "sh", "-c", "cat PG_VERSION; pwd")
    assert inside.returncode == 0, inside.stderr
    assert inside.stdout.splitlines()[1] == str(database.folder / "data")
    query = ("psql", "-XAtc", "select current_user, pg_backend_pid() > 0, inet_client_addr()")
    asked_inside = ran(database.up, "shell", f"compute/{database.status['compute']}", *query)
    assert asked_inside.stdout == "app|t|\n", asked_inside.stderr
    assert ran(database.up, "shell", database.name, "sh", "-c", "exit 7").returncode == 7
    database.fall_asleep()
    asleep = ran(database.up, "shell", database.name, "true")
    assert asleep.returncode == 1 and f"volume/{database.name}" in asleep.stderr
    volume = ran(database.up, "shell", f"volume/{database.name}", "ls")
    assert {"data", "ownership"} <= set(volume.stdout.split())


def test_what_is_kept_of_a_deleted_database_is_a_volume_that_can_be_deleted(up: Up) -> None:
    database = up.database()
    volume = f"volume/{database.name}"
    refused = asked(up, "delete", volume)
    assert refused.exit_code == 1 and "there is" in str(refused.exception)
    assert asked(up, "delete", database.name).exit_code == 0
    told = json.loads(asked(up, "get", volume, "-o", "json").stdout)
    assert (told["database"], told["directory"]) == ("", str(database.folder))
    assert told["bytes"] > 1 << 20
    assert asked(up, "delete", volume).exit_code == 0
    assert not database.folder.exists()
    assert asked(up, "get", volume).exit_code == 1


def test_a_printed_database_can_be_applied_again(database: Database) -> None:
    printed = asked(database.up, "get", database.name, "-o", "yaml").stdout
    argv = ["apply", "-f", "-", "-o", "json", "--state", str(database.up.folder.root)]
    same = CliRunner().invoke(torpor, argv, printed)
    assert json.loads(same.stdout)["results"][0]["outcome"] == "unchanged", same.output
    other = CliRunner().invoke(torpor, argv, printed.replace("1h", "2h"))
    assert json.loads(other.stdout)["results"][0]["outcome"] == "changed"


def test_top_and_get_say_of_it_what_is_so(database: Database) -> None:
    shown = asked(database.up, "top", "--once", "--filter", database.name).stdout.splitlines()
    assert shown[3].split()[:2] == [database.name, "Active"]
    row = json.loads(asked(database.up, "top", "-o", "json", "--filter", database.name).stdout)
    assert [each["compute"] for each in row["databases"]] == [database.status["compute"]]
    computes = asked(database.up, "get", "computes", "-o", "name").stdout.split()
    assert f"compute/{database.status['compute']}" in computes


def test_names_are_found_by_their_beginning(database: Database) -> None:
    told = ask_autoscaler(database.up.folder, "AskNames", prefix=database.name)
    assert database.name in told["names"]
    assert all(name.startswith(database.name) for name in told["names"])


class Screen:
    """`torpor top` on a terminal of its own."""

    def __init__(self, up: Up) -> None:
        self._person, self._terminal = os.openpty()
        termios.tcsetwinsize(self._terminal, (24, 160))
        os.set_blocking(self._person, False)
        self.before = termios.tcgetattr(self._terminal)
        self.shown = b""
        argv = [sys.executable, "-m", "torpor_cli.main", "top", "--state", str(up.folder.root)]
        self.process = subprocess.Popen(argv, stdin=self._terminal, stdout=self._terminal)

    def press(self, keys: bytes) -> None:
        os.write(self._person, keys)

    def shows(self, words: str) -> bool:
        with contextlib.suppress(BlockingIOError):
            while read := os.read(self._person, 65536):
                self.shown += read
        return words.encode() in self.shown

    @property
    def is_given_back(self) -> bool:
        return termios.tcgetattr(self._terminal) == self.before and self.shown.endswith(LEAVE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(WAIT_SECONDS_MAX)
        for end in (self._person, self._terminal):
            os.close(end)


def test_top_fills_a_terminal_acts_when_it_is_told_to_and_gives_it_back(
    database: Database,
) -> None:
    with contextlib.closing(Screen(database.up)) as screen:
        until(lambda: screen.shows(database.name), "the fleet is shown")
        assert ENTER in screen.shown
        screen.press(b"/" + database.name.encode() + b"\r")
        until(lambda: screen.shows(f"only /{database.name}"), "the filter is kept")
        screen.press(b"s")
        until(lambda: screen.shows(f"Suspend {database.name}?"), "it asks")
        assert database.status["phase"] == "Active"
        screen.press(b"y")
        until(lambda: screen.shows(f"{database.name} is suspended"), "it was done")
        assert database.is_asleep
        screen.press(b"\r")
        until(lambda: screen.shows("Its last wake"), "the database is shown")
        screen.press(b"q")
        screen.press(b"\x1b")
        screen.press(b"q")
        assert screen.process.wait(WAIT_SECONDS_MAX) == 0
        screen.shows("")
        assert screen.is_given_back
