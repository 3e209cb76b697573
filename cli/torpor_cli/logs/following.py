"""The lines of several sources as they come, by their times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torpor_api.failures import Failure, NotFound, Refused
from torpor_cli.inside import LogReader
from torpor_cli.logs.lines import Line, merged, timed
from torpor_cli.logs.source import Source


class Followed:
    """All of the sources together. Where each has no log yet or may not be read by this person,
    that is a failure; else the others are told, and which can't be read is known."""

    def __init__(self, readers: Mapping[Source, LogReader]) -> None:
        self._readers = dict(readers)
        self._last_at = dict.fromkeys(readers, 0.0)
        self.unread: dict[Source, Failure] = {}

    def read(self, since: float = 0.0) -> list[Line]:
        """Those that are new since the last call, from ``since`` on, in seconds since 1970."""
        lines = merged([self._of(source) for source in self._readers], since)
        if self.unread and len(self.unread) == len(self._readers):
            raise next(iter(self.unread.values()))
        return lines

    @property
    def is_refused(self) -> bool:
        """Whether one can't be read because the person may not."""
        return any(isinstance(hindrance, Refused) for hindrance in self.unread.values())

    def _of(self, source: Source) -> Sequence[Line]:
        try:
            told = self._readers[source].read()
        except (NotFound, Refused) as hindrance:
            self.unread[source] = hindrance
            return ()
        self.unread.pop(source, None)
        lines = timed(str(source), told, self._last_at[source])
        if lines:
            self._last_at[source] = lines[-1].at
        return lines
