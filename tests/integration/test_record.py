"""`torpor record` on the real thing: what a client did is in the trace, and can be simulated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from support.up import Database
from torpor_cli.main import torpor
from torpor_simulator.recorded import read

QUERY_S = 1.5


def test_a_use_is_recorded_as_it_was(database: Database, tmp_path: Path) -> None:
    file, state = tmp_path / "t.jsonl.gz", f"--state={database.up.folder.root}"
    with (
        psycopg.connect(database.uri(), autocommit=True) as connection,
        ThreadPoolExecutor() as pool,
    ):
        recording = pool.submit(
            CliRunner().invoke, torpor, ["record", str(file), "--for", "4s", state]
        )
        connection.execute(f"select pg_sleep({QUERY_S})")
        result = recording.result()
    assert result.exit_code == 0, result.output
    ((took_s,),) = ([length for _, length in one.uses] for one in read(file).databases if one.uses)
    # The one look before and the one after are a second away each.
    assert took_s == pytest.approx(QUERY_S, abs=1.2)
    simulated = CliRunner().invoke(torpor, ["simulate", f"--trace={file}", "--policy=torpor-1s"])
    assert simulated.exit_code == 0 and "1 of them used" in simulated.output
