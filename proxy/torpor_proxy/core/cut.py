"""One session's notifications from two connections, without a loss, a double or a swap. Pure.

While a session is parked, a common listener hears for it; while it is attached, its own backend
does. Both hear in the same order, that of the commits, but not at the same time. So a change from
one to the other is a *cut* at a *mark*: a notification on a channel of the proxy's own, which the
session sends to itself and to the listener, with a word that nobody else uses. What one of the two
says before the mark, the other has said before the mark as well.

=========  ======================================  =========================================
stage      of its own backend's words count        of the listener's words count
=========  ======================================  =========================================
LEAVING    those before the mark                   those after it, once it has left
COMMON     it has none                             those after that mark
RETURNING  those after a new mark, once it is back those before that
=========  ======================================  =========================================

Either way may fail, and the session stays where it was. So what does not count is kept until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from torpor_proxy.core import wire
from torpor_proxy.core.held import CUT_CHANNEL

_PROCESS_ID_BYTES = 4


class Stage(Enum):
    """Of one parking; see the table above."""

    LEAVING = auto()
    COMMON = auto()
    RETURNING = auto()


@dataclass(frozen=True, slots=True)
class Notification:
    """What a NotificationResponse says, in the encoding of its connection."""

    process_id: int
    channel: bytes
    payload: bytes

    @property
    def message(self) -> bytes:
        """As it is sent."""
        body = self.channel + b"\0" + self.payload + b"\0"
        return wire.message(b"A", self.process_id.to_bytes(_PROCESS_ID_BYTES, "big") + body)


def notification_of(message: bytes) -> Notification:
    """Of a whole message."""
    start = wire.HEAD_BYTES + _PROCESS_ID_BYTES
    channel, payload, _ = message[start:].split(b"\0", 2)
    process_id = int.from_bytes(message[wire.HEAD_BYTES : start], "big")
    return Notification(process_id, channel, payload)


class Ear:
    """What one session hears from the moment when it begins to leave its backend to its return.

    Each method that returns notifications returns those that its client is to hear now.
    """

    __slots__ = (
        "_awaited",
        "_awaited_of_own",
        "_has_lost_mark",
        "_kept",
        "_kept_of_own",
        "_skips_to",
        "stage",
    )

    def __init__(self, mark: str = "") -> None:
        """``mark``: at which it leaves its backend; none: that is gone, and has said everything."""
        self.stage = Stage.LEAVING if mark else Stage.COMMON
        self._skips_to = mark.encode()
        """What the listener says before this, its own backend has told it."""
        self._awaited = b""
        self._awaited_of_own = mark.encode()
        self._has_lost_mark = False
        self._kept: list[Notification] = []
        self._kept_of_own: list[Notification] = []

    # --- the two streams --------------------------------------------------------------

    def own(self, said: Notification) -> list[Notification]:
        """Its own backend has said something."""
        if said.channel == CUT_CHANNEL:
            if said.payload == self._awaited_of_own:
                self._awaited_of_own = b""
        elif self.stage is Stage.LEAVING and self._awaited_of_own:
            return [said]
        elif self.stage is not Stage.COMMON and not self._awaited_of_own:
            self._kept_of_own.append(said)
        return []

    def common(self, said: Notification) -> list[Notification]:
        """The listener has said something, on a channel of this session or of marks."""
        if said.channel == CUT_CHANNEL:
            self._passed(said.payload)
        elif self._skips_to:
            pass
        elif self.stage is Stage.COMMON or (self.stage is Stage.RETURNING and self._awaited):
            return [said]
        else:
            self._kept.append(said)
        return []

    def _passed(self, mark: bytes) -> None:
        if mark == self._skips_to:
            self._skips_to = b""
        elif mark == self._awaited:
            self._awaited = b""

    # --- the changes ------------------------------------------------------------------

    @property
    def may_leave(self) -> bool:
        """Whether its own backend has said all that counts."""
        return self.stage is Stage.LEAVING and not self._awaited_of_own

    def left(self) -> list[Notification]:
        """Its backend is let go."""
        assert self.may_leave
        self.stage = Stage.COMMON
        self._kept_of_own = []
        return self._take_kept()

    def remained(self) -> list[Notification]:
        """It does not leave its backend after all; this object is of no more use."""
        assert self.stage is Stage.LEAVING
        return self._kept_of_own

    def return_at(self, mark: str) -> None:
        """A new backend of its own is about to send this mark."""
        assert self.stage is Stage.COMMON
        self.stage = Stage.RETURNING
        self._has_lost_mark = False
        self._awaited = self._awaited_of_own = mark.encode()

    @property
    def awaits_listener(self) -> bool:
        """Whether that is to come to a mark."""
        return bool(self._skips_to or self._awaited)

    @property
    def may_return(self) -> bool:
        """Whether both have come to the mark."""
        is_awaited = self.awaits_listener or self._awaited_of_own or self._has_lost_mark
        return self.stage is Stage.RETURNING and not is_awaited

    def returned(self) -> list[Notification]:
        """From now on its own backend is heard directly; this object is of no more use."""
        assert self.may_return
        return self._kept_of_own

    def stay(self) -> list[Notification]:
        """The new backend is lost: it goes on as if there had been none."""
        assert self.stage is Stage.RETURNING
        self.stage = Stage.COMMON
        self._awaited = self._awaited_of_own = b""
        self._kept_of_own = []
        return self._take_kept()

    def listener_is_gone(self) -> None:
        """Its marks do not come any more; the next one is heard from its beginning."""
        self._skips_to = b""
        if self.stage is Stage.RETURNING:
            self._awaited = b""
            self._has_lost_mark = True

    def _take_kept(self) -> list[Notification]:
        kept, self._kept = self._kept, []
        return kept
