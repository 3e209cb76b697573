"""The alerts: Prometheus takes them, they look at what there is, and each fires when it should."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from observe.conftest import RULES
from observe.promql import selectors, without_threshold
from observe.server import Server, program
from observe.stories import FIRES, ONE_MACHINE, Story
from support.up import until

ALERTS: dict[str, str] = {
    rule["alert"]: rule["expr"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
}

WITHOUT_NUMBER = {
    "TorporComponentMissing",
    "TorporProxyUnregistered",
    "TorporWarmPoolShort",
    "TorporComponentRestarts",
}
"""They compare with no number at their end, and say nothing where all is well."""

EVALUATED_SECONDS_MAX = 60.0


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_no_fault() -> None:
    promtool("check", "rules", str(RULES))


def test_prometheus_evaluates_all_of_them(server: Server) -> None:
    def states() -> dict[str, tuple[str, str]]:
        (group,) = server.ask("rules")["groups"]
        return {rule["name"]: (rule["health"], rule["state"]) for rule in group["rules"]}

    wanted = dict.fromkeys(ALERTS, "ok")
    until(
        lambda: {name: health for name, (health, _) in states().items()} == wanted,
        "every alert was evaluated",
        EVALUATED_SECONDS_MAX,
    )
    firing = [name for name, (_, state) in states().items() if state == "firing"]
    assert firing == [], "nothing that was played is worth anybody's sleep"


@pytest.mark.parametrize("name", ALERTS)
def test_a_selector_finds_series(servers: list[Server], name: str) -> None:
    found = selectors(ALERTS[name])
    assert found
    for selector in found:
        assert any(server.series(selector) for server in servers), selector


@pytest.mark.parametrize("name", sorted(ALERTS.keys() - WITHOUT_NUMBER))
def test_what_it_compares_has_data(server: Server, name: str) -> None:
    """With native histograms and without."""
    query = without_threshold(ALERTS[name])
    assert query != ALERTS[name]
    until(lambda: bool(server.query(query)), f"{query} has data", EVALUATED_SECONDS_MAX)


def test_there_is_a_story_of_each() -> None:
    assert FIRES.keys() == ALERTS.keys()


@pytest.mark.parametrize("name", sorted(FIRES))
def test_it_fires_when_it_should_and_not_before(name: str, tmp_path: Path) -> None:
    play(name, FIRES[name], tmp_path)


def test_one_machine_has_no_operator_that_could_be_missing(tmp_path: Path) -> None:
    play("TorporComponentMissing", ONE_MACHINE, tmp_path)


def play(name: str, story: Story, tmp_path: Path) -> None:
    def count(at: str, times: int) -> dict[str, Any]:
        expression = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
        samples = [{"labels": "{}", "value": times}]
        return {"expr": expression, "eval_time": at, "exp_samples": samples}

    test = {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in story.series],
        "promql_expr_test": [count(story.not_yet, 0), count(story.then, story.times)],
    }
    file = tmp_path / "story.yaml"
    rules = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}
    file.write_text(yaml.safe_dump(rules))
    promtool("test", "rules", str(file))
