"""From an accepted connection to a session: greeting, route, password, judgement."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from time import monotonic

from torpor_api.facts import RoleFacts
from torpor_api.failures import Failure
from torpor_api.phases import Phase
from torpor_proxy.core import login, scram, wire
from torpor_proxy.core.refusals import CannotWake, Refusal, Refused
from torpor_proxy.core.routing import Route, route
from torpor_proxy.core.startup import CancelRequest, Startup
from torpor_proxy.executor.endpoint import Endpoint
from torpor_proxy.executor.greeting import Greeting
from torpor_proxy.executor.inbox import HungUp
from torpor_proxy.executor.password import knows_password
from torpor_proxy.executor.registry import Registry
from torpor_proxy.ports import Encryption, Fleet, Stream

log = logging.getLogger(__name__)

FACTS_SECONDS_MAX = 5.0
"""For an awake database's agent to say what a role is (it takes a millisecond), or for one that is
falling asleep to be there."""

FACTS_RETRY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Door:
    """What every opening needs."""

    registry: Registry
    fleet: Fleet
    encryption: Encryption | None
    domain: str
    mock_secret: bytes
    """Makes the salts of roles that don't exist; new in every process, or they would stand out."""


def new_mock_secret() -> bytes:
    return secrets.token_bytes(32)


def open_session(door: Door, stream: Stream, client: str) -> Coroutine[None, None, None]:
    """Ends with a session that lives on by itself, or with the connection closed.

    Not a coroutine function: the client is listened to from this call on, and its first bytes may
    come before the coroutine has had its first turn.
    """
    return _open(door, Greeting(stream, door.encryption), client)


async def _open(door: Door, greeting: Greeting, client: str) -> None:
    try:
        async with asyncio.timeout(door.registry.settings.login_timeout_s):
            packet = await greeting.packet()
            if isinstance(packet, CancelRequest):
                door.registry.cancel(packet.process_id, packet.secret)
                greeting.stream.close()
            else:
                await _log_in(door, greeting, packet, client)
    except Refused as refused:
        _say(greeting.stream, refused.refusal, client)
    except (HungUp, TimeoutError) as error:
        # A slow client is not told: it may be a scanner, which would learn what listens here.
        log.info("opening_ended", extra={"client": client, "reason": str(error) or "too slow"})
        greeting.stream.close()
    except BaseException:
        greeting.stream.abort()
        raise


async def _log_in(door: Door, greeting: Greeting, packet: Startup, client: str) -> None:
    greeting.stream.write(packet.negotiation)
    wanted = route(packet, greeting.server_name, door.domain)
    if isinstance(wanted, Refusal):
        raise Refused(wanted)
    endpoint = door.registry.endpoints.get(wanted.endpoint)
    role, databases = (None, None) if endpoint is None else await _facts_of(door, endpoint, wanted)
    verifier, reason = login.verifier_of(role, time.time())
    if endpoint is None:
        reason = f"no endpoint {wanted.endpoint!r}"
    mock = scram.mock_verifier(door.mock_secret, wanted.endpoint, wanted.user)
    end_point = door.encryption.end_point if door.encryption and greeting.is_encrypted else None
    last_word = await knows_password(greeting.stream, greeting.inbox, verifier or mock, end_point)
    if last_word is None or role is None or endpoint is None or verifier is None:
        raise Refused(login.failed(wanted, reason or "wrong password"))
    if greeting.inbox.has_ended:
        raise HungUp("after its password")  # A session of nobody would wake the database.
    _admit(door, endpoint, wanted, role, databases, client)
    greeting.stream.write(last_word + wire.AUTHENTICATION_OK)
    rest = greeting.inbox.take_all()
    door.registry.enter(endpoint, wanted, greeting.stream, client, packet.has_long_keys, rest)


async def _facts_of(
    door: Door, endpoint: Endpoint, wanted: Route
) -> tuple[RoleFacts | None, tuple[str, ...] | None]:
    """The role, and the databases there are: as exported while the database sleeps.

    An awake one is asked for the role, and says itself which databases it has (None). One that is
    on its way to sleep is waited for: what it exported before may be old. Raises Refused.
    """
    deadline = monotonic() + FACTS_SECONDS_MAX
    failure = endpoint.why_not()
    while monotonic() < deadline:
        address = endpoint.gate.address
        if address is not None:
            try:
                role = await door.fleet.role(address, wanted.user, timeout_s=FACTS_SECONDS_MAX)
            except Failure as failed:
                failure = failed
            else:
                return role, None
        elif endpoint.info.phase is not Phase.SUSPENDING:
            facts = endpoint.info.facts
            role = next((role for role in facts.roles if role.name == wanted.user), None)
            return role, facts.databases
        await endpoint.until_changed(FACTS_RETRY_SECONDS)
    raise Refused(CannotWake(wanted.endpoint, failure))


def _admit(
    door: Door,
    endpoint: Endpoint,
    wanted: Route,
    role: RoleFacts,
    databases: tuple[str, ...] | None,
    client: str,
) -> None:
    """Raises Refused where the right password is not enough."""
    refusal = login.judge(
        wanted,
        role,
        databases,
        endpoint.info.allow,
        client.rpartition(":")[0].strip("[]"),
        endpoint.count_of(wanted.user) if role.connection_limit >= 0 else 0,
    )
    refusal = refusal or door.registry.full()
    if refusal is not None:
        raise Refused(refusal)


def _say(stream: Stream, refusal: Refusal, client: str) -> None:
    log.info("login_refused", extra={"client": client, "reason": refusal.reason})
    stream.write(refusal.as_report())
    stream.close()
