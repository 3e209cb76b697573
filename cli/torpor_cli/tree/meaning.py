"""What each verb means on each kind of node, or why it means nothing there. Pure.

The verbs are few, and each of them has a word for every kind: what has no meaning is refused with
the verb that has the one that was sought.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from torpor_api.failures import InvalidRequest
from torpor_cli.tree.node import Kind, Node


class Acts(Enum):
    """On what a verb acts that is given a node."""

    ITSELF = "the node"
    ITS_DATABASE = "the database that it belongs to"
    EACH_DATABASE = "every database of the pool"
    ITS_COMPUTE = "the compute that serves its database"


@dataclass(frozen=True, slots=True)
class Nothing:
    """It has no meaning there."""

    why: str
    """A sentence; ``{node}`` and ``{name}`` stand for the node and its name."""
    instead: str
    """What to type."""


Meaning = Acts | Nothing

_GROWS_WITH_POOL = Nothing(
    "a pool has as many computes as its wakes need: {node} has no size of its own",
    "on one machine: `torpor up --warm N --warm-max N`; on a cluster: kubectl edit warmpool {name}",
)
_MANY = Nothing(
    "{node} has many databases, and this is for one", "`torpor tree {node}` shows which there are"
)
_OUTLIVED = Nothing(
    "a session has no compute of its own: {node} is kept while its database sleeps",
    "`torpor suspend NAME` parks it with its database; `torpor delete {node}` ends it",
)

_ITSELF: dict[Kind, Meaning] = dict.fromkeys(Kind, Acts.ITSELF)

MEANINGS: dict[str, dict[Kind, Meaning]] = {
    "get": _ITSELF,
    "tree": _ITSELF,
    "why": _ITSELF,
    "suspend": {
        Kind.DATABASE: Acts.ITSELF,
        Kind.COMPUTE: Acts.ITS_DATABASE,
        Kind.VOLUME: Acts.ITS_DATABASE,
        Kind.POOL: Acts.EACH_DATABASE,
        Kind.SESSION: _OUTLIVED,
    },
    "resume": {
        Kind.DATABASE: Acts.ITSELF,
        Kind.COMPUTE: Acts.ITS_DATABASE,
        Kind.VOLUME: Acts.ITS_DATABASE,
        Kind.POOL: Acts.EACH_DATABASE,
        Kind.SESSION: Acts.ITS_DATABASE,
    },
    "resize": {
        Kind.DATABASE: Acts.ITSELF,
        Kind.COMPUTE: Acts.ITS_DATABASE,
        Kind.POOL: _GROWS_WITH_POOL,
        Kind.VOLUME: Nothing(
            "CU are CPU and memory, of which {node} has none",
            "`torpor resize {name} CU` for its database; on a cluster the volume's size is "
            "spec.storage.size",
        ),
        Kind.SESSION: Nothing(
            "CU are a compute's, and {node} has none of its own",
            "`torpor resize NAME CU` for its database",
        ),
    },
    "logs": _ITSELF | {Kind.VOLUME: Acts.ITS_DATABASE},
    "shell": {
        Kind.DATABASE: Acts.ITS_COMPUTE,
        Kind.COMPUTE: Acts.ITSELF,
        Kind.VOLUME: Acts.ITSELF,
        Kind.POOL: Nothing(
            "{node} has many computes, and a shell is in one",
            "`torpor get computes` shows which there are",
        ),
        Kind.SESSION: Acts.ITS_COMPUTE,
    },
    "psql": {
        Kind.DATABASE: Acts.ITSELF,
        Kind.COMPUTE: Acts.ITS_DATABASE,
        Kind.VOLUME: Acts.ITS_DATABASE,
        Kind.POOL: _MANY,
        Kind.SESSION: Acts.ITS_DATABASE,
    },
    "delete": {
        Kind.DATABASE: Acts.ITSELF,
        Kind.VOLUME: Acts.ITSELF,
        Kind.SESSION: Acts.ITSELF,
        Kind.COMPUTE: Nothing(
            "a compute belongs to one database until that sleeps, and then ends of itself: "
            "{node} can't be deleted",
            "`torpor suspend {node}` ends it; `torpor switchover NAME` gives its database a fresh "
            "one",
        ),
        Kind.POOL: Nothing(
            "{node} serves databases, which keep their data elsewhere: it can't be deleted here",
            "on one machine it ends with `torpor up`; on a cluster: kubectl delete warmpool {name}",
        ),
    },
}
"""By verb, then by kind: all of them."""

OF_ONE_DATABASE: dict[Kind, Meaning] = {
    **dict.fromkeys(Kind, Acts.ITS_DATABASE),
    Kind.DATABASE: Acts.ITSELF,
    Kind.POOL: _MANY,
}
"""Of verbs that ask about one database, whichever of its nodes is named."""


def meaning(verb: str, node: Node) -> Acts:
    """Raises InvalidRequest with what to use, where the verb has no meaning there."""
    found = MEANINGS.get(verb, OF_ONE_DATABASE)[node.kind]
    if isinstance(found, Nothing):
        fields = {"node": str(node), "name": node.name}
        raise InvalidRequest(found.why.format(**fields), hint=found.instead.format(**fields))
    return found
