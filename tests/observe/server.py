"""A real Prometheus for tests: it scrapes quickly, keeps little, and ends with the test."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from prometheus import find
from support.ports import free_address
from support.up import until

SCRAPE_SECONDS = 1

ANSWER_SECONDS_MAX = 30.0

START_SECONDS_MAX = 60.0

STOP_SECONDS_MAX = 30.0

NATIVE_BY_FLAG = (2, 40), (3, 8)
"""Releases, from and before which, that take native histograms by a flag; later ones by their
configuration."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of an answer. ``value``: of a native histogram, how many are in it."""

    labels: Mapping[str, str]
    value: float


def program(name: str) -> str:
    found = find(name)
    assert found is not None, f"there is no {name}: `make observe` brings it"
    return found


def version() -> tuple[int, int]:
    done = subprocess.run([program("prometheus"), "--version"], capture_output=True, text=True)
    words = (done.stdout + done.stderr).split()
    major, minor, *_ = words[words.index("version") + 1].split(".")
    return int(major), int(minor)


class Server:
    """One, with or without native histograms."""

    def __init__(self, url: str, *, is_native: bool) -> None:
        self.url = url
        self.is_native = is_native

    def ask(self, path: str, **parameters: str | Sequence[str]) -> Any:
        """The data of an answer; fails with Prometheus's own words."""
        query = urllib.parse.urlencode(parameters, doseq=True)
        try:
            with urllib.request.urlopen(
                f"{self.url}/api/v1/{path}?{query}", timeout=ANSWER_SECONDS_MAX
            ) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from None

    def query(self, query: str) -> list[Sample]:
        """At this moment."""
        found = self.ask("query", query=query)
        assert found["resultType"] in ("vector", "scalar"), query
        if found["resultType"] == "scalar":
            return [Sample({}, float(found["result"][1]))]
        return [_sample(each) for each in found["result"]]

    def series(self, selector: str) -> list[dict[str, str]]:
        """That there were in the last hour."""
        since = str(time.time() - 3600)
        return list(self.ask("series", **{"match[]": selector, "start": since}))

    def are_up(self, targets: int) -> bool:
        return sum(sample.value for sample in self.query("up")) == targets


def _sample(found: Json) -> Sample:
    if "histogram" in found:
        return Sample(found["metric"], float(found["histogram"][1]["count"]))
    return Sample(found["metric"], float(found["value"][1]))


@contextlib.contextmanager
def scraping(
    folder: Path, jobs: Mapping[str, str], rules: Path, *, is_native: bool
) -> Iterator[Server]:
    """``jobs``: addresses by the name under which each is scraped."""
    folder.mkdir()
    by_flag = NATIVE_BY_FLAG[0] <= version() < NATIVE_BY_FLAG[1]
    native: Json = {} if by_flag else {"scrape_native_histograms": is_native}
    timing = {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "1s"}
    configuration = {
        "global": timing | native,
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [address]}]}
            for job, address in jobs.items()
        ],
    }
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(configuration))
    address = free_address()
    argv = [program("prometheus"), f"--config.file={file}", f"--web.listen-address={address}"]
    argv += [f"--storage.tsdb.path={folder / 'data'}", "--storage.tsdb.retention.time=1h"]
    argv += ["--enable-feature=native-histograms"] if by_flag and is_native else []
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
        try:
            yield _begun(Server(f"http://{address}", is_native=is_native), process, folder / "log")
        finally:
            process.terminate()
            process.wait(STOP_SECONDS_MAX)


def _begun(server: Server, process: subprocess.Popen[bytes], log: Path) -> Server:
    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{server.url}/-/ready", timeout=ANSWER_SECONDS_MAX).close()
            return True
        return False

    until(is_ready, "Prometheus is ready", START_SECONDS_MAX)
    return server
