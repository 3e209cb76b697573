"""Databases that are there already, on whatever they run: found, and judged before any load.

What can't answer the scenario's question is refused here, with what would: a load that was made all
the same would say nothing, minutes later.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from psycopg.conninfo import conninfo_to_dict

from load.fleet_file import Target
from load.scenario import Scenario, database_name
from load.watcher import fleet
from torpor_api.failures import InvalidRequest
from torpor_api.identity import endpoint_name
from torpor_api.manifest import parse_resource
from torpor_api.quantities import format_duration
from torpor_api.values import AUTO
from torpor_cli.local.sockets import Address
from torpor_cli.place import Place


def by_uri(uris: Sequence[str], place: Place | None) -> list[Target]:
    """One a URI. Raises the Failures of the place, and InvalidRequest for a database that it does
    not have: nothing would be told of that one."""
    if place is None:
        return [Target(name_of(uri, at), uri) for at, uri in enumerate(uris)]
    known = frozenset(row["name"] for row in fleet(place))
    targets = [Target(name_of(uri, at, known), uri) for at, uri in enumerate(uris)]
    for number, target in enumerate(targets, start=1):
        if target.name not in known:
            raise InvalidRequest(
                f"--uri {number} of {len(uris)} is of the database {target.name!r}, which is not "
                "there to be asked about: write its name as options=endpoint%3DNAME"
            )
    return targets


def by_name(names: Sequence[str], place: Place, via: Address | None) -> list[Target]:
    """As their owners. ``via``: where the endpoint is reached from here, where that is not the
    address that the place itself tells. Raises its Failures."""
    found = []
    for name in map(place.named, names):
        connection = place.connection(name)
        if via is not None:
            connection = replace(connection, address=via, is_host_its_own=False)
        elif not _is_known(connection.address.host):
            raise InvalidRequest(
                f"{name} is reached at {connection.address}, a name that this machine does not "
                "know: say how its endpoint is reached from here: --via HOST:PORT"
            )
        found.append(Target(name, connection.uri))
    return found


def _is_known(host: str) -> bool:
    """Names of Services are known inside of their cluster alone."""
    try:
        return bool(socket.getaddrinfo(host, None))
    except socket.gaierror:
        return False


def name_of(uri: str, number: int, known: Collection[str] = ()) -> str:
    """What Torpor calls it, where the URI says so: in its options, or as the host's first labels
    (``NAME.NAMESPACE.svc``) where a database is known by them; else a number."""
    parts = conninfo_to_dict(uri)
    _, _, name = str(parts.get("options", "")).partition("endpoint=")
    if name:
        return name.split()[0]
    own, _, rest = str(parts.get("host", "")).partition(".")
    namespace = rest.partition(".")[0]
    inside = endpoint_name(own, namespace)
    return next((each for each in (inside, own) if each in known), database_name(number))


def refuse_unfit(scenario: Scenario, names: Sequence[str], place: Place | None) -> None:
    """Raises InvalidRequest, and the Failures of the place."""
    if doubled := sorted(name for name, times in Counter(names).items() if times > 1):
        raise InvalidRequest(f"{doubled[0]} is given more than once: give each database once")
    if scenario.is_scanned and not scenario.scanned(names):
        raise InvalidRequest(
            f"{scenario.name} needs two databases at least, one at which nobody but strangers "
            f"knocks: given is {', '.join(sorted(set(names)))}"
        )
    for name in names if place is not None else ():
        assert place is not None
        stored = place.ask_cluster("GetResource", name=name)["resource"]
        timeout = parse_resource(stored, knows_all=False).spec.idle_timeout
        if timeout != scenario.idle_timeout_s:
            said = AUTO if timeout == AUTO else format_duration(timeout)
            raise InvalidRequest(
                f"{name} has the idleTimeout {said}: {scenario.name} has its pauses for one of "
                f"{format_duration(scenario.idle_timeout_s)}, so give it that for the load"
            )
