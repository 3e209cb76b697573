"""Which endpoint a client means, and what is left of its startup parameters. Pure.

It is named, in this order, by the TLS server name (``NAME.DOMAIN``), by ``options=endpoint=NAME``,
by the database's name (``NAME/dbname``) or by a suffix of the user's (``user@NAME``). Where several
name one they must agree: an error is better than another database than the client means.

The reserved endpoint ``torpor`` is the operator console. The database name ``torpor`` without any
endpoint means it too; with one it is a database inside of that endpoint, which may have one.

``NAME`` is ``NAME.NAMESPACE`` wherever the namespace is not ``default``, and may be where it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from torpor_api.identity import CONSOLE_NAME, canonical_endpoint_name, split_endpoint_name
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


def route(
    startup: Startup, server_name: str | None, domains: Collection[str], service: str = ""
) -> Route | Refusal:
    """The route, or why there is none.

    ``service``: NAME.NAMESPACE of the proxy's own Service, whose host name is no endpoint's.
    """
    given = dict(startup.parameters)
    if given.get("replication", "").lower() not in _NO_REPLICATION:
        # A client that is served an ordinary session instead would take it for a broken one.
        return NotSupported("replication connections are not supported")
    user = given.get("user", "")
    named: dict[str, str] = {}
    endpoint = _from_server_name(server_name, domains)
    if endpoint is not None and endpoint != service:
        named["the TLS server name"] = endpoint
    in_options, words = _from_options(given.get("options", ""))
    named.update(in_options)
    prefix, slash, rest = given.get("database", "").partition("/")
    database = given.get("database", "")
    if slash and (endpoint := canonical_endpoint_name(prefix)) is not None:
        named["the database name"], database = endpoint, rest
    name, at, suffix = user.rpartition("@")
    endpoint = canonical_endpoint_name(suffix) if at else None
    # Users may be called like mail addresses: a suffix counts only if it can be nothing else.
    if endpoint is not None and (not named or endpoint in named.values()):
        named["the user name"], user = endpoint, name
    if not named and (database or user) == CONSOLE_NAME:
        named["the database name"] = CONSOLE_NAME
    if not named:
        return EndpointUnnamed(domains)
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


def namespace_named(server_name: str | None, domains: Iterable[str]) -> str | None:
    """That of the endpoint in the TLS server name; None where it names none."""
    endpoint = _from_server_name(server_name, domains)
    return None if endpoint is None else split_endpoint_name(endpoint)[1]


def _from_server_name(server_name: str | None, domains: Iterable[str]) -> str | None:
    """The endpoint in ``NAME[.NAMESPACE].DOMAIN``; None for host names that name none.

    Of domains that end alike (``svc.cluster.local`` and ``cluster.local``) the longest counts.
    """
    if server_name is None:
        return None
    rest = "." + server_name.lower().rstrip(".")
    for domain in sorted(domains, key=len, reverse=True):
        if rest.endswith(f".{domain}"):
            return canonical_endpoint_name(rest.removesuffix(f".{domain}").removeprefix("."))
    return None


def _from_options(options: str) -> tuple[dict[str, str], list[str]]:
    """The endpoints that ``options`` name, by where, and the words that are Postgres's."""
    found: dict[str, str] = {}
    kept: list[str] = []
    for word in split_options(options):
        # As a word of its own, and as `-c endpoint=NAME`, which some drivers can't avoid.
        if word.removeprefix("-c").startswith(_OPTION):
            given = word.removeprefix("-c").removeprefix(_OPTION)
            # What can't be a name is passed on: a login to it fails like one to any stranger.
            name = canonical_endpoint_name(given) or given
            found["options" if found.get("options", name) == name else "options again"] = name
            if kept and kept[-1] == "-c":
                kept.pop()
        else:
            kept.append(word)
    return found, kept
