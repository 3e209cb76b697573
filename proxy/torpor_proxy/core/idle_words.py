"""What a server says while it owes nothing, and which of it the client shall hear. Pure.

When one backend crashes, Postgres tells every other session to go. A session that has no state goes
on with another compute instead, so its client is not told of an end that does not come.
"""

from __future__ import annotations

from torpor_proxy.core import wire

_CRASH_SHUTDOWN = "57P02"


def for_client(data: bytes) -> bytes:
    """The bytes without the notice of a crash; anything that is not whole messages as it came."""
    try:
        messages, rest = wire.split(data)
    except ValueError:
        return data
    kept = (wire.message(kind, body) for kind, body in messages if not _is_crash(kind, body))
    return b"".join(kept) + rest


def _is_crash(kind: bytes, body: bytes) -> bool:
    return kind in (b"N", b"E") and wire.report_fields(body).get("C") == _CRASH_SHUTDOWN
