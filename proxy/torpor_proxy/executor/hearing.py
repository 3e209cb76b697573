"""Where one session's notifications come from: its own backend, or the common listener."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic
from typing import Any, Protocol

from torpor_proxy.core.capture import Captured, Pins
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.executor import visit
from torpor_proxy.executor.attachment import Attachment
from torpor_proxy.executor.host import Host, Identity
from torpor_proxy.executor.member import ListeningSession, Member


class HearingSession(ListeningSession, Protocol):
    """The session."""

    identity: Identity


class Hearing:
    """Of a session; costs nothing where it does not listen."""

    __slots__ = ("_channels", "_host", "_member", "_session", "_state", "sure_until")

    def __init__(self, session: HearingSession, state: SessionState, host: Host[Any]) -> None:
        self.sure_until = 0.0
        """Until when its own backend has surely told everything."""
        self._channels: tuple[bytes, ...] = ()
        """As of the last capture."""
        self._session = session
        self._state = state
        self._host = host
        self._member: Member | None = None

    @property
    def listens(self) -> bool:
        """As of its last capture."""
        return bool(self._channels)

    def captured(self, found: Captured) -> Captured:
        """What was found, with what forbids to hand over what it listens for."""
        if not found.pins.is_passing or found.held.channels:
            # Where nothing could be read it listens as before.
            self._channels = found.held.channels
        if not self._channels or not self._host.is_limited(self._session.route.user):
            return found
        channel = self._channels[0].decode(errors="replace")
        words = (
            f"listens on {channel} as a role with a connection limit, which a listener counts to"
        )
        return replace(found, pins=replace(found.pins, reasons=(*found.pins.reasons, words)))

    @property
    def is_in_doubt(self) -> bool:
        """Whether it may have missed something if its backend is gone now."""
        dbname = self._session.route.database
        return self.listens and self._host.used_at(dbname) > self.sure_until

    # --- on its own backend -----------------------------------------------------------

    def asks(self) -> None:
        """Its backend is asked something: with the answer it has told all that was before."""
        self.sure_until = monotonic()

    def takes(self, message: bytes) -> bool:
        """Whether a message of its backend is a notification that may not be its client's."""
        if self._member is None or not message.startswith(b"A"):
            return False
        self._member.own(message)
        return True

    async def leave(self, attachment: Attachment) -> bool:
        """Hand over to the common listener; False: the session keeps its backend, for now.

        Raises one of ``visit.FAILED`` where it is lost.
        """
        if not self.listens:
            return True
        try:
            async with asyncio.timeout(self._host.settings.capture_timeout_s):
                member = await self._join(attachment)
        except (TimeoutError, *visit.FAILED) as error:
            self._stays_attached(str(error) or "nobody hears for it in time")
            return False
        self._member = member
        try:
            return await self._cut(attachment, member)
        except visit.FAILED:
            self.end()
            raise

    async def _join(self, attachment: Attachment) -> Member:
        return await self._host.listeners.leave(
            self._session, self._encoding, self._channels, attachment.backend.epoch
        )

    async def _cut(self, attachment: Attachment, member: Member) -> bool:
        self.asks()
        patience_s = self._host.settings.capture_timeout_s
        words = await attachment.leave(
            member.mark, self._session.identity, patience_s, self._host.cancel
        )
        if member.may_leave:
            return True
        await attachment.remain()
        member.remained()
        self.end()
        self._stays_attached(words or "the common listener was lost")
        return False

    def _stays_attached(self, reason: str) -> None:
        words = f"its notifications can not be handed over: {reason}"
        self._state.pins = Pins((words,), is_passing=True)

    def parted(self) -> None:
        """Its backend is gone."""
        if self._member is not None:
            self._member.left(self.sure_until)
        elif self._channels:
            self._member = self._host.listeners.adopt(
                self._session, self._encoding, self._channels, self.sure_until
            )

    @property
    def _encoding(self) -> str:
        return dict(self._state.parameters.pairs).get("client_encoding", "UTF8")

    # --- on its way back --------------------------------------------------------------

    def return_soon(self) -> str:
        """The mark for its new backend to send; "": it does not listen."""
        return "" if self._member is None else self._member.return_soon()

    async def come_to_mark(self) -> None:
        """Until the listener has told all that its own backend has not. Raises BackendLost."""
        if self._member is not None:
            await self._member.come_to_mark()

    def returned(self) -> None:
        """It is attached again, and its own backend's words are its client's."""
        member, self._member = self._member, None
        if member is not None:
            self._host.listeners.remove(member)
            member.returned()

    def stay(self) -> None:
        """The new backend was lost before."""
        if self._member is not None:
            self._member.stay()

    def end(self) -> None:
        """Nothing more is heard for it."""
        member, self._member = self._member, None
        if member is not None:
            self._host.listeners.remove(member)
