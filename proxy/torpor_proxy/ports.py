"""What the proxy needs from outside, as small protocols.

``Stream`` and ``Sink`` are the two ends of one connection's bytes; ``Fleet`` is the autoscaler and,
for an awake database's roles, the agent; ``Desk`` is the autoscaler as people ask it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torpor_api.facts import RoleFacts
from torpor_api.messages import (
    Awake,
    ComputeAddress,
    EndpointSample,
    LastUse,
    ReplyT,
    Request,
    ResumeSeen,
)
from torpor_api.scram import Verifier
from torpor_proxy.core.refusals import Refusal
from torpor_proxy.core.routing import Route


class BackendLost(Exception):
    """A backend connection can't be made or has ended, or what came over it was no answer."""


class Sink(Protocol):
    """Takes what a stream brings. No method may raise."""

    def received(self, data: bytes) -> None:
        """Bytes, in order; never empty."""

    def ended(self) -> None:
        """The other side will send nothing more, but may still read."""

    def lost(self) -> None:
        """The connection is gone, for whatever reason. The last call."""

    def writable(self, may_write: bool) -> None:
        """False: enough is waiting to be sent, write no more until True."""


class Nobody:
    """The sink of a stream that nobody listens to any more, or not yet."""

    def received(self, data: bytes) -> None:
        """Dropped."""

    def ended(self) -> None:
        """Nothing to do."""

    def lost(self) -> None:
        """Nothing to do."""

    def writable(self, may_write: bool) -> None:
        """Nothing to do."""


NOBODY: Sink = Nobody()


class Stream(Protocol):
    """One connection. Writes never block and never raise; after the loss they do nothing."""

    sink: Sink

    @property
    def is_open(self) -> bool:
        """False once it is lost or was hung up on here."""

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that nothing more should be written."""

    def write(self, data: bytes) -> None:
        """Send, in order; buffered where the other side is slow (see ``Sink.writable``)."""

    def write_eof(self) -> None:
        """Nothing more will be written; what was is sent first. What the other side still says is
        heard."""

    def pause(self) -> None:
        """Bring nothing more until ``resume``; the other side is held up by TCP itself."""

    def resume(self) -> None:
        """Go on after ``pause``; without one: nothing."""

    def close(self) -> None:
        """Send what was written, within a bound, then hang up. ``lost`` follows."""

    def abort(self) -> None:
        """Hang up at once. ``lost`` follows."""


class HandshakeFailed(Exception):
    """The client and the proxy did not come to terms about TLS."""


class EncryptedStream(Stream, Protocol):
    """The server's side of TLS."""

    @property
    def server_name(self) -> str | None:
        """As the client asked for it (SNI)."""

    @property
    def application_protocol(self) -> str | None:
        """As agreed on (ALPN)."""

    @property
    def end_point(self) -> bytes:
        """The hash of our certificate, that binds a login to this channel (RFC 5929)."""

    async def take_over(self, plain: Stream, first_bytes: bytes) -> None:
        """Shake hands over the connection of ``plain``, which is of no more use afterwards.

        ``first_bytes``: what was read of the handshake already. Raises HandshakeFailed.
        """


class Encryption(Protocol):
    """The proxy's certificate."""

    def new_stream(self) -> EncryptedStream:
        """For one connection."""


class ServerStream(Stream, Protocol):
    """A connection to a Postgres. ``close`` says goodbye; the server hangs up, within a bound."""

    def when_gone(self, call: Callable[[], None]) -> None:
        """``call`` is called when the server holds nothing for it any more; at once if it is so."""


class Computes(Protocol):
    """Connections to the Postgres of a compute."""

    async def dial(self, address: ComputeAddress) -> ServerStream:
        """A connection on which nothing was said yet. Raises BackendLost where nobody listens."""

    async def cancel(self, address: ComputeAddress, process_id: int, secret: bytes) -> None:
        """Ask to cancel what that backend is doing; whether it did can't be known. Never raises."""


class Desk(Protocol):
    """Whoever answers what people ask of the fleet: the autoscaler."""

    async def ask(self, request: Request[ReplyT], *, timeout_s: float) -> ReplyT:
        """Raises the Failure that it names, or Unavailable: the outcome is unknown then."""


class Console(Protocol):
    """Serves those who connect to the reserved name in place of a database."""

    def verifier_of(self, user: str, address: str) -> tuple[Verifier | None, str]:
        """What to check the password against, or None and why, for the log."""

    def judge(self, route: Route) -> Refusal | None:
        """Why a client with the right password is refused all the same, or None."""

    def enter(
        self, route: Route, stream: Stream, address: str, has_long_key: bool, pending: bytes
    ) -> None:
        """A client has logged in. ``pending``: what it has sent behind its login."""


class Fleet(Protocol):
    """Whoever knows the databases and wakes them, and the other proxies."""

    @property
    def name(self) -> str:
        """By which this proxy is known; no other's."""

    async def wake(self, name: str, cause: str, lost_epoch: int, *, timeout_s: float) -> Awake:
        """Resume the database, or confirm that it is awake. Raises a Failure with the reason.

        Asking again is harmless. ``lost_epoch``: the compute of that epoch could not be reached.
        """

    async def role(
        self, address: ComputeAddress, role: str, *, timeout_s: float
    ) -> RoleFacts | None:
        """The facts of a role of an awake database as they are now. Raises a Failure."""

    async def switch_over(self, name: str, *, patience_s: float) -> None:
        """Move the database to a fresh compute. Raises a Failure with the reason, Busy among them.

        On the way the gate is closed, and sessions have ``patience_s`` to reach their safe points.
        """

    async def cancel(self, process_id: int, secret: bytes, *, timeout_s: float) -> bool:
        """Cancel the query of a session that another proxy holds; whether any knows its key.

        Raises a Failure where that can't be found out.
        """

    async def ready(self, *, timeout_s: float) -> None:
        """Wait until all databases are known here. Raises Unavailable."""

    async def last_use(self, name: str, *, timeout_s: float) -> LastUse:
        """When sessions of other proxies last used the database. Raises a Failure."""

    def report(self, samples: Sequence[EndpointSample]) -> None:
        """Tell what the sessions are doing; lost where nobody listens."""

    def resume_seen(self, seen: ResumeSeen) -> None:
        """Tell the end of a critical chain; lost where nobody listens."""
