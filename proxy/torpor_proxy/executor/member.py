"""A session that listens, from the moment when it begins to leave its backend to its return."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from torpor_proxy.core.cut import Ear, Notification, Stage, notification_of
from torpor_proxy.core.refusals import NotificationsUnread, Refusal
from torpor_proxy.core.routing import Route
from torpor_proxy.ports import BackendLost

MARK_BYTES = 8
"""Of a word that nobody else uses."""

FOR_EVER = float("inf")


class ListeningSession(Protocol):
    """The session."""

    @property
    def route(self) -> Route:
        """Who it is, and in which database."""

    @property
    def is_unread(self) -> bool:
        """Whether its client does not read what it is sent."""

    @property
    def unread_bytes_max(self) -> int:
        """Of notifications: a client that does not read more than this is hung up on."""

    def hear(self, notifications: bytes) -> None:
        """They are its client's."""

    def refuse(self, refusal: Refusal) -> None:
        """Say why, and end."""


class Member:
    """Of a listener."""

    __slots__ = (
        "_changed",
        "_ear",
        "_told_as",
        "_unread_bytes",
        "awaiting",
        "channels",
        "is_heard",
        "mark",
        "session",
        "sure_until",
    )

    def __init__(
        self,
        session: ListeningSession,
        channels: tuple[bytes, ...],
        told_as: Mapping[int, int],
        sure_until: float | None,
    ) -> None:
        """``sure_until``: None where it has a backend still, which it is about to leave."""
        self.session = session
        self.channels = channels
        """In UTF-8."""
        self.sure_until = FOR_EVER if sure_until is None else sure_until
        """Until when, of the loop's time, it has surely heard everything."""
        self.mark = secrets.token_hex(MARK_BYTES) if sure_until is None else ""
        """At which it leaves, or returns."""
        self.is_heard = False
        """The listener listens on its channels, and has not been lost since."""
        self.awaiting: set[Member] = set()
        """Those members of its listener that wait for a mark."""
        self._ear = Ear(self.mark)
        self._told_as = told_as
        self._changed = asyncio.Event()
        self._unread_bytes = 0

    @property
    def is_leaving(self) -> bool:
        return self._ear.stage is Stage.LEAVING

    # --- what is said -----------------------------------------------------------------

    def own(self, message: bytes) -> None:
        """A NotificationResponse of its own backend."""
        self._tell(self._ear.own(notification_of(message)))

    def common(self, said: Notification) -> None:
        """The listener has heard something."""
        self._tell(self._ear.common(said))
        if not self._ear.awaits_listener:
            self.awaiting.discard(self)
            self._changed.set()

    def _tell(self, heard: Iterable[Notification]) -> None:
        data = b"".join(self._as_known(one).message for one in heard)
        if not data:
            return
        self._unread_bytes = self._unread_bytes + len(data) if self.session.is_unread else 0
        limit = self.session.unread_bytes_max
        if self._unread_bytes > limit:
            self.session.refuse(NotificationsUnread(limit))
        else:
            self.session.hear(data)

    def _as_known(self, said: Notification) -> Notification:
        """A client knows itself, and others, by the process id that it was told at its login."""
        known = self._told_as.get(said.process_id)
        return said if known is None else replace(said, process_id=known)

    # --- leaving its backend ----------------------------------------------------------

    @property
    def may_leave(self) -> bool:
        """Its own backend has come to the mark, and the listener is there."""
        return self.is_heard and self._ear.may_leave

    def left(self, sure_until: float) -> None:
        """Its backend is let go; what the listener has heard since the mark is told."""
        self.sure_until = sure_until
        self._tell(self._ear.left())

    def remained(self) -> None:
        """It keeps its backend."""
        self._tell(self._ear.remained())

    # --- returning to one -------------------------------------------------------------

    def return_soon(self) -> str:
        """The mark that its new backend is to send."""
        self.mark = secrets.token_hex(MARK_BYTES)
        self._ear.return_at(self.mark)
        self.awaiting.add(self)
        return self.mark

    async def come_to_mark(self) -> None:
        """Until both have. Raises BackendLost where one of them does not."""
        while self.is_heard and self._ear.awaits_listener:
            self._changed.clear()
            await self._changed.wait()
        if not self._ear.may_return:
            raise BackendLost("the mark between two ways of its notifications was lost")

    def returned(self) -> None:
        """It hears for itself again."""
        self._tell(self._ear.returned())

    def stay(self) -> None:
        """Where it was to return, it does not."""
        if self._ear.stage is Stage.RETURNING:
            self._tell(self._ear.stay())

    # --- its listener -----------------------------------------------------------------

    def found(self) -> None:
        """A listener listens on its channels from now on."""
        self.is_heard = True
        if self._ear.awaits_listener:
            self.awaiting.add(self)

    def lost(self) -> None:
        """The listener's connection is gone."""
        self.is_heard = False
        self._ear.listener_is_gone()
        self.awaiting.discard(self)
        self._changed.set()
