"""What a client is told by Torpor itself: one class each, with SQLSTATE, message and the fix.

Nothing else of its own reaches a client, but for a statement's changed result (:mod:`broken`),
whose words are Postgres's. docs/errors.md has a section for each class, which a test holds to them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from torpor_api.failures import Failure
from torpor_proxy.core import wire
from torpor_proxy.core.wire import Severity


class Report:
    """Base of all."""

    sqlstate: str
    severity: ClassVar[Severity]

    def __init__(self, message: str, hint: str = "", *, detail: str = "") -> None:
        self.message = message
        self.hint = hint
        self.detail = detail

    @property
    def sqlstate_class(self) -> str:
        """The first two characters, which say what sort of error it is."""
        return self.sqlstate[:2]

    def as_report(self) -> bytes:
        """The ErrorResponse, or NoticeResponse."""
        words, more = self.message, {"hint": self.hint, "detail": self.detail}
        return wire.report(self.severity, self.sqlstate, words, **more)


class StillWaiting(Report):
    """The database takes long to wake."""

    sqlstate = "00000"
    severity = Severity.NOTICE

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f'waiting for database "{endpoint}"', detail=reason)


class SettingLeftOut(Report):
    """A session goes on without one of its settings."""

    sqlstate = "01000"
    severity = Severity.WARNING

    def __init__(self, setting: str, why: str) -> None:
        words = f'setting "{setting}" could not be put back: {why}'
        super().__init__(words, "It is now what RESET makes of it.")


class Refusal(Report):
    """Base of what is no good news. Ends the session unless ``severity`` is ERROR.

    ``reason`` is for the log, where it may say what a stranger must not learn.
    """

    sqlstate = "08006"
    severity = Severity.FATAL

    def __init__(self, message: str, hint: str = "", *, reason: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason or message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r})"


class Refused(Exception):
    """The client is told why, and the session ends."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class ProtocolViolation(Refusal):
    """Bytes that are no messages of the protocol."""

    sqlstate = "08P01"


class NotSupported(Refusal):
    """Asked for in the protocol's own way, and not there."""

    sqlstate = "0A000"


class EndpointUnnamed(Refusal):
    sqlstate = "08004"

    def __init__(self, domains: Collection[str]) -> None:
        # A Service has its namespace in its name, also where that is default.
        is_service = [domain.partition(".")[0] == "svc" for domain in domains]
        names = ["NAME.NAMESPACE" if each else "NAME" for each in is_service]
        hosts = [f"{name}.{domain}" for name, domain in zip(names, domains, strict=True)]
        super().__init__(
            "the endpoint is not named",
            "Add ?options=endpoint%3DNAME to the connection string, connect to the database "
            f"NAME/DBNAME or as USER@NAME, or use TLS with the host {' or '.join(hosts)}. "
            "Where its namespace is not default, NAME is NAME.NAMESPACE everywhere. "
            "`torpor uri NAME` prints a connection string that works.",
        )


class EndpointDisagrees(Refusal):
    sqlstate = "08004"

    def __init__(self, named: Mapping[str, str]) -> None:
        names = ", ".join(f"{name!r} in {where}" for where, name in named.items())
        super().__init__(
            f"the endpoint is named differently: {names}",
            "Name it once, or the same everywhere.",
        )


class LoginFailed(Refusal):
    """Wrong password, unknown user or endpoint, expired, not from there: all the same outside."""

    sqlstate = "28P01"

    def __init__(self, user: str, address: str, reason: str) -> None:
        super().__init__(
            f'password authentication failed for user "{user}"',
            "Check endpoint, user and password; `torpor uri NAME` prints all three. "
            f"spec.access.allow must have the client's address, {address}.",
            reason=reason,
        )


class NotPermitted(Refusal):
    """The password is right, and still this login is not allowed."""

    sqlstate = "28000"


class DatabaseUnknown(Refusal):
    sqlstate = "3D000"

    def __init__(self, database: str, known: list[str]) -> None:
        super().__init__(
            f'database "{database}" does not exist',
            f"There are: {', '.join(known)}." if known else "",
        )


class TooManySessions(Refusal):
    sqlstate = "53300"


class NoRoom(Refusal):
    """All connections that the compute accepts are taken, by sessions that can't be parked."""

    sqlstate = "53300"

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(
            f'database "{endpoint}" has no connection free: {reason}',
            f"End what keeps them; `torpor sessions {endpoint}` lists every session.",
        )


class ShuttingDown(Refusal):
    """The proxy ends; in Postgres's own words, which drivers know."""

    sqlstate = "57P01"

    def __init__(self) -> None:
        super().__init__(
            "terminating connection due to administrator command",
            "The proxy is shutting down; connect again.",
        )


class Terminated(Refusal):
    """A person has ended this session; in Postgres's own words, which drivers know."""

    sqlstate = "57P01"

    def __init__(self) -> None:
        super().__init__(
            "terminating connection due to administrator command",
            "Somebody has ended this session by `torpor delete`; connect again.",
        )


class EndpointRemoved(Refusal):
    sqlstate = "57P01"

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            f'database "{endpoint}" was deleted', "Its resource does not exist any more."
        )


class LoginUnchecked(Refusal):
    """Whether the password is right can't be found out now; a stranger learns no more than that."""

    sqlstate = "57P03"

    def __init__(self, failure: Failure) -> None:
        super().__init__("the login can not be checked now", "Try again.", reason=failure.message)


class CannotWake(Refusal):
    """The database does not wake; the reason is the autoscaler's."""

    sqlstate = "57P03"

    def __init__(self, endpoint: str, failure: Failure) -> None:
        super().__init__(
            f'database "{endpoint}" can not be woken: {failure.message}',
            failure.hint or "Try again; `torpor why NAME` says more.",
        )


class ComputeLost(Refusal):
    """The compute ended under a session; what it was doing may or may not have happened."""

    sqlstate = "08006"

    def __init__(self, endpoint: str, *, in_flight: bool) -> None:
        outcome = (
            "the outcome of what was in flight is unknown"
            if in_flight
            else "the state of the session is lost"
        )
        super().__init__(
            f'the compute of database "{endpoint}" was lost; {outcome}',
            "Connect again; every commit that was acknowledged is there.",
        )


class TransactionLost(Refusal):
    """The compute was lost under a transaction, and the session lives on without it."""

    sqlstate = "57P01"
    severity = Severity.ERROR

    def __init__(self, endpoint: str, *, in_flight: bool) -> None:
        outcome = (
            "the outcome of what was in flight is unknown"
            if in_flight
            else "its transaction was rolled back"
        )
        super().__init__(
            f'the compute of database "{endpoint}" was lost; {outcome}',
            "The session goes on; every commit that was acknowledged is there.",
        )


class AttachRefused(Refusal):
    """Postgres refused the session when it came back: its own words."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(fields.get("M", "refused"), fields.get("H", ""))
        self.sqlstate = fields.get("C", self.sqlstate)


class RestoreRefused(AttachRefused):
    """Postgres does not give the session back what it had: a right was revoked meanwhile."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(fields)
        self.message = f"the session can not go on: {self.message}"
        self.hint = self.hint or "Something that it had set is not allowed any more; connect again."


class IdleSessionTimeout(Refusal):
    """The session's own setting, in Postgres's own words."""

    sqlstate = "57P05"

    def __init__(self) -> None:
        super().__init__("terminating connection due to idle-session timeout")


class NotificationsMissed(Refusal):
    """A session that listens was without anybody who hears for it, while others may have sent."""

    sqlstate = "57P01"

    def __init__(self) -> None:
        super().__init__(
            "the connection that listens was lost; notifications may be lost with it",
            "Connect again, LISTEN again, and look at what may have changed meanwhile.",
        )


class NotificationsUnread(Refusal):
    """The client of a parked session does not read what it listens for."""

    sqlstate = "54000"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"more than {limit_bytes >> 20} MiB of notifications are not read",
            "Read them while the session is idle, or UNLISTEN; TORPOR_PROXY_UNREAD_BYTES_MAX is "
            "the limit.",
        )
