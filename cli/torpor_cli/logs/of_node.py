"""Which sources tell of a node: asked of the place."""

from __future__ import annotations

from collections.abc import Sequence

from torpor_api.failures import Refused
from torpor_cli.logs.source import OfAgent, OfPostgres, OfSession, Source
from torpor_cli.place import Place
from torpor_cli.tree import fleet
from torpor_cli.tree.node import Kind, Node, pool_name

SOURCES_MAX = 50
"""Read at once: on a cluster each is a request a second to the API server."""


def sources_of(place: Place, node: Node) -> list[Source]:
    """Raises NotFound, and Refused where there are too many."""
    match node.kind:
        case Kind.DATABASE | Kind.VOLUME:
            # Raises NotFound: a name that is mistyped has no log that nobody has written yet.
            place.ask_cluster("GetResource", name=node.name)
            return [OfPostgres(node.name)]
        case Kind.COMPUTE:
            row = fleet.compute_named(place, node.name)
            served = [OfPostgres(row["database"])] if row["database"] else []
            return [OfAgent(node.name), *served]
        case Kind.POOL:
            return _of_pool(place, node.name)
        case Kind.SESSION:
            session = fleet.session_named(place, node.name)
            return [OfSession(session["proxy"], session["session"])]


def _of_pool(place: Place, name: str) -> list[Source]:
    fleet.pool_named(place, name)
    computes: Sequence[dict[str, str]] = [
        row
        for row in fleet.computes_of(place)["computes"]
        if pool_name(row["pool"]) == name and fleet.is_shown(place, row["database"])
    ]
    sources: list[Source] = [OfAgent(row["compute"]) for row in computes]
    sources += [OfPostgres(row["database"]) for row in computes if row["database"]]
    if len(sources) > SOURCES_MAX:
        raise Refused(
            f"pool/{name} has {len(sources)} logs: at most {SOURCES_MAX} are read at once",
            hint="name one: `torpor get computes` shows them",
        )
    return sources
