"""The proxy's settings: the command line decides where, the environment how much.

``TORPOR_PROXY_<NAME>`` overrides a field below. Everything is read once and validated at once; all
faults are reported together, each with its name, its value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from torpor_api.failures import InvalidRequest

PREFIX = "TORPOR_PROXY_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits, each with its unit and its reason. What is set must be above zero."""

    login_timeout_s: float = 10.0
    """From the first byte to the right password. People don't type in it; slow-loris clients do."""

    opening_max: int = 1000
    """Connections that have not logged in yet. Beyond it the oldest of them gives way."""

    sessions_max: int = 20_000
    """Held sessions of this process; each takes 2 to 20 KiB and one file descriptor."""

    console_sessions_max: int = 50
    """Clients at the operator console, which count apart from those of databases: who looks after a
    proxy that is full gets in. Each keeps a page of rows, 1 MiB, while it is answered."""

    console_idle_timeout_s: float = 600.0
    """Without a word of such a client, or while it does not read what it asked for."""

    wake_timeout_s: float = 60.0
    """How long a client waits for its database; recovery after a crash is the long case."""

    waiting_max: int = 10_000
    """Sessions of one database that wait for it at the same time."""

    notice_after_s: float = 5.0
    """A client that waits longer than this is told so."""

    pending_bytes_max: int = 64 << 10
    """Kept of what a client sends while its session has no compute; then TCP holds it up."""

    tenure_s: float = 0.1
    """For which a session whose client does not pause keeps its connection at least while others
    wait for one; up to ten times that where to change places takes long."""

    connects_at_once: int = 16
    """To one compute. Each makes it fork; more at once only wait for the processor."""

    connect_timeout_s: float = 10.0
    """For one connection to a compute, its login included."""

    capture_after_s: float = 0.1
    """A session that has been idle for this long is asked whether it has any state."""

    capture_timeout_s: float = 5.0
    """Then it is cancelled and the session keeps its compute; it takes a millisecond otherwise."""

    capture_again_s: float = 10.0
    """After it failed for a passing reason, like a lock on the server's catalog: for so long the
    database stays awake at least. Each attempt makes the client wait for up to the time above."""

    unread_bytes_max: int = 8 << 20
    """Of notifications for a client that does not read, until its session has a backend of its own,
    which then waits for it as in Postgres; whose client has more than that unread ends."""

    sample_every_s: float = 1.0
    """Between two reports to the autoscaler."""

    metrics_databases_max: int = 0
    """Databases of which Prometheus is told by name how long their queries take: the first that are
    used. Each is 20 time series of every proxy, so none is, unless somebody asks for it."""

    drain_timeout_s: float = 10.0
    """At the end, for transactions that are in flight."""

    tcp_keepalive_idle_s: int = 60
    """A client that has vanished without a word is found after this and six probes of 10 s."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Raises InvalidRequest with one line per fault."""
    values: dict[str, float | int] = {}
    faults: list[str] = []
    known = {PREFIX + field.name.upper(): field for field in fields(Settings)}
    for name, text in environment.items():
        if not name.startswith(PREFIX):
            continue
        field = known.get(name)
        if field is None:
            faults.append(f"{name}: no such setting; there are {', '.join(sorted(known))}")
            continue
        try:
            value = int(text) if isinstance(field.default, int) else float(text)
        except ValueError:
            value = 0
        if not 0 < value < 1e9:
            faults.append(f"{name}: {text!r} is not a number above zero")
        values[field.name] = value
    if faults:
        raise InvalidRequest("\n".join(faults))
    return Settings(**values)  # type: ignore[arg-type]
