"""Checks a client's password by SCRAM, before anything of its database is touched."""

from __future__ import annotations

import secrets

from torpor_api.scram import Verifier
from torpor_proxy.core import scram, wire
from torpor_proxy.core.refusals import ProtocolViolation, Refused
from torpor_proxy.core.scram import ScramFault
from torpor_proxy.executor.inbox import Inbox
from torpor_proxy.ports import Stream

NONCE_BYTES = 18
"""Postgres's own length; base64 makes 24 characters of it."""

_PASSWORD = b"p"


async def knows_password(
    stream: Stream, inbox: Inbox, verifier: Verifier, end_point: bytes | None
) -> bytes | None:
    """The last word of the exchange if the client knows the password, else None.

    ``end_point``: what a client over TLS may bind to. Raises Refused for a broken exchange.
    """
    has_binding = end_point is not None
    offered = scram.mechanisms(has_channel_binding=has_binding)
    stream.write(wire.authentication_sasl(offered))
    try:
        name, first = scram.parse_initial_response(await _response(inbox))
        if name not in offered:
            raise ScramFault(f"client selected an invalid SASL mechanism: {name!r}")
        client = scram.parse_client_first(first, name, has_channel_binding=has_binding)
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        exchange = scram.begin(verifier, client, nonce, end_point or b"")
        stream.write(wire.authentication_sasl_continue(exchange.server_first.encode()))
        final = scram.finish(exchange, await _response(inbox))
    except ScramFault as fault:
        raise Refused(ProtocolViolation(str(fault))) from None
    return None if final is None else wire.authentication_sasl_final(final)


async def _response(inbox: Inbox) -> bytes:
    head = await inbox.take(wire.HEAD_BYTES)
    length = int.from_bytes(head[1:], "big") - 4
    if head[:1] != _PASSWORD or not 0 < length <= scram.MESSAGE_BYTES_MAX:
        raise ScramFault(f"expected a SASL response, got {head!r}")
    return await inbox.take(length)
