"""What `torpor up` says when everything is ready: where everything is, and how to go on. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torpor_api.identity import CONSOLE_NAME
from torpor_api.resource import ServerlessDatabase
from torpor_cli.local.sockets import Address
from torpor_cli.output import table
from torpor_cli.uri import Connection


def welcome(
    address: Address,
    resources: Sequence[ServerlessDatabase],
    state_flag: str,
    metrics: Mapping[str, str],
) -> str:
    """Passwords stay out of it: terminals are shared and recorded. ``metrics``: where, by
    component."""
    lines = [f"\nready at {address}\n"]
    if resources:
        header = ["  NAME", "PHASE", "URI (without its password)"]
        lines += [table(header, [_row(address, resource) for resource in resources]), ""]
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
