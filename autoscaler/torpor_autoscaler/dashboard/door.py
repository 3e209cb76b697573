"""Who may come in: links that let a browser in once, and cookies by which it is known afterwards.

On one machine others may reach the port too, and any page in a person's browser may send requests
to it. So an address alone opens nothing, a cookie goes with requests of our own page only, and a
name that is not ours is not answered (DNS rebinding).

A browser gives a cookie of an address to every port there, so whoever serves a page on another one
is shown it. Hence the ticket: the page keeps it in its storage, which no other port sees, and says
it with each request. A script in the page could read the ticket and not the cookie; either alone
opens nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

LINK_S_MAX = 3600.0
"""From `torpor up` to the browser; what stands in a terminal for longer opens nothing."""

LINKS_MAX = 100
"""Unused ones at a time; the oldest go first."""

LINK_BYTES = 24
"""Of randomness. Nobody guesses 192 bits, so wrong ones are not counted: whoever counts them lets
strangers keep the right one out."""

COOKIE_S_MAX = 30 * 86_400.0
"""A month, then the browser needs another link."""


@dataclass(frozen=True, slots=True)
class Admission:
    """By both together a browser is known again."""

    cookie: str
    ticket: str


class Door:
    """``wall_s``: seconds since 1970."""

    def __init__(self, key: bytes, hosts: Collection[str], wall_s: Callable[[], float]) -> None:
        """``key``: whoever has it can make cookies; ``hosts``: names that are ours."""
        self._key = hashlib.sha256(b"torpor dashboard\0" + key).digest()
        self._hosts = frozenset(host.lower() for host in hosts)
        self._wall_s = wall_s
        self._links: dict[str, float] = {}
        """Until when each is good."""

    def link(self) -> str:
        """A fresh one, good once and for :data:`LINK_S_MAX`."""
        self._drop_old()
        while len(self._links) >= LINKS_MAX:
            del self._links[next(iter(self._links))]
        link = secrets.token_urlsafe(LINK_BYTES)
        self._links[link] = self._wall_s() + LINK_S_MAX
        return link

    def enter(self, link: str) -> Admission | None:
        """Of whoever brings a good link, which is used up; None for any other."""
        self._drop_old()
        given = link.encode(errors="replace")
        # All are compared, and in full: the time tells nothing of any of them.
        found = [one for one in self._links if hmac.compare_digest(one.encode(), given)]
        if not found:
            return None
        del self._links[found[0]]
        began_s = int(self._wall_s())
        return Admission(self._cookie(began_s), self._ticket(began_s))

    def knows(self, cookie: str, ticket: str) -> bool:
        """Whether both are ours, of one browser, and not too old."""
        began, _, _ = cookie.partition(".")
        if not began.isascii() or not began.isdigit() or len(began) > 12:
            return False
        began_s = int(began)
        is_cookie = _is_same(self._cookie(began_s), cookie)
        is_ticket = _is_same(self._ticket(began_s), ticket)
        return is_cookie and is_ticket and 0 <= self._wall_s() - began_s <= COOKIE_S_MAX

    def is_for_us(self, host: str) -> bool:
        """Whether a request's Host is an address, this machine, or a name of ours."""
        name = _name_of(host)
        if name is None:
            return False
        return name == "localhost" or name in self._hosts or _is_address(name)

    def is_behind_tls(self, host: str) -> bool:
        """The names that were given are reached through TLS; addresses may not be."""
        return _name_of(host) in self._hosts

    def _cookie(self, began_s: int) -> str:
        return f"{began_s}.{self._mark('cookie', began_s)}"

    def _ticket(self, began_s: int) -> str:
        return self._mark("ticket", began_s)

    def _mark(self, purpose: str, began_s: int) -> str:
        return hmac.new(self._key, f"{purpose} {began_s}".encode(), hashlib.sha256).hexdigest()

    def _drop_old(self) -> None:
        now_s = self._wall_s()
        self._links = {link: until_s for link, until_s in self._links.items() if until_s > now_s}


def is_same_origin(origin: str, host: str, *, is_behind_tls: bool) -> bool:
    """Whether a page that came from ``host`` has sent it: only ours can have."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    # Whoever is in between of somebody's network can write what comes without TLS.
    schemes = ("https",) if is_behind_tls else ("http", "https")
    return parts.scheme in schemes and parts.netloc.lower() == host.lower() != ""


def _is_same(own: str, given: str) -> bool:
    return hmac.compare_digest(own.encode(), given.encode(errors="replace"))


def _name_of(host: str) -> str | None:
    """Without its port; None for what is no Host."""
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:
        return None
    if parts.netloc != host or "@" in host or not parts.hostname:
        return None
    return parts.hostname.rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
