"""What the proxy does on a session's own backend between two words of its client."""

from __future__ import annotations

from torpor_proxy.core import probe, wire
from torpor_proxy.core.custom_settings import CustomSettings
from torpor_proxy.core.probe import Pins
from torpor_proxy.executor.conversation import Conversation, ServerRefused
from torpor_proxy.ports import NOBODY, BackendLost, Stream

FAILED = (BackendLost, ServerRefused)
"""The ways in which a visit ends with the backend being of no more use."""


async def ask_pins(conversation: Conversation, user: str, custom: CustomSettings) -> Pins:
    """Why the session can't be let go. Raises one of FAILED; no other harm is done."""
    messages = await conversation.ask(probe.question(user, custom))
    if messages[-1] != (b"Z", b"I"):
        await conversation.ask(probe.withdrawal())
    return probe.pins_of(messages, custom)


async def restore_unnamed(conversation: Conversation, parse: bytes) -> None:
    """Put back the unnamed statement; where that fails there is none, as after any failed Parse."""
    await conversation.ask(parse + wire.SYNC)


def hang_up(backend: Stream) -> None:
    """As a client does that is done. Who waits there for an answer is told that none comes."""
    sink, backend.sink = backend.sink, NOBODY
    backend.write(wire.TERMINATE)
    backend.close()
    sink.lost()
