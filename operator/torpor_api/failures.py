"""Failures as types: each says its SQLSTATE, whether it may be tried again, and the fix.

A failure raised in one component and answered to another travels by its ``kind``. What a database
client may see is only what a class here (or the proxy's own classes) puts into ``message`` and
``hint``: an exception that is no :class:`Failure` is a defect and is shown to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a volume's newest ownership record names, as found by whoever was refused."""

    epoch: int
    compute: str
    """Empty: it has released the volume."""


class Failure(Exception):
    """Base of everything that can go wrong in operation. Never raised itself."""

    kind: ClassVar[str] = "Failure"
    sqlstate: ClassVar[str] = "XX000"
    retryable: ClassVar[bool] = False

    by_kind: ClassVar[dict[str, type[Failure]]] = {}
    """Those of this module: what components have in common. One that a component made for itself
    is unknown to the others, even where they are in one process with it."""

    def __init__(self, message: str, hint: str = "", holder: Holder | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.holder = holder
        """Where a volume's own record was in the way (NotFenced, StaleEpoch)."""

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__name__
        if cls.__module__ == __name__:
            Failure.by_kind[cls.kind] = cls


class InvalidRequest(Failure):
    """The caller asked for something that can't be; asking again changes nothing."""

    sqlstate = "22023"


class NotFound(Failure):
    """No resource, role or compute of that name."""

    sqlstate = "3D000"


class Conflict(Failure):
    """A compare-and-swap lost: somebody wrote the record in between."""

    sqlstate = "40001"
    retryable = True


class BoundElsewhere(Conflict):
    """The agent is another database's, for life: it has done nothing for this one, and never
    will."""


class Unavailable(Failure):
    """The other side can't be reached or did not answer in time; the outcome is unknown."""

    sqlstate = "57P03"
    retryable = True


class NoWarmCompute(Failure):
    """The warm pool is empty; it refills."""

    sqlstate = "57P03"
    retryable = True


class NotFenced(Failure):
    """The previous owner of the data is not known to be dead: the database waits."""

    sqlstate = "57P03"
    retryable = True


class StaleEpoch(Failure):
    """The caller's epoch is lower than one already seen; it must stop acting on the data."""

    sqlstate = "57P03"


class DataDamaged(Failure):
    """The data directory or its ownership record is missing or can't be read; needs a person."""

    sqlstate = "58030"


class StorageFull(Failure):
    """No room for what was asked; nothing half made is left behind."""

    sqlstate = "53100"
    retryable = True


class StartFailed(Failure):
    """Postgres did not come up; the message carries its last log lines."""

    sqlstate = "57P03"
    retryable = True


class Busy(Failure):
    """A session turned out to be busy or pinned; nothing was changed."""

    sqlstate = "55006"
    retryable = True


class Refused(Failure):
    """The wish goes against the resource (a suspend of a database that is kept awake)."""

    sqlstate = "55000"


def failure_of(kind: str, message: str, hint: str = "", holder: Holder | None = None) -> Failure:
    """The failure that another component named; an unknown kind becomes :class:`Unavailable`."""
    failure = Failure.by_kind.get(kind, Unavailable)(message, hint)
    failure.holder = holder
    return failure
