"""The unnamed prepared statement: is there one, and which? Pure.

SQL can't see it, so it is followed in the stream. What may change it is kept from when the client
sent it until its answer shows whether the server did it: a Parse is confirmed by its ParseComplete;
a simple query or a Close needs none, it was done once its sequence ended without an error. An error
leaves a doubt. A Parse that fails has mostly dropped the statement before, but not always (a text
that is no text in the client's encoding fails earlier), and what came behind it was skipped.

A sequence is what one ReadyForQuery answers. Its number is how many ReadyForQuery precede its
answer, which is the same however late either direction is walked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

OPEN_BYTES_MAX = 1 << 20
"""Kept of what is not answered yet; a client that sends far ahead and reads nothing gets no more.
"""

_ENTRY_BYTES = 64
"""What an entry costs beside its text."""


class Change(Enum):
    """What a message without a text of its own does once it is executed."""

    NONE = auto()
    """A Parse with a name: it is here because its confirmation looks like any other's."""
    DROP = auto()
    """A simple query, or a Close of the unnamed statement."""


Sent = bytes | Change
"""An unnamed Parse, whole (b"" where it was too long to be kept), or another change."""


@dataclass(slots=True)
class Unnamed:
    """Of one session. Every method is given the number of the sequence that it is about."""

    candidate: bytes | None = None
    """The Parse that was confirmed last, None where there is no statement for certain.

    b"": its text is not known. Up to date only after :meth:`settle`.
    """

    is_sure: bool = True
    """False: there is the candidate or none, and only the server knows."""

    is_older: bool = False
    """Whether a later Parse has failed or was skipped."""

    open: list[tuple[int, Sent, int]] = field(default_factory=list)
    """What may still change it, in order: the number of its sequence, and what it costs to keep."""

    _open_bytes: int = 0
    _blind_until: int = -1
    """Sequences up to this one had more than could be kept."""

    @property
    def is_there(self) -> bool:
        """Whether there may be a statement, now or once everything is answered."""
        return self.candidate is not None or bool(self.open)

    def sent(self, number: int, what: Sent) -> None:
        """The client has sent it, and the server did not say before that it skips it."""
        if number <= self._blind_until:
            return
        cost = _ENTRY_BYTES if isinstance(what, Change) else _ENTRY_BYTES + len(what)
        self.open.append((number, what, cost))
        self._open_bytes += cost
        if self._open_bytes > OPEN_BYTES_MAX:
            self.open.clear()
            self._open_bytes = 0
            self._blind_until = number
            self._doubt(b"")

    def confirmed(self, number: int) -> None:
        """ParseComplete."""
        self.settle(number)
        while self.open and self.open[0][0] == number:
            what = self._pop()
            self._do(what)
            if what is not Change.DROP:
                break

    def failed(self, number: int) -> None:
        """An ErrorResponse: what is still open in its sequence was done, failed or skipped."""
        self.settle(number)
        while self.open and self.open[0][0] == number:
            what = self._pop()
            if what is not Change.NONE and self.candidate is not None:
                self.is_sure = False
            self.is_older |= not isinstance(what, Change)

    def settle(self, number: int) -> None:
        """The sequences before this one are over. What is open in them was done."""
        while self.open and self.open[0][0] < number:
            what = self._pop()
            if what is Change.DROP:
                self._do(what)
            else:
                self._doubt(b"")  # Neither confirmed nor failed: no server answers like that.

    def passed_over(self, number: int, syncs: int) -> None:
        """A copy of this sequence has passed over Syncs: later sequences come so much earlier."""
        self.settle(number)
        self.open = [(max(number, at - syncs), what, cost) for at, what, cost in self.open]

    def found(self, *, exists: bool) -> None:
        """The server was asked at a safe point."""
        self.is_sure = True
        if not exists:
            self.candidate = None

    def _pop(self) -> Sent:
        _, what, cost = self.open.pop(0)
        self._open_bytes -= cost
        return what

    def _do(self, what: Sent) -> None:
        if what is not Change.NONE:
            self.candidate = None if what is Change.DROP else what
            self.is_sure, self.is_older = True, False

    def _doubt(self, candidate: bytes) -> None:
        self.candidate = candidate
        self.is_sure = False
