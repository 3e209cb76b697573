"""`torpor record`: a trace that `torpor simulate` takes, from one machine and from a cluster."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from support.fake_kube.server import FakeKube
from support.verb_places import on_cluster
from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_api.messages import people
from torpor_cli.main import torpor
from torpor_cli.verbs import record_verb
from torpor_simulator.recorded import read


class Machine:
    """A place whose database is used at the second look and not after it."""

    def __init__(self, *silent: int) -> None:
        self.looks = 0
        self._silent = silent

    def ask_cluster(self, request: str, **_: Any) -> dict[str, Any]:
        assert request == "ListResources"
        return {"resources": [{"metadata": {"name": name}} for name in ("blog", "shop")]}

    def ask_autoscaler(self, request: str, **body: Any) -> dict[str, Any]:
        assert request == "AskUses"
        self.looks += not body["after"]
        if self.looks in self._silent:
            raise Unavailable("it begins anew")
        names = [name for name in ("other", "shop") if name > body["after"]]
        return {"uses": [self._use(name) for name in names[: people.USES_MAX]]}

    def _use(self, name: str) -> dict[str, Any]:
        is_used = self.looks == 2 and name == "shop"
        ago_s = 0.0 if is_used else 500.0
        return {"name": name, "ago_s": ago_s, "queries_total": 4, "sessions": 2, "cu": "0.5"}


class Clock:
    """Goes on by what is slept."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_verb, "time", Clock())


def record(machine: Machine, file: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    recorded = record_verb.record(file, 5.0, machine)  # type: ignore[arg-type]
    record_verb.tell(file, recorded, None)
    said = capsys.readouterr()
    return said.out, said.err


def test_each_use_is_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said, _ = record(Machine(), tmp_path / "t.jsonl.gz", capsys)
    assert said.startswith("2 databases over ") and said.endswith("t.jsonl.gz\n")
    used, unused = read(tmp_path / "t.jsonl.gz").databases
    assert (used.name, unused.name) == ("db-000000", "db-000001")
    assert len(used.uses) == 1 and not unused.uses
    assert (used.sessions, used.cu) == (2, 0.5)


def test_many_databases_are_asked_for_page_by_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "USES_MAX", 1)
    record(Machine(), tmp_path / "t.jsonl", capsys)
    assert len(read(tmp_path / "t.jsonl").databases[0].uses) == 1


def test_a_look_that_is_not_answered_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert record(Machine(3), tmp_path / "t.jsonl", capsys)[1].startswith("1 looks")
    with pytest.raises(Unavailable):
        record(Machine(1), tmp_path / "t.jsonl", capsys)


async def test_a_cluster_is_asked_where_torpor_is(tmp_path: Path) -> None:
    async with FakeKube().serving() as kube, on_cluster(tmp_path, kube) as fake:
        use = m.UseReport(name="shop", ago_s=0.0, queries_total=1, sessions=1, cu=Decimal("0.5"))
        fake.answers[m.AskUses] = m.Uses(uses=(use,))
        result = await fake.torpor("record", str(tmp_path / "t.jsonl"), "--for", "1s")
    assert result.exit_code == 0 and result.stdout.startswith("1 databases over 1s written to ")
    (shop,) = read(tmp_path / "t.jsonl").databases
    assert len(shop.uses) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["t.txt"], "t.txt: the file's name has to end with .jsonl or .jsonl.gz"),
        (["/no/such/t.jsonl"], "/no/such/t.jsonl: there is no folder /no/such"),
        (["t.jsonl", "--for", "10ms"], "10ms: allowed is"),
        (["t.jsonl", "--for", "soon"], "'soon' is not a duration"),
    ],
)
def test_what_can_not_be_is_refused(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(torpor, ["record", *arguments])
    assert result.exit_code != 0
    assert said in result.output + str(result.exception)
