"""What two clients say, in turns. Data alone: made by :mod:`fuzz.generate`, held by
:mod:`fuzz.hold`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CLIENTS = 2


@dataclass(frozen=True, slots=True)
class Turn:
    """One client's messages; the next turn begins when the server has nothing more to say to them.

    So what one client does is seen by the other in the same order on both sides.
    """

    who: int
    messages: tuple[bytes, ...]
    cuts: tuple[int, ...] = ()
    """Where the bytes of the messages are split between two writes."""

    def pieces(self) -> Iterator[bytes]:
        """What is written at once."""
        data, start = b"".join(self.messages), 0
        for cut in (*self.cuts, len(data)):
            if start < min(cut, len(data)):
                yield data[start:cut]
                start = cut


@dataclass(frozen=True, slots=True)
class Conversation:
    """Its ``repr`` is Python that makes it again."""

    turns: tuple[Turn, ...]
    users: tuple[str, ...] = ("app",) * CLIENTS
    """As whom each client logs in."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Of their startup packets."""

    def __repr__(self) -> str:
        turns = "".join(f"        {turn!r},\n" for turn in self.turns)
        others = f"users={self.users!r}, parameters={self.parameters!r}"
        return f"Conversation(\n    (\n{turns}    ),\n    {others},\n)"
