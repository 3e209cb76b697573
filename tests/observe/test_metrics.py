"""The metrics themselves: well named, explained, and no more than the documents say."""

from __future__ import annotations

import re
import subprocess
import urllib.request

import pytest

from observe.server import ANSWER_SECONDS_MAX, Server, program
from observe.stage import Stage
from tidy.tree import ROOT

DOCUMENT = ROOT / "docs/metrics.md"

JOBS = ("proxy", "autoscaler", "operator", "agent")

SERIES_MAX = {"proxy": 150, "autoscaler": 600, "operator": 120, "agent": 25}
"""In the text format; as docs/metrics.md has them."""

HISTOGRAMS = {"torpor_resume_seconds", "torpor_resume_step_seconds", "torpor_wait_seconds"}
"""That are to be native where anybody reads such."""


def text_of(stage: Stage, job: str) -> str:
    url = f"http://{stage.jobs[job]}/metrics"
    with urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX) as answer:
        return str(answer.read(), "utf-8")


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("path", ["healthz", "readyz"])
def test_probes_are_answered_beside_them(stage: Stage, job: str, path: str) -> None:
    url = f"http://{stage.jobs[job]}/{path}"
    with urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX) as answer:
        assert (answer.status, answer.read()) == (200, b"ok\n")


@pytest.mark.parametrize("job", JOBS)
def test_names_and_meanings_follow_the_rules(stage: Stage, job: str) -> None:
    """Prometheus's own linter has nothing to say."""
    argv = [program("promtool"), "check", "metrics"]
    text = text_of(stage, job)
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("job", JOBS)
def test_there_are_no_more_series_than_the_documents_say(stage: Stage, job: str) -> None:
    lines = text_of(stage, job).splitlines()
    series = [line for line in lines if line and not line.startswith("#")]
    assert len(series) < SERIES_MAX[job]


def documented() -> dict[str, set[str]]:
    """Names in the first column of the tables, with their labels."""
    found = dict[str, set[str]]()
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("| `torpor_"):
            for name, labels in re.findall(r"`(torpor_\w+)(?:\{([^}]*)\})?`", line.split("|")[1]):
                keys = {label.partition("=")[0] for label in labels.split(",") if label}
                found.setdefault(name, set()).update(keys)
    return found


def told(stage: Stage) -> dict[str, set[str]]:
    """The same of what components tell; of histograms the name that they share."""
    found = dict[str, set[str]]()
    for job in JOBS:
        types = dict(re.findall(r"^# TYPE (torpor_\w+) (\w+)$", text_of(stage, job), re.MULTILINE))
        for name in types:
            found.setdefault(name, set())
        for line in text_of(stage, job).splitlines():
            if line.startswith("torpor_"):
                name, _, rest = line.partition("{")
                name = name.split(" ")[0]
                whole = re.sub(r"_(bucket|sum|count)$", "", name)
                labels = set(re.findall(r'(\w+)="', rest)) - {"le"}
                found[whole if whole in found else name] |= labels
    return found


def test_the_documents_have_every_metric_with_its_labels(stage: Stage, server: Server) -> None:
    exceptions = {"torpor_database_query_seconds"}  # Without a series, unless somebody asks.
    in_words, in_fact = documented(), told(stage)
    assert in_words.keys() == in_fact.keys()
    for name in in_words.keys() - exceptions:
        assert in_words[name] == in_fact[name], name


@pytest.mark.parametrize("name", sorted(HISTOGRAMS))
def test_a_histogram_is_native_where_it_is_read_so(server: Server, name: str) -> None:
    classic, native = server.series(f"{name}_bucket"), server.series(name)
    assert bool(native) == server.is_native
    assert bool(classic) != server.is_native


def test_both_kinds_of_buckets_have_the_same_percentiles(servers: list[Server]) -> None:
    """The classic ones as far as their bounds tell; a wrong offset or schema would be far away."""
    native, classic = servers
    mean = native.query(
        "histogram_sum(torpor_resume_seconds) / histogram_count(torpor_resume_seconds)"
    )
    same = classic.query("torpor_resume_seconds_sum / torpor_resume_seconds_count")
    assert mean[0].value == pytest.approx(same[0].value)
    median = native.query("histogram_quantile(0.5, torpor_resume_seconds)")[0].value
    bounds = classic.query("torpor_resume_seconds_bucket")
    count = max(sample.value for sample in bounds)
    above = [float(s.labels["le"]) for s in bounds if s.value >= count / 2]
    below = [float(s.labels["le"]) for s in bounds if s.value < count / 2]
    assert max(below, default=0.0) * 0.9 <= median <= min(above) * 1.1
