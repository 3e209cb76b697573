"""What a server says while it owes nothing, and which of it the client shall hear. Pure.

When one backend crashes, or Postgres itself, every other session is told to go. A session that has
no state goes on with another compute instead, so its client is not told of an end that does not
come. An administrator's word is another matter: that session ends, and its client hears why.
"""

from __future__ import annotations

from torpor_proxy.core import wire

_SHUTDOWNS = ("57P01", "57P02")

_ROUTINES_OF_DEATH = ("quickdie", "secure_read")
"""Where in Postgres a backend is when others have died (or its postmaster has) and it follows them.
The words are translated and the SQLSTATE is also an administrator's; the routine's name is neither.
"""


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
    return fields.get("C") in _SHUTDOWNS and fields.get("R") in _ROUTINES_OF_DEATH
