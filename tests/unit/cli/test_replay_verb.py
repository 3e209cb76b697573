"""`torpor replay`: what it refuses, and what it says of a log without replaying it."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support.postgres_log import as_csv, as_json, failed, line, took
from torpor_api.failures import InvalidRequest, Unavailable
from torpor_cli.main import torpor
from torpor_cli.replay import log_replay
from torpor_cli.replay.log_files import Kind, LogFiles, sniffed
from torpor_cli.replay.spool import CACHE_KIB, Spool
from torpor_cli.replay.statement import Session, Statement

ONE = as_csv([took(1, 1, "statement: select 1")])


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(torpor, ["replay", *map(str, arguments)])


def said(result: Result) -> str:
    refusal = result.exception
    return result.output + (refusal.message if isinstance(refusal, InvalidRequest) else "")


def unreached(*_: object) -> None:
    raise Unavailable("a session can't connect")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "one.csv").write_text(ONE)
    return tmp_path / "one.csv"


# --- what is no log -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "postgresql.log",
            "2027-01-01 12:00:00.000 UTC [7] LOG:  duration: 1.0 ms  statement: select 1\n",
            "is a Postgres log as text",
        ),
        ("notes.txt", "hello\n", "is neither a csvlog nor a jsonlog"),
        ("empty.csv", "", "there is no statement to replay"),
        ("idle.csv", as_csv([line(1, "connection authorized: x")]), "there is no statement"),
    ],
)
def test_what_can_not_be_replayed(tmp_path: Path, name: str, content: str, words: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    result = replay(file, "--uri", "postgresql://localhost/x")
    assert words in said(result) and isinstance(result.exception, InvalidRequest)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert f"{tmp_path}/no.csv: No such file" in said(replay(tmp_path / "no.csv", "--to", "shop"))


def test_a_gzip_file_that_is_not_whole(tmp_path: Path, log: Path) -> None:
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(ONE.encode() * 999)[:-9])
    assert "cut.csv.gz: is not whole" in said(replay(tmp_path / "cut.csv.gz", "--dry-run"))


# --- options ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "say where to: --to NAME"),
        (("--to", "shop", "--clients", 3), "--clients is for a pgbench script: this is a log"),
        (("--to", "shop", "--speed", "fast"), "'fast': write a number from 0.01 to 1000, or max"),
        (("--to", "shop", "--speed", "nan"), "'nan': write a number"),
        (("--to", "shop", "--rate", "nan"), "nan is not in the range 0.001<=x<=1000000"),
        (("--uri", "localhost:5432"), "--uri can't be read"),
        (("--uri", "postgresql://u:se/cret@[::1/x"), "--uri can't be read"),
        (("--uri", "postgresql://h/d", "--user", "a=b"), "a URI has one user"),
        (("--uri", "postgresql://h/d", "--database", "blog"), "the log has no statement of it"),
    ],
)
def test_options_that_can_not_be(log: Path, options: tuple[object, ...], words: str) -> None:
    result = replay(log, *options)
    assert words in said(result) and result.exit_code != 0
    assert "cret" not in said(result)


def test_options_of_logs_are_refused_for_scripts(tmp_path: Path, log: Path) -> None:
    script = tmp_path / "a.sql"
    script.write_text("select 1;")
    wrong = replay(script, "--to", "shop", "--speed", "2")
    assert wrong.exit_code == 2 and "--speed is for a log: this is a pgbench script" in wrong.output
    rare = replay(script, "--to", "shop", "--rate", "0.1", "--seconds", "4")
    assert rare.exit_code == 2 and "allowed is --seconds 10 and more" in rare.output
    mixed = replay(script, log, "--to", "shop")
    assert mixed.exit_code == 2 and "not replayed together" in mixed.output


def test_a_missing_driver_is_said(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    refused = replay(log, "--dry-run").exception
    assert isinstance(refused, InvalidRequest) and refused.hint == "pip install 'torpor[replay]'"


# --- a look without a replay -----------------------------------------------------------------


def test_a_dry_run_says_what_is_in_rotated_logs(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text(
        as_csv(
            [took(60, 1, "statement: insert into t values (1)"), failed(62, "22012", "select 1/0")]
        )
    )
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(ONE.encode()))
    (tmp_path / "c.json").write_text(as_json([took(90, 1, "statement: select 3")]))
    (tmp_path / "d.csv").write_text("")
    files = sorted(tmp_path.iterdir(), reverse=True)
    result = replay(*files, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "3 files: 4 statements of 1 session over 1m29s\nit writes: 1 INSERT\n" in result.output
    document = json.loads(replay(*files, "--dry-run", "-o", "json").stdout)
    assert (document["statements"], document["writes"]) == (4, {"INSERT": 1})


def test_files_are_read_in_the_order_of_their_time(tmp_path: Path) -> None:
    for name, seconds in (("a.csv", 9), ("b.csv", 1)):
        (tmp_path / name).write_text(as_csv([took(seconds, 1, f"statement: select {seconds}")]))
    files = LogFiles.of([sniffed(tmp_path / name) for name in ("a.csv", "b.csv")])
    shares: list[float] = []
    lines = list(files.lines(shares.append))
    assert [each.message[-1] for each in lines] == ["1", "9"]
    assert shares == sorted(shares) and 0 < shares[0] <= 1


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("x", ONE, Kind.CSV),
        ("x", as_json([line(1, "x")]), Kind.JSON),
        ("x.sql", "\\set a 1\nselect :a;", Kind.SCRIPT),
        ("x.csv", "\n", Kind.EMPTY),
    ],
)
def test_files_are_known_by_their_content(
    tmp_path: Path, name: str, content: str, kind: Kind
) -> None:
    (tmp_path / name).write_text(content)
    assert sniffed(tmp_path / name).kind is kind


# --- the spool -----------------------------------------------------------------------------


def test_statements_come_back_as_they_were_by_session() -> None:
    first = Statement(
        1, 2.5, "l:1", "select '\udcff'", False, "s", ("it's", None, "\udcfe"), 1.5, "22012"
    )
    other = Statement(0, 1.0, "l:2", "select 2", True)
    last = Statement(1, 2.5, "l:3", "select 3", True)
    sessions = [Session(1, "ann", "app", "x", 2.0, 9.0), Session(0, "bob", "app", "", 1.0)]
    with Spool() as spool:
        spool.fill([first, other, last])
        spool.seal(sessions)
        assert [each.number for each in spool.sessions()] == [0, 1]
        assert list(spool.sessions())[1] == sessions[0]
        mine, yours = spool.statements(1), spool.statements(0)
        assert [next(mine), next(yours), next(mine)] == [first, other, last]


def test_what_is_on_disk_has_no_name() -> None:
    """People's data: nothing is left of it, also after a kill -9."""
    long = Statement(0, 1.0, "l", "select " + "x" * 100_000, True)
    more_than_cached = 2 * CACHE_KIB * 1024 // len(long.text)
    with Spool() as spool:
        before = open_files()
        spool.fill(long for _ in range(more_than_cached))
        (file,) = open_files() - before
    assert file.endswith(" (deleted)")


def open_files() -> set[str]:
    """Of this process, as the kernel names them."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(each))
    return {name for name in found if name.startswith("/") and not name.startswith("/proc")}


@pytest.mark.parametrize(
    ("host", "is_told"),
    [
        ("shop.team.svc", True),
        ("shop.team.svc.cluster.local:5432", True),
        ("shop.svc", False),
        ("db.example.org", False),
    ],
)
def test_where_only_a_cluster_knows_the_host_that_is_said(
    log: Path, monkeypatch: pytest.MonkeyPatch, host: str, is_told: bool
) -> None:
    """As `torpor uri` writes it for a database of a cluster."""
    monkeypatch.setattr(log_replay, "replay", unreached)
    found = replay(log, "--uri", f"postgresql://app@{host}/app").exception
    assert isinstance(found, Unavailable) and found.message == "a session can't connect"
    assert ("inside of their cluster" in found.hint) == is_told
