"""How loudly it is said that a task has failed."""

from __future__ import annotations

import asyncio
import logging

import pytest

from torpor_api.failures import Busy, Unavailable
from torpor_compute.tasks import Tasks


@pytest.mark.parametrize(
    ("failure", "level", "event"),
    [
        (Busy("a client is still connected"), logging.INFO, "task_failed"),
        (Unavailable("no room"), logging.WARNING, "task_failed"),
        (ValueError("a mistake"), logging.ERROR, "task_defect"),
    ],
)
async def test_a_stop_that_was_called_off_is_no_warning(
    caplog: pytest.LogCaptureFixture, failure: Exception, level: int, event: str
) -> None:
    async def fails() -> None:
        raise failure

    with caplog.at_level(logging.INFO):
        await asyncio.gather(Tasks().run(fails()), return_exceptions=True)
        await asyncio.sleep(0)
    (said,) = caplog.records
    assert (said.levelno, said.message) == (level, event)
