"""What `torpor up` says when everything is ready: where everything is, and how to go on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torpor_api.identity import CONSOLE_NAME
from torpor_api.resource import ServerlessDatabase
from torpor_cli.local.sockets import Address
from torpor_cli.output import table
from torpor_cli.uri import Connection


@dataclass(frozen=True, slots=True)
class Ready:
    """What there is once everything is."""

    listen: Address
    """For clients."""
    resources: tuple[ServerlessDatabase, ...]
    dashboard: str
    """A link that opens it once; empty: there is none."""


def welcome(ready: Ready, state_flag: str, metrics: Mapping[str, str]) -> str:
    """Passwords stay out of it: terminals are shared and recorded. The link to the dashboard opens
    one browser, once. ``metrics``: where, by component."""
    lines = [f"\nready at {ready.listen}\n"]
    if ready.resources:
        header = ["  NAME", "PHASE", "URI (without its password)"]
        rows = [_row(ready.listen, resource) for resource in ready.resources]
        lines += [table(header, rows), ""]
    if ready.dashboard:
        lines += [f"dashboard:          {ready.dashboard}"]
    if ready.resources:
        lines += [f"with its password:  torpor uri NAME{state_flag}"]
    if metrics:
        places = ", ".join(f"{component} {url}" for component, url in metrics.items())
        lines += [f"for Prometheus:     {places}"]
    lines += [
        f"declare databases:  torpor apply -f FILE{state_flag}",
        f"operator console:   torpor psql {CONSOLE_NAME}{state_flag}",
        "stop everything:    Ctrl-C",
    ]
    return "\n".join(lines)


def _row(address: Address, resource: ServerlessDatabase) -> list[str]:
    first = resource.spec.databases[0]
    connection = Connection(resource.name, address, first.owner, first.name)
    return [f"  {resource.name}", str(resource.status.phase), connection.uri]
