"""May this client in? Judged from exported facts alone, so that no stranger wakes a database. Pure.

What the server itself would check and the proxy's own way in skips (``VALID UNTIL``, sessions that
have no backend under a ``CONNECTION LIMIT``) is checked here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from torpor_api.facts import RoleFacts
from torpor_api.scram import Verifier, parse_verifier
from torpor_proxy.core.refusals import (
    DatabaseUnknown,
    LoginFailed,
    NotPermitted,
    Refusal,
    TooManySessions,
)
from torpor_proxy.core.routing import Route


def verifier_of(
    role: RoleFacts | None, allow: Sequence[str], address: str, wall_clock_s: float
) -> tuple[Verifier | None, str]:
    """What to check the password against, or None (a mock exchange) and why, for the log.

    Nobody learns from an address that is not allowed whether a password is right.
    """
    if not is_allowed(address, allow):
        return None, f"the address {address} is not in access.allow"
    if role is None:
        return None, "no such role"
    if role.verifier is None:
        return None, "the role has no SCRAM-SHA-256 password"
    verifier = parse_verifier(role.verifier)
    if verifier is None:
        return None, "the role's password is stored in another form than SCRAM-SHA-256"
    if role.valid_until_s is not None and role.valid_until_s < wall_clock_s:
        return None, "the password has expired"
    return verifier, ""


def judge(
    route: Route,
    role: RoleFacts,
    databases: Sequence[str] | None,
    sessions: int,
) -> Refusal | None:
    """Why a client with the right password is refused all the same, or None.

    ``sessions`` are those of the role that are open already. ``databases``: None where Postgres is
    about to say itself whether it has this one.
    """
    if not role.can_login:
        return NotPermitted(f'role "{role.name}" is not permitted to log in')
    if not role.is_admitted:
        return NotPermitted(
            f'role "{role.name}" is a superuser that the resource does not declare',
            f"Declare it in spec.roles of {route.endpoint} with superuser: true.",
        )
    if databases is not None and route.database not in databases:
        return DatabaseUnknown(route.database, sorted(databases))
    if 0 <= role.connection_limit <= sessions:
        return TooManySessions(
            f'too many connections for role "{role.name}"',
            f"Its limit is {role.connection_limit}; sessions of a sleeping database count.",
        )
    return None


def is_allowed(address: str, allow: Sequence[str]) -> bool:
    """Whether one of the CIDRs holds the address; IPv4 in IPv6 clothes counts as IPv4."""
    client = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    networks = (ipaddress.ip_network(cidr) for cidr in allow)
    return any(client.version == network.version and client in network for network in networks)


def failed(route: Route, address: str, reason: str) -> Refusal:
    """The one answer to every login that does not know the password, or must not use it here."""
    return LoginFailed(route.user, address, reason)
