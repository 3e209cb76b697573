"""Which certificates there must be, and when each is made anew. Pure.

All of Torpor's parts trust one authority of their own. It is replaced in three steps, so that at no
moment two parts distrust each other: first everybody trusts the next one as well; then it signs,
while the previous one is still trusted; and when nobody shows a certificate of the previous one any
more, it is dropped. Between the steps lies the time that a kubelet takes to bring a Secret to its
pods, with a wide margin.

The next one is of our own making, or one that somebody gives (cert-manager, a person): it goes the
same way, and so does any other that is given later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

AUTHORITY_SECRET = "torpor-ca"

GIVEN_SECRET = "torpor-ca-given"
"""An authority of somebody else's making; there is none unless somebody has put it there."""

DAY_S = 86_400.0

AUTHORITY_S = 3650 * DAY_S
AUTHORITY_RENEW_S = 365 * DAY_S
"""With less than this left its successor is made."""

LEAF_S = 90 * DAY_S
LEAF_RENEW_S = 30 * DAY_S
"""With less than this left it is made anew: a month in which the operator may be away."""

SPREAD_S = DAY_S
"""For a Secret to reach every pod; a kubelet takes two minutes."""

CHECK_S_MAX = 12 * 3600.0
"""Clocks are set and processes are paused: not to be slept through."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that signs others."""

    id: str
    """SHA-256 of its certificate."""
    ends_at: float


@dataclass(frozen=True, slots=True)
class Authorities:
    """The three that may be at once."""

    current: Authority
    next: Authority | None = None
    previous: Authority | None = None
    spread_at: float | None = None
    """Since when the next one has been in every Secret; None: nobody has seen that yet."""

    @property
    def trusted(self) -> frozenset[str]:
        return frozenset(one.id for one in (self.current, self.next, self.previous) if one)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a certificate is."""

    secret: str
    namespace: str = ""
    """Whose it is, in a Secret that has those of many; empty: it is the only one."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate that is in a Secret."""

    names: tuple[str, ...]
    signed_by: str
    """The authority's id; empty where it is none of ours."""
    made_at: float
    ends_at: float
    trusts: frozenset[str] | None
    """Ids of the authorities beside it; None: whoever shows it need trust nobody."""


@dataclass(frozen=True, slots=True)
class LeafWanted:
    """A certificate that there shall be."""

    secret: str
    names: tuple[str, ...]
    """The first is its common name."""
    is_client: bool = True
    """It also says who asks; what database clients are shown does not."""
    rest: tuple[str, ...] = ()
    """More names, as far as there is room for them."""
    component: str = ""
    """Whose pods have it mounted, and may wait for it."""
    namespace: str = ""
    """Whose databases' clients are shown it; empty: it is alone in its Secret."""

    @property
    def place(self) -> Place:
        return Place(self.secret, self.namespace)


@dataclass(frozen=True, slots=True)
class MakeAuthority:
    """The first one, or the next one: the one that is given, or else one of our own."""

    is_next: bool = False


@dataclass(frozen=True, slots=True)
class BeginSpread:
    """The next one is in every Secret by now, and on its way to every pod."""


@dataclass(frozen=True, slots=True)
class Promote:
    """The next one signs from now on; the one until now is still trusted."""


@dataclass(frozen=True, slots=True)
class DropPrevious:
    """Nobody needs it any more."""


@dataclass(frozen=True, slots=True)
class Issue:
    """Make a key and a certificate."""

    leaf: LeafWanted


@dataclass(frozen=True, slots=True)
class Trust:
    """Put all authorities that are trusted now beside the certificate, which stays."""

    leaf: LeafWanted


CertificateAction: TypeAlias = MakeAuthority | BeginSpread | Promote | DropPrevious | Issue | Trust


def plan_authority(
    known: Authorities | None,
    leaves: Mapping[Place, Leaf | None],
    given: Authority | None,
    now: float,
) -> CertificateAction | None:
    """The next step of the authority, one at a time; leaves are planned when there is none.

    ``given``: the one that somebody else wants, if anybody does.
    """
    if known is None or (known.next is None and known.current.ends_at <= now):
        return MakeAuthority()
    is_news = given is not None and given not in (known.current, known.next)
    issued = [leaf for leaf in leaves.values() if leaf is not None]
    if known.next is not None:
        # It has signed nothing yet: another one takes its place as it is.
        return MakeAuthority(is_next=True) if is_news else _spread(known, known.next, issued, now)
    if known.previous is not None:
        is_unused = all(
            leaf.signed_by == known.current.id and now >= leaf.made_at + SPREAD_S for leaf in issued
        )
        return DropPrevious() if is_unused else None
    is_old = given is None and known.current.ends_at - now < AUTHORITY_RENEW_S
    return MakeAuthority(is_next=True) if is_news or is_old else None


def _spread(
    known: Authorities, next: Authority, issued: Sequence[Leaf], now: float
) -> CertificateAction | None:
    """What is to be done until everybody trusts the next one."""
    if known.current.ends_at <= now:
        return Promote()  # By the current one nobody trusts anybody any more.
    if not all(next.id in leaf.trusts for leaf in issued if leaf.trusts is not None):
        return None
    if known.spread_at is None:
        return BeginSpread()
    return Promote() if now >= known.spread_at + SPREAD_S else None


def plan_leaves(
    known: Authorities,
    leaves: Mapping[Place, Leaf | None],
    wanted: Sequence[LeafWanted],
    now: float,
) -> Iterator[Issue | Trust]:
    """Everything that is missing, old, of other names, or trusts too few or too many."""
    for one in wanted:
        leaf = leaves.get(one.place)
        if leaf is None or not _is_good(leaf, one, known, now):
            yield Issue(one)
        elif leaf.trusts is not None and leaf.trusts != known.trusted:
            yield Trust(one)


def _is_good(leaf: Leaf, wanted: LeafWanted, known: Authorities, now: float) -> bool:
    has_time = leaf.ends_at - now >= LEAF_RENEW_S
    # A name too many, of a namespace that has no database any more, goes with the next one.
    has_names = leaf.names[:1] == wanted.names[:1] and set(leaf.names) >= set(wanted.names)
    return has_time and has_names and leaf.signed_by == known.current.id


def check_in_s(
    known: Authorities,
    leaves: Mapping[Place, Leaf | None],
    given: Authority | None,
    now: float,
) -> float:
    """When to look again though nothing has changed."""
    there = [leaf for leaf in leaves.values() if leaf is not None]
    moments = [known.current.ends_at, *(leaf.ends_at - LEAF_RENEW_S for leaf in there)]
    if known.next is not None:
        moments.append(now if known.spread_at is None else known.spread_at + SPREAD_S)
    elif known.previous is not None:
        moments.append(max((leaf.made_at + SPREAD_S for leaf in there), default=now))
    elif given is None:
        moments.append(known.current.ends_at - AUTHORITY_RENEW_S)
    return min(CHECK_S_MAX, max(1.0, min(moments) - now))


def component_leaves() -> tuple[LeafWanted, ...]:
    """Of Torpor's own parts, which know each other by these names."""
    parts = ("autoscaler", "proxy", "compute", "operator", "client")
    return tuple(
        LeafWanted(f"torpor-{part}-tls", (f"{part}.torpor",), component=part) for part in parts
    )
