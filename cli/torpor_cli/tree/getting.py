"""What `torpor get` shows: asked of the place, in the forms that may be wanted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from torpor_api.failures import NotFound
from torpor_cli.client import Json
from torpor_cli.output import (
    as_kubernetes_holds,
    name_of,
    resource_story,
    resource_table,
)
from torpor_cli.place import Place
from torpor_cli.tree import fleet
from torpor_cli.tree.node import Kind, Node
from torpor_cli.tree.tables import Listed, as_facts, as_table, listed

AGES = ("since_s",)
"""Fields that are another second at each look."""


def all_of(place: Place, kind: Kind, *, is_wide: bool = False) -> list[Listed]:
    """Every node of the kind that the place shows; ``is_wide``: with what takes longer to know."""
    match kind:
        case Kind.DATABASE:
            resources = place.ask_cluster("ListResources")["resources"]
            return [Listed(Node(kind, name_of(each)), each) for each in resources]
        case Kind.VOLUME:
            return listed(kind, place.inside.volumes(measured=is_wide))
        case Kind.SESSION:
            proxies = fleet.computes_of(place)["proxies"]
            return listed(kind, fleet.sessions_of(place)["sessions"], proxies)
        case Kind.COMPUTE:
            computes = fleet.computes_of(place)["computes"]
            return listed(kind, [c for c in computes if fleet.is_shown(place, c["database"])])
        case Kind.POOL:
            return listed(kind, fleet.computes_of(place)["pools"])


def one_of(place: Place, node: Node) -> Listed:
    """Raises NotFound."""
    match node.kind:
        case Kind.DATABASE:
            resource = place.ask_cluster("GetResource", name=node.name)["resource"]
            return Listed(node, resource)
        case Kind.VOLUME:
            return Listed(node, volume_named(place, node.name))
        case Kind.SESSION:
            return Listed(node, fleet.session_named(place, node.name))
        case Kind.COMPUTE:
            return Listed(node, fleet.compute_named(place, node.name))
        case Kind.POOL:
            return Listed(node, fleet.pool_named(place, node.name))


def volume_named(place: Place, name: str) -> Json:
    """Raises NotFound."""
    for volume in place.inside.volumes(name, measured=True):
        return volume
    raise NotFound(f"no volume {name!r}", hint="`torpor get volumes` shows those there are")


def shown(kind: Kind, nodes: Sequence[Listed], output: str | None) -> str:
    """Nodes of one kind, as a table or as names."""
    if output == "name":
        return "\n".join(str(each.node) for each in nodes)
    if kind is Kind.DATABASE:
        resources = [each.told for each in nodes]
        return resource_table(resources, datetime.now(UTC), is_wide=output == "wide")
    return as_table(kind, nodes, is_wide=output == "wide")


def lines_of(kind: Kind, nodes: Sequence[Listed], output: str | None) -> tuple[str, Sequence[str]]:
    """The title of their table, where there is one, and the line of each."""
    if not nodes:
        return "", ()
    lines = shown(kind, nodes, output).splitlines()
    return ("", lines) if output == "name" else (lines[0], lines[1:])


def state_of(node: Listed) -> str:
    """By which two looks at a node are compared: ages grow, and change nothing."""
    told = {key: value for key, value in node.told.items() if key not in AGES}
    return json.dumps(told, sort_keys=True)


def story(node: Listed) -> str:
    """Everything about one."""
    if node.node.kind is Kind.DATABASE:
        return resource_story(node.told, datetime.now(UTC))
    return as_facts(node.node.kind, node)


def as_document(node: Listed) -> Json:
    """Of a database its resource, as Kubernetes holds it; of others what is told of them."""
    if node.node.kind is Kind.DATABASE:
        return as_kubernetes_holds(node.told)
    rest = {key: value for key, value in node.told.items() if key not in ("kind", "name")}
    return {"kind": str(node.node.kind).capitalize(), "name": node.node.name, **rest}


def documents(nodes: Sequence[Listed], output: str, *, is_list: bool) -> str:
    """As JSON or YAML: a List, as kubectl prints it, or the one alone."""
    found = [as_document(each) for each in nodes]
    whole = {"apiVersion": "v1", "kind": "List", "items": found} if is_list else found[0]
    if output == "json":
        return json.dumps(whole, indent=2)
    import yaml

    text: str = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)
    return text.rstrip("\n")
