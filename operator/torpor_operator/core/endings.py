"""How databases ended that are going, or gone: by the operator, or past it. Pure."""

from __future__ import annotations

from torpor_operator.core.naming import Key
from torpor_operator.core.seen import SeenDatabase


class Endings:
    """Of those whose end is not done yet."""

    def __init__(self) -> None:
        self.stripped: dict[Key, SeenDatabase] = {}
        """Those that went without a word of the operator's, as they were last: somebody has taken
        their finalizer off, and their data may be there."""
        self._let_go: set[Key] = set()

    def let_go(self, key: Key) -> None:
        """The operator takes its finalizer off: all is done that its end takes."""
        self._let_go.add(key)

    def held(self, key: Key) -> None:
        """It stays after all, and may be awake again."""
        self._let_go.discard(key)

    def noted(self, key: Key) -> None:
        """What it has left behind is on record, if there is anything."""
        self.stripped.pop(key, None)

    def gone(self, seen: SeenDatabase) -> None:
        """It is there no more."""
        if seen.is_held and seen.key not in self._let_go:
            self.stripped[seen.key] = seen
        self._let_go.discard(seen.key)
