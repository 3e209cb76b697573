"""What a client is told when it has logged in, by ParameterStatus. Pure."""

from __future__ import annotations

from torpor_proxy.core.parameters import Pairs

SERVER_VERSION = "18.0"
"""Of the Postgres whose protocol this is; drivers judge by it what they may send."""

_SAME_FOR_ALL = (
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("default_transaction_read_only", "off"),
    ("in_hot_standby", "off"),
    ("is_superuser", "off"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
)

_OWN = ("server_version", "session_authorization", "application_name")

_ALSO_SHOWN = (("transaction_isolation", "read committed"), ("max_identifier_length", "63"))
"""Asked for by drivers, and never told unasked."""


def told(user: str, application: str, release: str) -> Pairs:
    """``release``: of Torpor."""
    version = f"{SERVER_VERSION} (Torpor {release})"
    own = zip(_OWN, (version, user, application), strict=True)
    return (*own, *_SAME_FOR_ALL)


SHOWN = frozenset(
    name.lower() for name in (*_OWN, *(name for name, _ in (*_SAME_FOR_ALL, *_ALSO_SHOWN)))
)
"""Names that SHOW knows beside the console's own words."""


def shown(pairs: Pairs, name: str) -> str:
    """The value of one of :data:`SHOWN`."""
    values = {each.lower(): value for each, value in (*pairs, *_ALSO_SHOWN)}
    return values[name]
