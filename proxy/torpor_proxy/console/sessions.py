"""Everybody who is at the console of this proxy: who may enter, how many, and their end."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from torpor_api.console import ConsoleRight, ConsoleRole
from torpor_api.identity import CONSOLE_NAME
from torpor_api.scram import Verifier, parse_verifier
from torpor_proxy.console import greeting
from torpor_proxy.console.answers import Answers, Here
from torpor_proxy.console.client import Client
from torpor_proxy.console.session import ConsoleSession, Who
from torpor_proxy.core import born, login
from torpor_proxy.core.refusals import DatabaseUnknown, Refusal, TooManySessions
from torpor_proxy.core.routing import Route
from torpor_proxy.ports import Desk, Stream
from torpor_proxy.settings import Settings

log = logging.getLogger(__name__)

SECRET_BYTES_SHORT = 4
SECRET_BYTES_LONG = 32
"""Of a cancel key, for clients of protocol 3.0 and of 3.2."""


ADMIN_SESSIONS_KEPT = 3
"""Of the places at the console, for roles that may change something: a pool of somebody's charts
that takes all it gets keeps nobody from SUSPEND. As many as Postgres keeps for superusers."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """Who may enter."""

    role: Callable[[str], ConsoleRole | None]
    """By name, as the file of roles has it now."""
    allow: Sequence[str]
    """CIDRs that clients may come from."""


class ConsoleSessions:
    """They count apart from those of databases: who looks after a proxy that is full gets in."""

    def __init__(self, settings: Settings, entrance: Entrance, desk: Desk, here: Here) -> None:
        self._settings = settings
        self._entrance = entrance
        self._answers = Answers(desk, here)
        self._release = here.release
        self._numbers = count(secrets.randbelow(born.KERNEL_PROCESS_ID_MAX))
        self._open: dict[asyncio.Task[None], tuple[bytes, ConsoleSession]] = {}
        """By task: its cancel key, and what it cancels."""

    def __len__(self) -> int:
        return len(self._open)

    # --- as the console that an opening knows ---------------------------------------------

    def verifier_of(self, user: str, address: str) -> tuple[Verifier | None, str]:
        if not login.is_allowed(address, self._entrance.allow):
            return None, f"the address {address} may not use the console"
        role = self._entrance.role(user)
        if role is None:
            return None, "the console has no such role"
        return parse_verifier(role.verifier), ""

    def judge(self, route: Route) -> Refusal | None:
        if route.database != CONSOLE_NAME:
            return DatabaseUnknown(route.database, [CONSOLE_NAME])
        limit, role = self._settings.console_sessions_max, self._entrance.role(route.user)
        is_admin = role is not None and role.right is ConsoleRight.ADMIN
        places = limit if is_admin else max(1, limit - ADMIN_SESSIONS_KEPT)
        if len(self._open) < places:
            return None
        return TooManySessions(
            f"{len(self._open)} clients are at the console, and it takes no more",
            f"Close some, or raise TORPOR_PROXY_CONSOLE_SESSIONS_MAX, which is {limit}; "
            f"{ADMIN_SESSIONS_KEPT} of them are for roles with the right {ConsoleRight.ADMIN}.",
        )

    def enter(
        self, route: Route, stream: Stream, address: str, has_long_key: bool, pending: bytes
    ) -> None:
        application = dict(route.parameters).get("application_name", "")
        who = Who(route.user, address, greeting.told(route.user, application, self._release))
        client = Client(stream, self._settings.console_idle_timeout_s, lambda: task.cancel())
        session = ConsoleSession(who, client, self._answers, self._entrance.role)
        secret = secrets.token_bytes(SECRET_BYTES_LONG if has_long_key else SECRET_BYTES_SHORT)
        key = born.process_id(next(self._numbers)), secret
        task = asyncio.get_running_loop().create_task(self._run(session, client, key))
        self._open[task] = _packed(*key), session
        task.add_done_callback(self._ended)
        log.info("console_entered", extra={"client": address, "user": route.user})
        if pending:
            client.received(pending)

    # --- their end ------------------------------------------------------------------------

    def cancel(self, process_id: int, secret: bytes) -> bool:
        """What the session of this key runs; whether there is one here."""
        packed = _packed(process_id, secret)
        found = [
            session for key, session in self._open.values() if hmac.compare_digest(key, packed)
        ]
        for session in found:
            session.cancel()
        return bool(found)

    async def close(self) -> None:
        """Each is told, and its connection closed."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _run(self, session: ConsoleSession, client: Client, key: tuple[int, bytes]) -> None:
        try:
            await session.run(key)
        except Exception:
            # A defect is that of one session, and of no other.
            log.exception("console_defect")
            client.abort()

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._open[task]


def _packed(process_id: int, secret: bytes) -> bytes:
    return process_id.to_bytes(4, "big") + secret
