"""A node of the tree as people name it: ``KIND/NAME``; a bare name is a database. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from torpor_api.brief import brief
from torpor_api.failures import InvalidRequest


class Kind(StrEnum):
    """What a node is."""

    POOL = "pool"
    COMPUTE = "compute"
    DATABASE = "database"
    VOLUME = "volume"
    SESSION = "session"

    @property
    def plural(self) -> str:
        return f"{self}s"


KIND_WORDS = {
    **{str(kind): kind for kind in Kind},
    **{kind.plural: kind for kind in Kind},
    "db": Kind.DATABASE,
    "sdb": Kind.DATABASE,
    "serverlessdatabase": Kind.DATABASE,
    "serverlessdatabases": Kind.DATABASE,
    "warmpool": Kind.POOL,
    "warmpools": Kind.POOL,
}
"""How a kind may be written: kubectl's words for ours are among them."""

KINDS_ALLOWED = ", ".join(Kind)

_COMPUTE = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

_SESSION = re.compile(r"(?:(?P<proxy>[A-Za-z0-9][-A-Za-z0-9.]{0,251})\.)?(?P<number>[0-9]{1,18})")

POOL_WITHOUT_NAME = "default"
"""On one machine there is one pool. Databases call it so in ``spec.pool``."""


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One node; whether it is there is another question."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class SessionName:
    """A proxy counts its own sessions, so two proxies may have a session 17."""

    number: int
    proxy: str = ""
    """Empty: the only one that has a session of that number."""

    def __str__(self) -> str:
        return f"{self.proxy}.{self.number}" if self.proxy else str(self.number)


def parse_node(text: str) -> Node:
    """Raises InvalidRequest; what a database may be called is for its place to say."""
    word, slash, name = text.partition("/")
    if not slash:
        return Node(Kind.DATABASE, text)
    kind = KIND_WORDS.get(word.lower())
    if kind is None:
        raise InvalidRequest(f"{brief(text)}: there are nodes of the kinds {KINDS_ALLOWED}")
    if kind is Kind.SESSION:
        return Node(kind, str(parse_session(name)))
    if kind in (Kind.COMPUTE, Kind.POOL) and not _COMPUTE.fullmatch(name):
        raise InvalidRequest(f"{brief(text)} is no {kind}: write {kind}/NAME, as `torpor get` does")
    return Node(kind, name)


def parse_session(text: str) -> SessionName:
    """Raises InvalidRequest."""
    found = _SESSION.fullmatch(text)
    if found is None or int(found["number"]) < 1:
        raise InvalidRequest(
            f"{brief(text)} is no session: write session/NUMBER, or session/PROXY.NUMBER "
            "where two proxies have one of that number"
        )
    return SessionName(int(found["number"]), found["proxy"] or "")


def pool_name(name: str) -> str:
    """As people call the pool that an answer names."""
    return name or POOL_WITHOUT_NAME
