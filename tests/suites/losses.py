"""The tests that may differ through Torpor, each with the documented loss that it runs into.

How exactly it fails stands in ``losses/SUITE/TEST.diff``, where the suite tells it: what its
expected output has and what came instead. `make suites ARGS=--keep` keeps what to compare it with.
"""

from __future__ import annotations

from pathlib import Path

from suites.outcomes import Allowed, Loss

FOLDER = Path(__file__).parent / "losses"


def _allowed(suite: str, test: str, loss: Loss, why: str, *, is_random: bool = False) -> Allowed:
    file = FOLDER / suite / f"{test}.diff"
    detail = file.read_text() if file.exists() else ""
    return Allowed(suite, test, loss, why, detail, is_random)


ALLOWED: tuple[Allowed, ...] = (
    _allowed(
        "regress",
        "constraints",
        Loss.SEQUENCE_STATE,
        "a column's default calls currval()",
    ),
    _allowed(
        "regress",
        "sequence",
        Loss.SEQUENCE_STATE,
        "asks currval() and lastval() in statements of their own",
    ),
    _allowed(
        "regress",
        "random",
        Loss.RANDOM_SEED,
        "expects the numbers that follow from setseed()",
        is_random=True,
    ),
    _allowed(
        "regress",
        "guc",
        Loss.LOADED_LIBRARIES,
        "plpgsql, once loaded, reserves the names of settings that begin with its own",
    ),
    _allowed(
        "regress",
        "stats",
        Loss.BACKEND_STATISTICS,
        "compares a backend's own counters before and after, and looks for its temporary schema",
    ),
    _allowed(
        "asyncpg",
        "test_execute.TestExecuteScript.test_execute_script_interrupted_by_server",
        Loss.PROCESS_ID,
        "ends its session by the id that pg_backend_pid() gave a statement earlier",
    ),
)
