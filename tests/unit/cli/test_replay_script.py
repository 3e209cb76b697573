"""pgbench scripts: how they are named, and what pgbench says of its transactions."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from torpor_api.failures import InvalidRequest
from torpor_cli.replay import script_replay
from torpor_cli.replay.script import Script, ScriptOutcome, Transactions, as_json, named, story


def test_weights(tmp_path: Path) -> None:
    assert named("a.sql") == Script(Path("a.sql"), 1)
    assert named("a.sql@3") == Script(Path("a.sql"), 3)
    there = tmp_path / "a@3"
    there.write_text("select 1;")
    assert named(str(there)) == Script(there, 1)
    with pytest.raises(InvalidRequest, match="a weight is a number"):
        named("a.sql@99999999")


def test_what_pgbench_writes() -> None:
    done = Transactions()
    for line in ("0 1 2500 0 1 2\n", "1 1 serialization 0 1 2\n", "0 2 7500 1 1 2 3\n", "0 3 99"):
        done.take(line)
    assert (done.times.count, done.times.sum_ms, done.failed) == (2, 10.0, {"serialization": 1})


def test_clients_that_were_ended() -> None:
    done = Transactions()
    said = 'pgbench: error: client 3 script 0 aborted in command 1 query 0: ERROR:  no "x"'
    for line in ("pgbench (18)\n", f"{said}\n", "pgbench: error: Run was aborted\n"):
        done.hear(line)
    assert done.aborted == 1 and done.said[0] == said
    done.times.add(5.0)
    outcome = ScriptOutcome("shop", 2.0, 0.1, None, transactions=done, clients=4)
    assert outcome.has_failed and not as_json(outcome)["ok"]
    told = story(outcome, "slept well")
    assert told.startswith("1 transaction of 4 clients in 2.0 s, 0.5 a second, on shop\n\n")
    assert "1 client was ended by an error:\npgbench: error: client 3" in told
    assert told.endswith("\n\nslept well")


def test_a_run_without_a_transaction_has_tried_nothing() -> None:
    outcome = ScriptOutcome("shop", 5.0, 0.1, None)
    assert outcome.has_failed and not as_json(outcome)["ok"]
    assert "nothing has been tried" in story(outcome, "")
    assert not ScriptOutcome("shop", 5.0, 0.1, None, ended_early=True).has_failed


def test_what_pgbench_can_not_begin_with_is_told_though_it_takes_its_time_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exit status is read, and not overtaken by a signal to a process that ends by itself."""
    slow = tmp_path / "pgbench"
    lines = "#!/bin/sh", "echo 'pgbench: error: nonsense' >&2", "exec 2>&-", "sleep 0.2", "exit 1"
    slow.write_text("\n".join(lines))
    slow.chmod(0o700)
    monkeypatch.setattr(script_replay, "program", lambda *, needs_tls: str(slow))
    run = script_replay.Run([Script(tmp_path / "a.sql")], 1, 1, None, [], "shop", 0.1)

    @contextlib.asynccontextmanager
    async def reaching() -> AsyncIterator[dict[str, str]]:
        yield {}

    with pytest.raises(InvalidRequest, match="pgbench: error: nonsense"):
        script_replay.replay(run, reaching, None)


@pytest.mark.parametrize(
    ("bundled", "on_path", "needs_tls", "found"),
    [
        ("/own/pgbench", "/usr/bin/pgbench", False, "/own/pgbench"),
        ("/own/pgbench", "/usr/bin/pgbench", True, "/usr/bin/pgbench"),
        ("/own/pgbench", None, True, "/own/pgbench"),
        (None, "/usr/bin/pgbench", False, "/usr/bin/pgbench"),
    ],
)
def test_where_tls_is_demanded_the_machine_s_own_pgbench_is_taken(
    monkeypatch: pytest.MonkeyPatch,
    bundled: str | None,
    on_path: str | None,
    needs_tls: bool,
    found: str,
) -> None:
    monkeypatch.setattr(script_replay, "_bundled", lambda: bundled)
    monkeypatch.setattr(shutil, "which", lambda program: on_path)
    assert script_replay.program(needs_tls=needs_tls) == found


def test_what_the_own_pgbench_can_not_do_is_told_with_who_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real one, of which every machine that runs this has a copy."""
    monkeypatch.setattr(shutil, "which", lambda program: None)
    (tmp_path / "a.sql").write_text("select 1;")
    run = script_replay.Run([Script(tmp_path / "a.sql")], 1, 1, None, [], "shop", 0.1)

    @contextlib.asynccontextmanager
    async def reaching() -> AsyncIterator[dict[str, str]]:
        yield {"PGHOST": "127.0.0.1", "PGPORT": "1", "PGSSLMODE": "require"}

    with pytest.raises(InvalidRequest, match="demands TLS") as refused:
        script_replay.replay(run, reaching, None)
    assert "on the PATH" in refused.value.hint
