"""May a client of a sleeping database get its session at once, parked? Pure.

Only where nothing in its startup packet needs the compute to judge it. That is so where the same
was accepted before for that role and database, apart from what can be judged here for certain: a
plain ``application_name``, a ``client_encoding`` that surely has a conversion, a valid
``extra_float_digits``. The client is told the settings last seen, with its own values in them; what
is different by the time it attaches is told then, as after any park.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.routing import Route

ENTRIES_MAX = 64
"""Of one endpoint: its roles and databases by the kinds of driver; the oldest go."""

PACKET_BYTES_MAX = 1024
"""Of what is remembered of a startup packet; drivers send a tenth of that."""

KERNEL_PROCESS_ID_MAX = 1 << 22
"""``PID_MAX_LIMIT``: no process of Linux has a higher number."""

_PROCESS_ID_LIMIT = 1 << 31
"""It is a signed number of four bytes."""

_APPLICATION, _ENCODING, _DIGITS = "application_name", "client_encoding", "extra_float_digits"
_REPORTED = (_APPLICATION, _ENCODING)

_PLAIN_NAME = re.compile(r"[ -~]{0,63}")
"""Postgres escapes other letters, and cuts a longer name with a notice."""

_INTEGER = re.compile(r"-?[0-9]{1,2}")
_DIGITS_MIN, _DIGITS_MAX = -15, 3

_ENCODING_NAMES = {
    "utf8": "UTF8",
    "unicode": "UTF8",
    "sqlascii": "SQL_ASCII",
    "latin1": "LATIN1",
    "iso88591": "LATIN1",
    "latin9": "LATIN9",
    "iso885915": "LATIN9",
    "win1252": "WIN1252",
    "windows1252": "WIN1252",
}
"""By the letters and digits of a name, which are all that Postgres looks at."""

_CONVERTS_TO_ALL = ("UTF8", "SQL_ASCII")
"""Encodings of a database that every one of these is converted from and to, or needs not be."""

_Key = tuple[str, str, Pairs, tuple[str, ...]]


def process_id(number: int) -> int:
    """For the BackendKeyData of the ``number``-th such session: one that no kernel gives."""
    first = KERNEL_PROCESS_ID_MAX + 1
    return first + number % (_PROCESS_ID_LIMIT - first)


@dataclass(slots=True)
class Memory:
    """Of one endpoint: what its clients were told when they logged in."""

    _told: dict[_Key, Pairs] = field(default_factory=dict)

    def remember(self, route: Route, pairs: Pairs) -> None:
        """A session with this route was accepted and told these settings."""
        key = _key(route, _judged(route))
        if sum(len(name) + len(value) for name, value in key[2]) > PACKET_BYTES_MAX:
            return
        self._told.pop(key, None)
        self._told[key] = pairs
        if len(self._told) > ENTRIES_MAX:
            del self._told[next(iter(self._told))]

    def recall(self, route: Route) -> Pairs | None:
        """What a session with this route is told; None where the compute has to be asked."""
        judged = _judged(route)
        known = self._told.get(_key(route, judged))
        if known is None:
            return None
        told = dict(known)
        if _ENCODING in judged and not _is_convertible(judged[_ENCODING], told):
            return None
        own = {name: judged[name] for name in _REPORTED if name in judged}
        return tuple({**told, **own}.items())


def _key(route: Route, judged: dict[str, str]) -> _Key:
    """Who gives no value of his own is told the default, which another one's does not show."""
    rest = tuple(pair for pair in route.parameters if pair[0] not in judged)
    return route.database, route.user, rest, tuple(name for name in _REPORTED if name in judged)


def _judged(route: Route) -> dict[str, str]:
    """The parameters that surely are accepted, with the values that Postgres reports."""
    if len({name.lower() for name, _ in route.parameters}) < len(route.parameters):
        return {}  # One twice, in two spellings: which one counts is Postgres's to say.
    judged = ((name, _judge(name, value)) for name, value in route.parameters)
    return {name: value for name, value in judged if value is not None}


def _judge(name: str, value: str) -> str | None:
    if name == _APPLICATION:
        return value if _PLAIN_NAME.fullmatch(value) else None
    if name == _ENCODING:
        return _encoding(value)
    if name == _DIGITS and _INTEGER.fullmatch(value):
        return value if _DIGITS_MIN <= int(value) <= _DIGITS_MAX else None
    return None


def _encoding(value: str) -> str | None:
    if value == "UNICODE":
        return value  # Reported as it is, for the sake of old drivers.
    if not value.isascii() or len(value) > 63:
        return None
    return _ENCODING_NAMES.get(re.sub(r"[^a-z0-9]", "", value.lower()))


def _is_convertible(encoding: str, told: dict[str, str]) -> bool:
    """Whether the session can have it, and what was told looks the same in it."""
    server = told.get("server_encoding")
    is_converted = server in _CONVERTS_TO_ALL or encoding in (server, "SQL_ASCII")
    return is_converted and all(value.isascii() for value in told.values())
