"""`torpor record` on the real thing: what a client did is in the trace, and can be simulated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from support.up import Database, until
from torpor_cli.main import torpor
from torpor_cli.place import Place
from torpor_cli.verbs import record_verb
from torpor_simulator.recorded import read
from torpor_simulator.recorder import Seen

UNDER_WAY = 3
"""Looks that see the query: what proxies say of it comes once a second, so the first may not."""


class Looks:
    """Those of a recorder, which ends as by Ctrl-C at the second one after it was told to."""

    def __init__(self) -> None:
        self.ended_at: list[float] = []
        self.longest_s = 0.0
        self._see = record_verb._seen
        self._left: int | None = None

    def seen(self, place: Place) -> Iterator[Seen]:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
        began_at = time.monotonic()
        yield from self._see(place)
        self.ended_at.append(time.monotonic())
        self.longest_s = max(self.longest_s, self.ended_at[-1] - began_at)

    def are(self, count: int) -> None:
        """Waits."""
        until(lambda: len(self.ended_at) >= count, f"{count} looks")

    def end(self) -> None:
        self._left = 2


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    made = Looks()
    monkeypatch.setattr(record_verb, "_seen", made.seen)
    return made


def test_a_use_is_recorded_as_it_was(database: Database, tmp_path: Path, looks: Looks) -> None:
    file, state = tmp_path / "t.jsonl.gz", f"--state={database.up.folder.root}"
    with (
        psycopg.connect(database.uri(), autocommit=True) as connection,
        ThreadPoolExecutor() as pool,
    ):
        recording = pool.submit(CliRunner().invoke, torpor, ["record", str(file), state])
        looks.are(1)
        before = len(looks.ended_at)
        query = pool.submit(connection.execute, "select pg_sleep(600)")
        looks.are(before + UNDER_WAY)
        connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            query.result()
        ended_at = time.monotonic()
        looks.end()
        result = recording.result()
    assert result.exit_code == 0, result.output
    ((took_s,),) = ([length for _, length in one.uses] for one in read(file).databases if one.uses)
    first, last = looks.ended_at[before - 1], looks.ended_at[before + 1]
    assert ended_at - last - looks.longest_s <= took_s <= ended_at - first + looks.longest_s
    simulated = CliRunner().invoke(torpor, ["simulate", f"--trace={file}", "--policy=torpor-1s"])
    assert simulated.exit_code == 0 and "1 of them used" in simulated.output
