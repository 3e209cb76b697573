"""What lies inside of a place: the volumes of its databases, its logs, its computes from within."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torpor_cli.client import Json
from torpor_cli.logs.lines import Told
from torpor_cli.logs.source import Source


class LogReader(Protocol):
    """One source of lines, from its end on."""

    def read(self) -> list[Told]:
        """All lines that are new since the last call, in their order; the first time, those that
        there are, as far back as the source is kept. Raises a Failure where it can't be read."""
        ...


class Inside(Protocol):
    """One machine or one cluster; every refusal is a Failure."""

    def volumes(self, name: str = "", *, measured: bool = False) -> list[Json]:
        """All, or the one of that name, where it is there. One each: ``name``, ``database`` (empty:
        it was deleted and its data is kept), ``directory``, ``claim`` (on a cluster) and ``bytes``:
        that it takes of the disk, None where that is not known, or not to be ``measured``."""
        ...

    def told_of_kept_data(self, name: str) -> str:
        """Of a database that was just deleted without its data: where that is, and what to do."""
        ...

    def log(self, source: Source, *, since_s: float | None) -> LogReader:
        """``since_s``: of so many last seconds; a bound for what is fetched, which may be older."""
        ...

    def shell_in_compute(self, compute: Json, database: Json, argv: Sequence[str]) -> int:
        """Run ``argv``, or a shell, where the agent of this ComputeRow runs, in the data directory
        of the resource that it serves and connected to its Postgres; its exit status."""
        ...

    def shell_in_volume(self, volume: Json, argv: Sequence[str]) -> int:
        """In a volume's directory, whether or not its database is awake; its exit status."""
        ...
