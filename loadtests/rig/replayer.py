"""Clients that use databases as a recorded trace says, each on a thread and a session of its own.

A use is a query that takes as long: `pg_sleep` on the server, so that many of them leave the
processors to what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from rig.client import Client
from rig.progress import Progress

PIECE_SECONDS = 30.0
"""Longer uses are several queries, one right after the other: a client waits for no answer for
minutes."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One use as it was, by ``time.monotonic``."""

    due: float
    asked: float
    waited_s: float
    """For its first answer, beyond what the query itself takes."""
    ended: float


def replay(
    clients: Sequence[Client],
    uses: Sequence[Sequence[tuple[float, float]]],
    began: float,
    progress: Progress,
) -> list[list[Answered]]:
    """Each client's uses, as (seconds after ``began``, length). A use that is due while the one
    before it goes on follows at once."""
    with ThreadPoolExecutor(len(clients)) as pool:
        running: list[Future[list[Answered]]] = [
            pool.submit(_one, client, sorted(its), began)
            for client, its in zip(clients, uses, strict=True)
        ]
        for done, each in enumerate(running, start=1):
            each.result()
            progress.count("clients are done", done, len(running))
        return [each.result() for each in running]


def _one(client: Client, uses: Sequence[tuple[float, float]], began: float) -> list[Answered]:
    found = []
    for at, length_s in uses:
        due = began + at
        time.sleep(max(due - time.monotonic(), 0.0))
        asked, waited_s, left_s = time.monotonic(), None, length_s
        while waited_s is None or left_s > 0:
            piece_s = min(left_s, PIECE_SECONDS)
            took_s = client.first_row_s(f"SELECT pg_sleep({piece_s:.6f})")
            waited_s = took_s - piece_s if waited_s is None else waited_s
            left_s -= piece_s
        found.append(Answered(due, asked, max(waited_s, 0.0), time.monotonic()))
    return found
