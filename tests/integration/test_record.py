"""`torpor record` on the real thing: what a client did is in the trace, and can be simulated."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from support.up import WAIT_SECONDS_MAX, Database
from torpor_cli.main import torpor
from torpor_cli.place import Place
from torpor_cli.verbs import record_verb
from torpor_simulator.recorded import read
from torpor_simulator.recorder import Seen

QUERY_S = 1.5

LOOKS_S = 2 * record_verb.EVERY_S
"""The one look before and the one after are a second away each."""


@pytest.fixture
def has_looked(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    looked, real = threading.Event(), record_verb._seen

    def seen(place: Place) -> Iterator[Seen]:
        yield from real(place)
        looked.set()

    monkeypatch.setattr(record_verb, "_seen", seen)
    return looked


def test_a_use_is_recorded_as_it_was(
    database: Database, tmp_path: Path, has_looked: threading.Event
) -> None:
    file, state = tmp_path / "t.jsonl.gz", f"--state={database.up.folder.root}"
    with (
        psycopg.connect(database.uri(), autocommit=True) as connection,
        ThreadPoolExecutor() as pool,
    ):
        recording = pool.submit(
            CliRunner().invoke, torpor, ["record", str(file), "--for", "4s", state]
        )
        assert has_looked.wait(WAIT_SECONDS_MAX)
        began_at = time.monotonic()
        connection.execute(f"select pg_sleep({QUERY_S})")
        query_s = time.monotonic() - began_at
        result = recording.result()
    assert result.exit_code == 0, result.output
    ((took_s,),) = ([length for _, length in one.uses] for one in read(file).databases if one.uses)
    assert QUERY_S - LOOKS_S / 2 <= took_s <= query_s + LOOKS_S
    simulated = CliRunner().invoke(torpor, ["simulate", f"--trace={file}", "--policy=torpor-1s"])
    assert simulated.exit_code == 0 and "1 of them used" in simulated.output
