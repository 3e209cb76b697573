"""Pools, their computes, the database that each serves, its sessions and its volume: as a tree.
Pure.

A node's parent is what it depends on: a session on its database, a database that is awake on its
compute and one that sleeps on its pool, whose computes it will get.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from torpor_cli.client import Json
from torpor_cli.tree import words
from torpor_cli.tree.fleet import Fleet
from torpor_cli.tree.node import Kind, Node, SessionName, pool_name

ASLEEP = "Suspended"


@dataclass(frozen=True, slots=True)
class Branch:
    """A node with what depends on it."""

    node: Node
    words: str
    """For a person: its state, and what else there is to say in a line."""
    data: Json
    """For programs: as it was told."""
    branches: tuple[Branch, ...] = ()
    left_out: tuple[str, ...] = ()
    """What is not shown of them, like ``9,950 more asleep``."""


def forest(fleet: Fleet, each_max: int = 0) -> tuple[Branch, ...]:
    """A tree for each pool; ``each_max``: nodes of one sort under one other, 0: all."""
    grown = _Grown(fleet, each_max)
    names = {pool_name(row["name"]) for row in fleet.pools}
    names |= {pool_name(row["pool"]) for row in fleet.rows}
    return tuple(grown.pool(name) for name in sorted(names))


def path_to(roots: Iterable[Branch], node: Node) -> tuple[Branch, ...]:
    """Only what the node depends on and what depends on it; empty where it is in no tree."""
    for root in roots:
        if root.node == node:
            return (root,)
        if below := path_to(root.branches, node):
            return (replace(root, branches=below, left_out=()),)
    return ()


def cut(branch: Branch, depth: int) -> Branch:
    """No more than so many levels."""
    if depth > 1:
        below = tuple(cut(each, depth - 1) for each in branch.branches)
        return replace(branch, branches=below)
    return replace(branch, branches=(), left_out=())


def every(roots: Iterable[Branch]) -> Iterator[Branch]:
    """All of them, each ahead of those below it."""
    for branch in roots:
        yield branch
        yield from every(branch.branches)


def session_node(session: Json, proxies: Sequence[str]) -> Node:
    """The proxy is named where there is more than one."""
    proxy = session["proxy"] if len(proxies) > 1 else ""
    return Node(Kind.SESSION, str(SessionName(session["session"], proxy)))


class _Grown:
    """What is told, by what it is looked for."""

    def __init__(self, fleet: Fleet, each_max: int) -> None:
        self._fleet = fleet
        self._each_max = each_max
        self._rows = {row["name"]: row for row in fleet.rows}
        self._sessions: dict[str, list[Json]] = defaultdict(list)
        for session in fleet.sessions:
            self._sessions[session["database"]].append(session)
        self._computes: dict[str, list[Json]] = defaultdict(list)
        for compute in fleet.computes:
            self._computes[pool_name(compute["pool"])].append(compute)
        self._by_pool: dict[str, list[Json]] = defaultdict(list)
        for row in fleet.rows:
            self._by_pool[pool_name(row["pool"])].append(row)
        self._served = {row["compute"]: row["name"] for row in fleet.rows if row["compute"]}

    def pool(self, name: str) -> Branch:
        told = [row for row in self._fleet.pools if pool_name(row["name"]) == name]
        data = told[0] if told else {"name": name}
        there = {row["compute"] for row in self._computes[name]}
        # A compute that was just lost may still be named by its database.
        loose = [row for row in self._by_pool[name] if row["compute"] not in there]
        awake = [row for row in loose if row["phase"] != ASLEEP]
        asleep = [row for row in loose if row["phase"] == ASLEEP]
        busy = [row for row in self._computes[name] if row["compute"] in self._served]
        free = [row for row in self._computes[name] if row["compute"] not in self._served]
        branches, left_out = list[Branch](), list[str]()
        for rows, grow, what in (
            (busy, self._compute, "computes at work"),
            (free, self._compute, "computes that wait"),
            (awake, self._database, "databases"),
            (asleep, self._database, "asleep"),
        ):
            shown = self._first(rows)
            branches += [grow(row) for row in shown]
            if len(rows) > len(shown):
                left_out.append(f"{len(rows) - len(shown):,} more {what}")
        node = Node(Kind.POOL, name)
        return Branch(node, words.of_pool(data), data, tuple(branches), tuple(left_out))

    def _compute(self, row: Json) -> Branch:
        database = self._rows.get(self._served.get(row["compute"], ""))
        below = () if database is None else (self._database(database),)
        return Branch(Node(Kind.COMPUTE, row["compute"]), words.of_compute(row), row, below)

    def _database(self, row: Json) -> Branch:
        known = self._sessions[row["name"]]
        shown = self._first(known)
        hidden = max(row["sessions"], len(known)) - len(shown)
        volume = Branch(Node(Kind.VOLUME, row["name"]), words.of_volume(row), {"name": row["name"]})
        sessions = tuple(self._session(session) for session in shown)
        left_out = (f"{hidden:,} more sessions",) if hidden > 0 else ()
        node = Node(Kind.DATABASE, row["name"])
        return Branch(node, words.of_database(row), row, (*sessions, volume), left_out)

    def _first(self, rows: list[Json]) -> list[Json]:
        return rows[: self._each_max] if self._each_max else rows

    def _session(self, session: Json) -> Branch:
        node = session_node(session, self._fleet.proxies)
        return Branch(node, words.of_session(session), session)
