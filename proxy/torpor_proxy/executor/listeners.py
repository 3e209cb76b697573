"""The listeners of one endpoint, and the sessions that hand over to them and take back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from torpor_proxy.executor.conversation import ServerRefused
from torpor_proxy.executor.listener import Listener, Surroundings
from torpor_proxy.executor.member import ListeningSession, Member
from torpor_proxy.ports import BackendLost

log = logging.getLogger(__name__)

KEPT_SECONDS = 5.0
"""A listener without a member keeps its connection for so long: its like may soon be needed."""


class Listeners:
    """By database and encoding."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._listeners: dict[tuple[str, str], Listener] = {}

    @property
    def connections(self) -> int:
        """Backends that they have."""
        return sum(listener.is_connected for listener in self._listeners.values())

    @property
    def has_members(self) -> bool:
        """Whether sessions are heard for."""
        return any(listener.members for listener in self._listeners.values())

    # --- sessions ---------------------------------------------------------------------

    async def leave(
        self, session: ListeningSession, encoding: str, channels: tuple[bytes, ...], epoch: int
    ) -> Member:
        """A session is about to let its backend go: from now on it is listened for.

        Raises BackendLost, or ServerRefused.
        """
        member = Member(session, channels, self._surroundings.told_as, None)
        listener = self._of(session, encoding)
        listener.add(member)
        try:
            await listener.make_ready(epoch, behind_gate=True)
            if not member.is_heard:
                raise BackendLost("a channel can not be listened on")
        except BaseException:
            listener.remove(member)
            raise
        return member

    def adopt(
        self,
        session: ListeningSession,
        encoding: str,
        channels: tuple[bytes, ...],
        sure_until: float,
    ) -> Member:
        """A session's backend is gone; ``sure_until``: when it had heard everything."""
        member = Member(session, channels, self._surroundings.told_as, sure_until)
        self._of(session, encoding).add(member)
        return member

    def remove(self, member: Member) -> None:
        """It hears for itself, or has ended."""
        for listener in self._listeners.values():
            listener.remove(member)

    def _of(self, session: ListeningSession, encoding: str) -> Listener:
        dbname = session.route.database
        key = dbname, encoding
        if key not in self._listeners:
            self._listeners[key] = Listener(dbname, encoding, self._surroundings)
        return self._listeners[key]

    # --- the endpoint -----------------------------------------------------------------

    async def ready(self, epoch: int) -> None:
        """Before anybody may attach to that compute. Raises BackendLost, or ServerRefused.

        Where the gate closes meanwhile it ends early.
        """
        is_open = self._surroundings.is_open
        while is_open(epoch) and (late := self._late(epoch)) is not None:
            await late.make_ready(epoch)

    def _late(self, epoch: int) -> Listener | None:
        return next((each for each in self._listeners.values() if not each.is_ready(epoch)), None)

    async def start(self, epoch: int) -> None:
        """Hear for parked sessions on that compute, to which nobody can attach yet.

        Raises BackendLost, or ServerRefused.
        """
        listeners = self._listeners.values()
        await asyncio.gather(*(each.make_ready(epoch, behind_gate=True) for each in listeners))

    def opened(self, epoch: int, *, is_in_time: bool) -> None:
        """Sessions may attach to that compute; ``is_in_time``: none could before ``start``."""
        for listener in self._listeners.values():
            listener.opened(epoch, is_in_time=is_in_time)

    async def rest(self) -> bool:
        """All gates are closed: let the connections go. Whether anybody is to be heard for."""
        await asyncio.gather(*(listener.rest() for listener in list(self._listeners.values())))
        return self.has_members

    async def _hear_out(self, listener: Listener) -> None:
        try:
            await listener.hear_out()
        except (BackendLost, ServerRefused) as error:
            # Whether that matters is judged when it listens again.
            extra = {**listener.log_keys, "reason": str(error)}
            log.info("listener_not_heard_out", extra=extra)

    def tidy(self, now: float) -> None:
        """Let those go that nobody has needed for a while."""
        for key, listener in list(self._listeners.items()):
            if not listener.members and now - listener.needed_at > KEPT_SECONDS:
                listener.hang_up()
                del self._listeners[key]

    def catch_up(self, quiet: Collection[str]) -> None:
        """Find out that nothing is on its way in databases that nobody uses."""
        for (dbname, _), listener in self._listeners.items():
            if dbname in quiet and listener.is_behind and not listener.is_talking:
                self._surroundings.start(self._hear_out(listener))
