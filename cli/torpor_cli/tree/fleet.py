"""All that is asked to draw the tree: of the autoscaler, in few questions. What is told is cut at
its bounds, and how much that left out is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torpor_api.failures import InvalidRequest, NotFound, Refused
from torpor_cli.client import QUICK_SECONDS_MAX, Json
from torpor_cli.place import Place
from torpor_cli.tree.node import Kind, Node, parse_session, pool_name

SESSIONS_MAX = 20_000
"""As many as a proxy holds: 7 MB."""

SESSIONS_SHOWN_MAX = 1000
"""More than a person reads; those that keep a database awake come first."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What there is, at about one moment."""

    rows: list[Json]
    """As ``DatabaseRow``, in the order of their names."""
    pools: list[Json] = field(default_factory=list)
    computes: list[Json] = field(default_factory=list)
    sessions: list[Json] = field(default_factory=list)
    proxies: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Proxies that did not answer: their sessions are not among these."""


def whole(place: Place, *, sessions: int = SESSIONS_SHOWN_MAX) -> Fleet:
    """Everything that the place shows."""
    told = _quickly(place, "AskComputes")
    listed = sessions_of(place, limit=sessions) if sessions else _NOBODY
    return _fleet(place, list(rows_of(place)), told, listed)


def around(place: Place, database: str, *, sessions: int = SESSIONS_SHOWN_MAX) -> Fleet:
    """One database and what belongs to it. Raises NotFound."""
    rows = rows_named(place, [database])
    if not rows:
        raise NotFound(
            f"no database {database!r}", hint="`torpor get databases` shows those there are"
        )
    told = _quickly(place, "AskComputes")
    return _fleet(place, rows, told, sessions_of(place, database, limit=sessions))


_NOBODY: Json = {"sessions": [], "missing": []}


def _fleet(place: Place, rows: list[Json], told: Json, listed: Json) -> Fleet:
    names = {row["name"] for row in rows}
    sessions = [each for each in listed["sessions"] if each["database"] in names]
    return Fleet(
        rows=rows,
        pools=told["pools"],
        computes=[each for each in told["computes"] if is_shown(place, each["database"])],
        sessions=sessions,
        proxies=tuple(told["proxies"]),
        missing=tuple(listed["missing"]),
    )


def rows_of(place: Place) -> Iterator[Json]:
    """Every database that the place shows, page by page."""
    after, is_more = "", True
    while is_more:
        page = _quickly(place, "AskFleet", after=after)
        found: list[Json] = page["databases"]
        yield from (row for row in found if is_shown(place, row["name"]))
        is_more, after = page["has_more"], found[-1]["name"] if found else after


def rows_named(place: Place, names: list[str]) -> list[Json]:
    """Of these; those that there are not are left out."""
    found: list[Json] = _quickly(place, "AskFleet", names=names)["databases"] if names else []
    return found


def sessions_of(place: Place, database: str = "", *, limit: int = SESSIONS_MAX) -> Json:
    """Of one database, or of all that the place shows: ``sessions``, ``total``, ``missing``."""
    told = _quickly(place, "Sessions", name=database, limit=limit)
    for each in told["sessions"]:
        each["database"] = each.get("database") or database
    if not database and place.namespace is not None:
        told["sessions"] = [e for e in told["sessions"] if is_shown(place, e["database"])]
        told["total"] = len(told["sessions"])
    return told


def computes_of(place: Place) -> Json:
    """``pools``, ``computes``, ``proxies``."""
    return _quickly(place, "AskComputes")


def compute_named(place: Place, name: str) -> Json:
    """Raises NotFound."""
    found: list[Json] = computes_of(place)["computes"]
    for row in found:
        if row["compute"] == name:
            return row
    raise NotFound(f"no compute {name!r}", hint="`torpor get computes` shows those there are")


def pool_named(place: Place, name: str) -> Json:
    """Raises NotFound."""
    found: list[Json] = computes_of(place)["pools"]
    for row in found:
        if pool_name(row["name"]) == name:
            return row
    known = ", ".join(pool_name(row["name"]) for row in found) or "none yet"
    raise NotFound(f"no pool {name!r}: there is {known}")


def session_named(place: Place, name: str) -> Json:
    """Raises NotFound, and InvalidRequest where several proxies have a session of that number."""
    wanted = parse_session(name)
    told = _quickly(place, "Sessions", name="", number=wanted.number)
    found = [each for each in told["sessions"] if wanted.proxy in ("", each["proxy"])]
    if not found:
        silent = f" ({', '.join(told['missing'])} did not answer)" if told["missing"] else ""
        hint = "`torpor get sessions` shows those there are"
        raise NotFound(f"no session {name}{silent}", hint=hint)
    if len(found) > 1:
        each = " or ".join(f"session/{one['proxy']}.{one['session']}" for one in found)
        raise InvalidRequest(f"several proxies have a session {name}: write {each}")
    only: Json = found[0]
    return only


def database_of(place: Place, node: Node) -> str:
    """The endpoint name of the database that the node is, or belongs to. Raises a Failure."""
    match node.kind:
        case Kind.DATABASE | Kind.VOLUME:
            return node.name
        case Kind.COMPUTE:
            row = compute_named(place, node.name)
            if not row["database"]:
                raise Refused(f"{node} serves no database: it is {row['state']}")
            return str(row["database"])
        case Kind.SESSION:
            return str(session_named(place, node.name)["database"])
        case Kind.POOL:
            raise InvalidRequest(f"{node} is not one database")


def is_shown(place: Place, database: str) -> bool:
    """Where a namespace was named, only what is in it; what serves nobody yet is everybody's."""
    if place.namespace is None or not database:
        return True
    from torpor_api.identity import split_endpoint_name

    return split_endpoint_name(database)[1] == place.namespace


def _quickly(place: Place, request: str, **body: object) -> Json:
    return place.ask_autoscaler(request, timeout_s=QUICK_SECONDS_MAX, **body)
