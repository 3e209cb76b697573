"""From an accepted connection to a session: greeting, route, password, judgement."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass

from torpor_api.facts import RoleFacts
from torpor_api.failures import Unavailable
from torpor_api.identity import CONSOLE_NAME
from torpor_api.scram import Verifier
from torpor_proxy.core import login, scram, wire
from torpor_proxy.core.refusals import EndpointRemoved, Refusal, Refused
from torpor_proxy.core.routing import Route, route
from torpor_proxy.core.startup import CancelRequest, Startup
from torpor_proxy.executor.cancels import Cancels
from torpor_proxy.executor.endpoint import Endpoint
from torpor_proxy.executor.facts import Facts
from torpor_proxy.executor.greeting import Greeting
from torpor_proxy.executor.inbox import HungUp
from torpor_proxy.executor.password import knows_password
from torpor_proxy.executor.registry import Registry
from torpor_proxy.ports import Console, Encryption, Fleet, Stream

log = logging.getLogger(__name__)

LISTED_SECONDS_MAX = 5.0
"""For which a client of an unknown database waits for an autoscaler that is being replaced: that
takes a second or two, and another answer would be that its password is wrong."""


@dataclass(frozen=True, slots=True)
class Door:
    """What every opening needs."""

    registry: Registry
    fleet: Fleet
    cancels: Cancels
    encryption: Encryption | None
    domains: tuple[str, ...]
    mock_secret: bytes
    """Makes the salts of roles that don't exist: always the same, as those of real roles are."""
    console: Console | None = None
    service: str = ""
    """NAME.NAMESPACE of the proxy's own Service; empty where there is none."""


def open_session(door: Door, stream: Stream, client: str) -> Coroutine[None, None, None]:
    """Ends with a session that lives on by itself, or with the connection closed.

    Not a coroutine function: the client is listened to from this call on, and its first bytes may
    come before the coroutine has had its first turn.
    """
    return _open(door, Greeting(stream, door.encryption), client)


@dataclass(slots=True)
class Newcomer:
    """Whom the log names before there is a session."""

    client: str
    """Address and port."""
    wanted: Route | None = None
    """Once it has said it."""

    @property
    def log_keys(self) -> dict[str, object]:
        """What each line about it in the log has."""
        keys: dict[str, object] = {"client": self.client}
        if self.wanted is None:
            return keys
        return keys | {"database": self.wanted.endpoint, "user": self.wanted.user}


async def _open(door: Door, greeting: Greeting, client: str) -> None:
    newcomer = Newcomer(client)
    limit_s = door.registry.settings.login_timeout_s
    try:
        async with asyncio.timeout(limit_s):
            packet = await greeting.packet()
        if isinstance(packet, CancelRequest):
            await door.cancels.carry_out(packet)
            greeting.stream.close()
        else:
            await _log_in(door, greeting, packet, newcomer)
    except Refused as refused:
        door.registry.tallies.not_admitted(refused.refusal)
        _say(greeting.stream, refused.refusal, newcomer)
    except (HungUp, TimeoutError) as error:
        # A slow client is not told: it may be a scanner, which would learn what listens here.
        door.registry.tallies.abandoned += 1
        extra = {**newcomer.log_keys, "reason": str(error) or "too slow"}
        log.info("opening_ended", extra=extra)
        greeting.stream.close()
    except BaseException:
        greeting.stream.abort()
        raise


async def _log_in(door: Door, greeting: Greeting, packet: Startup, newcomer: Newcomer) -> None:
    greeting.stream.write(packet.negotiation)
    wanted = route(packet, greeting.server_name, door.domains, door.service)
    if isinstance(wanted, Refusal):
        raise Refused(wanted)
    newcomer.wanted = wanted
    client = newcomer.client
    address = client.rpartition(":")[0].strip("[]")
    if door.console is not None and wanted.endpoint == CONSOLE_NAME:
        verifier, reason = door.console.verifier_of(wanted.user, address)
        last_word = await _proven(door, greeting, wanted, address, verifier, reason)
        _refuse_nobody(greeting)
        if (refusal := door.console.judge(wanted)) is not None:
            raise Refused(refusal)
        door.registry.tallies.admitted()
        greeting.stream.write(last_word + wire.AUTHENTICATION_OK)
        rest = greeting.inbox.take_all()
        door.console.enter(wanted, greeting.stream, client, packet.has_long_keys, rest)
    else:
        endpoint, last_word = await _log_in_to_database(door, greeting, wanted, address)
        greeting.stream.write(last_word + wire.AUTHENTICATION_OK)
        rest = greeting.inbox.take_all()
        door.registry.enter(endpoint, wanted, greeting.stream, client, packet.has_long_keys, rest)


async def _log_in_to_database(
    door: Door, greeting: Greeting, wanted: Route, address: str
) -> tuple[Endpoint, bytes]:
    """The endpoint, and the last word of the exchange. Raises Refused."""
    endpoint = await _known(door, wanted.endpoint)
    role, databases, verifier, reason = None, None, None, f"no endpoint {wanted.endpoint!r}"
    if endpoint is not None:
        # The client waits here for us, not we for it: this has a limit of its own.
        settings = door.registry.settings
        facts = Facts(endpoint, door.fleet, wanted.user, settings.wake_timeout_s)
        if login.is_allowed(address, endpoint.info.allow):
            role, databases = await facts.of_role()
        verifier, reason = login.verifier_of(role, endpoint.info.allow, address, time.time())
    last_word = await _proven(door, greeting, wanted, address, verifier, reason)
    assert endpoint is not None and role is not None, "without them there is no verifier"
    _refuse_nobody(greeting)
    if role.needs_admission:
        # Whoever has its password may wake the database for that.
        role, databases = await facts.of_role(awake=True)
        _refuse_nobody(greeting)
        if role is None:
            raise Refused(login.failed(wanted, address, "the role is gone"))
    _admit(door, endpoint, wanted, role, databases)
    door.registry.tallies.admitted()
    return endpoint, last_word


async def _proven(
    door: Door,
    greeting: Greeting,
    wanted: Route,
    address: str,
    verifier: Verifier | None,
    reason: str,
) -> bytes:
    """The last word of the exchange with a client that knows the password. Raises Refused.

    ``reason``: why there is no verifier; such a client can't be right, and is not told so before.
    """
    mock = scram.mock_verifier(door.mock_secret, wanted.endpoint, wanted.user)
    async with asyncio.timeout(door.registry.settings.login_timeout_s):
        last_word = await knows_password(
            greeting.stream, greeting.inbox, verifier or mock, greeting.end_point
        )
    if last_word is None or verifier is None:
        raise Refused(login.failed(wanted, address, reason or "wrong password"))
    return last_word


async def _known(door: Door, name: str) -> Endpoint | None:
    """A database may have been made while there was no autoscaler to tell of it."""
    if name not in door.registry.endpoints:
        with suppress(Unavailable):
            await door.fleet.ready(timeout_s=LISTED_SECONDS_MAX)
    return door.registry.endpoints.get(name)


def _refuse_nobody(greeting: Greeting) -> None:
    """A session whose client has hung up already would wake the database for nobody."""
    if greeting.inbox.has_ended:
        raise HungUp("after its password")


def _admit(
    door: Door,
    endpoint: Endpoint,
    wanted: Route,
    role: RoleFacts,
    databases: tuple[str, ...] | None,
) -> None:
    """Raises Refused where the right password is not enough."""
    if door.registry.endpoints.get(wanted.endpoint) is not endpoint:
        # Removed while its client was asked for the password: nobody would ever end the session.
        raise Refused(EndpointRemoved(wanted.endpoint))
    sessions = endpoint.count_of(wanted.user) if role.connection_limit >= 0 else 0
    refusal = login.judge(wanted, role, databases, sessions) or door.registry.full()
    if refusal is not None:
        raise Refused(refusal)


def _say(stream: Stream, refusal: Refusal, newcomer: Newcomer) -> None:
    extra = {**newcomer.log_keys, "sqlstate": refusal.sqlstate, "reason": refusal.reason}
    log.info("login_refused", extra=extra)
    stream.write(refusal.as_report())
    stream.close()
