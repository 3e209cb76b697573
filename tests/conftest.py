"""What holds for every test: nothing that it began outlives it, and nothing of its user reaches it.

- ``nothing_survives``: no thread and no child process is left after a test, dead ones included,
  but for those that serve all tests: ``LASTING``.
- ``no_task_survives``: no asyncio task is left; put on every asynchronous test.
- ``no_settings_of_the_user``: PGHOST, TORPOR_STATE and the like of whoever runs the tests.
- Hypothesis: the same examples each time in CI, new ones elsewhere; no time limit per example.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from support.forked import LASTING
from support.scratch import remove_leftovers

ENDING_SECONDS_MAX = 30.0
"""What has been told to end may take this long where others have the processor; what was forgotten
is still there after it."""

LOOP_TURNS = 3
"""A task that ends in the last line of a test needs a turn or two of the loop to be gone."""

hypothesis.settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)
hypothesis.settings.register_profile("dev", print_blob=True, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_sessionstart(session: pytest.Session) -> None:
    """What a run that was killed has left in memory, this one would lack."""
    if not hasattr(session.config, "workerinput"):
        remove_leftovers()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays: to look for garbage in it takes a third of that time,
    in each worker, and again and again as long as tests run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and asyncio.iscoroutinefunction(item.obj):
            item.fixturenames.insert(0, "no_task_survives")


@pytest.fixture
async def no_task_survives() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks that the test left behind: {left}"


@pytest.fixture(autouse=True)
def nothing_survives() -> Iterator[None]:
    threads, children = _threads(), _children()
    yield
    deadline = time.monotonic() + ENDING_SECONDS_MAX
    while left := [*(_threads() - threads), *map(_named, _children() - children - LASTING)]:
        if time.monotonic() > deadline:
            pytest.fail(f"the test left behind: {left}")
        time.sleep(0.01)


@pytest.fixture(autouse=True, scope="session")
def no_settings_of_the_user() -> None:
    for name in [name for name in os.environ if name.startswith(("PG", "TORPOR_"))]:
        del os.environ[name]


def _threads() -> set[threading.Thread]:
    """Without those of the event loop's own executor, which end with the loop."""
    return {each for each in threading.enumerate() if not each.name.startswith("asyncio_")}


def _children() -> set[int]:
    """Process ids, those of dead children that nobody has waited for as well."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(
            FileNotFoundError, ProcessLookupError
        ):  # A thread that just ended.
            found |= set(map(int, (task / "children").read_text().split()))
    return found


def _named(pid: int) -> str:
    try:
        return f"{pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})"
    except OSError:
        return str(pid)
