"""What a server says while it owes nothing, and which of it the client shall hear. Pure.

When one backend crashes, or Postgres itself, every other session is told to go. A session that has
no state goes on with another compute instead, so its client is not told of an end that does not
come. An administrator's word is another matter: that session ends, and its client hears why.
"""

from __future__ import annotations

from torpor_proxy.core import wire

_CRASH_SHUTDOWN, _ADMIN_SHUTDOWN = "57P02", "57P01"

_NOTICES_DEATH_OF_POSTMASTER = "secure_read"
"""The routine that a backend is in while it waits for its client. It says ``_ADMIN_SHUTDOWN`` when
the postmaster has died; the words are translated, the routine's name is not."""


def for_client(data: bytes) -> bytes:
    """The bytes without the notice of a crash; anything that is not whole messages as it came."""
    try:
        messages, rest = wire.split(data)
    except ValueError:
        return data
    kept = (wire.message(kind, body) for kind, body in messages if not _is_crash(kind, body))
    return b"".join(kept) + rest


def _is_crash(kind: bytes, body: bytes) -> bool:
    if kind not in (b"N", b"E"):
        return False
    fields = wire.report_fields(body)
    is_of_death = fields.get("R") == _NOTICES_DEATH_OF_POSTMASTER
    return fields.get("C") == _CRASH_SHUTDOWN or (
        fields.get("C") == _ADMIN_SHUTDOWN and is_of_death
    )
