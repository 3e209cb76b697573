"""What is asked for is judged before anything is started; passwords are for nobody else."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from load import __main__ as command
from load import engine, fleet_file
from load.fleet_file import Target
from load.machine_use import MachineUse

URI = "postgresql://app:secret@db.example:6432/app?options=endpoint%3Dshop"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "invalid choice: 'nothing'"),
        (["burst", "--factor", "0"], "a factor of 0"),
        (["burst", "--factor", "1000"], "allowed are 500"),
        (["burst", "--factor", "inf"], "a factor of inf: allowed is more than 0, up to 20000"),
        (["burst", "--factor", "nan"], "a factor of nan"),
        (["burst", "--minutes", "0.01"], "minutes: allowed is"),
        (["burst", "--workers", "99"], "--workers 99: allowed is 0 to 32"),
        (["herd", "--workers", "2"], "--workers 2: they are locust's, and herd has none"),
        (["scanner", "--factor", "0.1", "--workers", "9"], "--workers 9: scanner has "),
        (["burst", "--state", "x"], "give --to NAME too"),
        (["burst", "--to", "shop"], "give --context CONTEXT or --state DIR too"),
        (["burst", "--to", "shop", "--uri", URI, "--state", "x"], "give one"),
        (["burst", "--uri", URI, "--via", "localhost:6432"], "give --to NAME too"),
        (
            ["burst", "--to", "shop", "--state", "x", "--via", "localhost"],
            "--via 'localhost' is not",
        ),
        (["burst", "--uri", URI, "--state", "x", "--context", "y"], "give one"),
        (["burst", "--namespace", "team"], "give --context too"),
        (["burst", "--uri", URI, "--uri", "nothing"], "--uri 2 of 2 can't be read: write one like"),
        (["burst", "--uri", ""], "--uri 1 of 1 can't be read"),
        (["burst", "--always-on", "nothing"], "--always-on 1 of 1 can't be read"),
        (["burst", "--uri", URI, "--context", "nowhere"], "no way to a cluster"),
    ],
)
def test_what_can_not_be_is_refused_with_two(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.setattr(sys, "argv", ["load", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_ctrl_c_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "run", interrupted)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["load", "burst", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "load: ended by Ctrl-C, without a report\n"


def test_help_has_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["load", "--help"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0
    assert "make load NAME=burst" in capsys.readouterr().out


def test_a_fleet_is_read_as_it_was_written_and_by_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "fleet.json"
    file.write_text("of before")
    targets = [Target("shop", URI)]
    fleet_file.write(file, targets)
    assert fleet_file.read(file) == targets
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["no json", '[{"name": "shop"}]', "[1]"])
def test_what_is_no_fleet_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "fleet.json").write_text(content)
    with pytest.raises(ValueError, match=r"fleet\.json is no list"):
        fleet_file.read(tmp_path / "fleet.json")


def test_shares_of_the_machine_are_shares() -> None:
    use = MachineUse()
    first = use.since_last()
    total = 0
    while not first.of:  # A tick takes ten milliseconds.
        total += sum(range(10_000))
        first = use.since_last()
    assert 0.0 <= first.busy <= 1.0 and 0.0 < first.memory < 1.0
    assert sum(first.of.values()) == pytest.approx(first.busy, abs=0.01)
