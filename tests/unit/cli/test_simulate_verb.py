from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from torpor_api.failures import InvalidRequest
from torpor_cli.verbs.simulate_verb import command

TRACE = """
name = "tiny"
[[kind]]
name = "jobs"
share = 1.0
periods = [[1.0, 3600.0]]
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.toml"
    file.write_text(TRACE)
    return file


def simulate(*arguments: str) -> str:
    result = CliRunner().invoke(command, [*arguments, "--processes=1"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_prints_a_line_a_policy(trace: Path) -> None:
    lines = simulate(f"--trace={trace}", "--databases=5", "--policy=neon").splitlines()
    assert lines[0] == "tiny: 5 databases over 1d, 5 of them used, 960 queries"
    assert lines[2].split()[:2] == ["POLICY", "CU-HOURS"]
    assert lines[3].split()[0] == "neon"


def test_json_has_all_it_takes_to_repeat_it(trace: Path, tmp_path: Path) -> None:
    picture = tmp_path / "x.svg"
    names = ("--policy=always-on", "--policy=torpor-auto")
    printed = simulate(
        f"--trace={trace}", "--databases=5", *names, "--seed=7", f"--plot={picture}", "-o", "json"
    )
    found: dict[str, Any] = json.loads(printed)
    assert (found["databases"], found["seed"], found["waitingPrice"]) == (5, 7, 60.0)
    assert [line["policy"] for line in found["policies"]] == ["always-on", "torpor-auto"]
    assert found["policies"][1]["wakes"] == 5 * 24
    assert "<circle" in picture.read_text()


def test_a_recorded_trace_is_taken_too(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(
        '{"torporTrace": 1, "name": "rec", "seconds": 60}\n{"db": "a", "at": 1, "took": 1}\n'
    )
    lines = simulate(f"--trace={file}", "--policy=always-on").splitlines()
    assert lines[0].startswith("rec: 1 databases over 1m,")
    assert lines[3].split()[:3] == ["always-on", "0.00417", "0.000442"]


def test_what_was_exported_gives_the_same_figures(tmp_path: Path) -> None:
    source, exported = tmp_path / "x.toml", tmp_path / "x.jsonl.gz"
    source.write_text(
        'name = "x"\n[[kind]]\nname = "a"\nshare = 1.0\nvisits_per_day = [[0, 1], [1, 1000]]\n'
        "visit_s = 2.0\nlinger = [[0.5, inf], [0.5, 100.0]]\nknocks_per_day = 3\n"
    )
    names = [f"--policy={name}" for name in ("neon", "aurora", "azure-sql-15m")]

    def figures(trace: Path) -> list[list[str]]:
        lines = simulate(f"--trace={trace}", "--databases=20", *names).splitlines()
        return [line.split()[:5] for line in lines[3:]]

    simulate(f"--trace={source}", "--databases=20", f"--export={exported}")
    assert figures(exported) == figures(source)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nine", "there is no policy nine: write one of always-on, neon"),
        ("torpor-soon", "policy torpor-soon: 'soon' is not a duration"),
        ("torpor-10ms", "policy torpor-10ms: a time-out is from 1s to 7d"),
    ],
)
def test_an_unknown_policy_is_refused_with_those_that_are(
    trace: Path, name: str, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        simulate(f"--trace={trace}", f"--policy={name}")


@pytest.mark.parametrize(
    "option", ["--waiting-price=nan", "--price=nan", "--price=inf", "--price=-1", "--price=dear"]
)
def test_what_is_no_price_is_refused(trace: Path, option: str) -> None:
    result = CliRunner().invoke(command, [f"--trace={trace}", option])
    name, value = option.split("=")
    assert result.exit_code == 2
    assert f"Invalid value for '{name}': " in result.output and value in result.output


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--plot=missing/x.svg", "missing/x.svg: there is no folder "),
        ("--export=missing/x.jsonl", "missing/x.jsonl: there is no folder "),
        ("--export=x.txt", r"x.txt: the file's name has to end with .jsonl or .jsonl.gz"),
    ],
)
def test_what_can_not_be_written_is_refused_before_anything_is_simulated(
    trace: Path, option: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torpor_simulator.fleet.run", None)
    with pytest.raises(InvalidRequest, match=said):
        simulate(f"--trace={trace}", option)


def test_torpor_may_have_any_time_out(trace: Path) -> None:
    lines = simulate(f"--trace={trace}", "--databases=1", "--policy=torpor-2h").splitlines()
    assert lines[3].split()[4] == "1"  # It never sleeps between jobs that come each hour.


def test_what_is_no_toml_is_refused_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("name =")
    with pytest.raises(InvalidRequest, match=r"x\.toml: "):
        simulate(f"--trace={file}")
