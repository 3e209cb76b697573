"""Names and numbers that identify things, each with a type of its own.

A plain ``str`` or ``int`` where one of these is meant is a mistake that mypy finds.
"""

from __future__ import annotations

import re
from typing import NewType

from torpor_api.brief import brief

DatabaseName = NewType("DatabaseName", str)
"""An endpoint name: ``NAME``, or ``NAME.NAMESPACE`` outside of the namespace ``default``.

By it everybody but the cluster itself knows a database: in messages, metrics, logs and connection
strings.
"""

ComputeId = NewType("ComputeId", str)
"""One agent with (later) its Postgres; never used twice."""

Epoch = NewType("Epoch", int)
"""The fencing token: grows by one at every claim of a database; 0 means "never claimed"."""

SessionId = NewType("SessionId", int)
"""One client connection in one proxy; counts from 1 in each proxy process."""

NEVER_CLAIMED = Epoch(0)

DEFAULT_NAMESPACE = "default"
"""What is left out of endpoint names."""

CONSOLE_NAME = DatabaseName("torpor")
"""No database's name, in no namespace: whoever connects to it gets the operator console."""

NAME_RESERVED = f"{CONSOLE_NAME!r} is reserved for the operator console: choose another name"

DATABASE_NAME_LENGTH_MAX = 63
"""One DNS label (RFC 1123), because the name is a part of a host name; a namespace's as well."""

HOST_NAME_LENGTH_MAX = 63
"""A pod's own, which is the beginning of its name."""

DATABASE_NAME_PATTERN = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"

_DATABASE_NAME = re.compile(DATABASE_NAME_PATTERN)


def proxy_name(host: str, process: int) -> str:
    """Of one proxy, and of no other at any time: its machine's name, or its pod's, and its process
    there."""
    return f"proxy-{host}-{process}"


def is_proxy_of(host: str, proxy: str) -> bool:
    """Whether the proxy of this name runs, or ran, on that machine or in that pod."""
    return proxy.rpartition("-")[0] == f"proxy-{host[:HOST_NAME_LENGTH_MAX]}"


def is_database_name(text: str) -> bool:
    """Whether ``text`` is a DNS label: lower-case letters, digits and inner hyphens."""
    return _DATABASE_NAME.fullmatch(text) is not None


def endpoint_name(name: str, namespace: str) -> DatabaseName:
    """The one spelling of a database's endpoint name."""
    return DatabaseName(name if namespace == DEFAULT_NAMESPACE else f"{name}.{namespace}")


def is_endpoint_name(text: str) -> bool:
    """Whether ``text`` is ``NAME`` or ``NAME.NAMESPACE``."""
    name, dot, namespace = text.partition(".")
    return is_database_name(name) and (not dot or is_database_name(namespace))


def split_endpoint_name(text: str) -> tuple[str, str]:
    """Name and namespace. Raises ValueError for what is no endpoint name."""
    if not is_endpoint_name(text):
        raise ValueError(f"{brief(text)} is not an endpoint name: write NAME or NAME.NAMESPACE")
    name, dot, namespace = text.partition(".")
    return name, namespace if dot else DEFAULT_NAMESPACE


def canonical_endpoint_name(text: str) -> DatabaseName | None:
    """The endpoint that people name in either way (``x.default`` is ``x``), or None."""
    return endpoint_name(*split_endpoint_name(text)) if is_endpoint_name(text) else None
