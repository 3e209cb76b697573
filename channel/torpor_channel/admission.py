"""Who may ask what: by the names in certificates. Says no in a way that a log explains."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torpor_api.failures import Refused
from torpor_api.messages import Event, Message
from torpor_channel.peer import Handlers, Peer
from torpor_channel.tls import Identity

log = logging.getLogger(__name__)

Rights = Mapping[str, Collection[type[Message]]]
"""What each common name may ask and tell; whoever is not in it is hung up on."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A listener's certificate, and whom it lets in for what."""

    identity: Identity
    rights: Rights


def handlers_for(name: str, handlers: Handlers, rights: Rights) -> Handlers:
    """The handlers, with a refusal in the place of each that ``name`` has no right to."""
    may = rights[name]

    async def refuse(_: Peer, message: Message) -> None:
        what = type(message).__name__
        log.warning("not_allowed", extra={"peer": name, "message_type": what})
        if not isinstance(message, Event):
            raise Refused(f"{name} may not ask {what} here", hint="see who holds that certificate")

    return {kind: handler if kind in may else refuse for kind, handler in handlers.items()}
