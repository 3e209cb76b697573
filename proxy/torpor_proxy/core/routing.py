"""Which endpoint a client means, and what is left of its startup parameters. Pure.

It is named, in this order, by the TLS server name (``NAME.DOMAIN``), by ``options=endpoint=NAME``,
by the database's name (``NAME/dbname``) or by a suffix of the user's (``user@NAME``). Where several
name one they must agree: an error is better than another database than the client means.
"""

from __future__ import annotations

from dataclasses import dataclass

from torpor_api.identity import is_database_name
from torpor_proxy.core.refusals import (
    EndpointDisagrees,
    EndpointUnnamed,
    NotSupported,
    Refusal,
)
from torpor_proxy.core.startup import PROTOCOL_OPTION, Startup, join_options, split_options

_OPTION = "endpoint="

_NO_REPLICATION = ("", "false", "off", "no", "0")

_NOT_FOR_POSTGRES = ("user", "database", "options", "replication")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Route:
    """Whom a client wants to reach, as whom, and with which settings of its own."""

    endpoint: str
    user: str
    database: str
    parameters: tuple[tuple[str, str], ...] = ()
    """What is passed on to Postgres beside user and database."""


def route(startup: Startup, server_name: str | None, domain: str) -> Route | Refusal:
    """The route, or why there is none."""
    given = dict(startup.parameters)
    if given.get("replication", "").lower() not in _NO_REPLICATION:
        # A client that is served an ordinary session instead would take it for a broken one.
        return NotSupported("replication connections are not supported")
    user = given.get("user", "")
    named: dict[str, str] = {}
    if (label := _label(server_name, domain)) is not None:
        named["the TLS server name"] = label
    in_options, words = _from_options(given.get("options", ""))
    named.update(in_options)
    prefix, slash, rest = given.get("database", "").partition("/")
    database = given.get("database", "")
    if slash and is_database_name(prefix):
        named["the database name"], database = prefix, rest
    suffix = user.rpartition("@")[2] if "@" in user else ""
    # Users may be called like mail addresses: a suffix counts only if it can be nothing else.
    if is_database_name(suffix) and (not named or suffix in named.values()):
        named["the user name"], user = suffix, user.rpartition("@")[0]
    if not named:
        return EndpointUnnamed()
    if len(set(named.values())) > 1:
        return EndpointDisagrees(named)
    parameters = tuple(
        (name, value)
        for name, value in startup.parameters
        if name not in _NOT_FOR_POSTGRES and not name.startswith(PROTOCOL_OPTION)
    )
    if words:
        parameters += (("options", join_options(words)),)
    return Route(next(iter(named.values())), user, database or user, parameters)


def _label(server_name: str | None, domain: str) -> str | None:
    """The endpoint in ``NAME.DOMAIN``; None for any other host name, which names none."""
    if server_name is None:
        return None
    label, dot, rest = server_name.lower().rstrip(".").partition(".")
    return label if dot and rest == domain and is_database_name(label) else None


def _from_options(options: str) -> tuple[dict[str, str], list[str]]:
    """The endpoints that ``options`` name, by where, and the words that are Postgres's."""
    found: dict[str, str] = {}
    kept: list[str] = []
    for word in split_options(options):
        # As a word of its own, and as `-c endpoint=NAME`, which some drivers can't avoid.
        if word.removeprefix("-c").startswith(_OPTION):
            name = word.removeprefix("-c").removeprefix(_OPTION)
            found["options" if found.get("options", name) == name else "options again"] = name
            if kept and kept[-1] == "-c":
                kept.pop()
        else:
            kept.append(word)
    return found, kept
