"""The authority is replaced in three steps, and at no moment do two parts distrust each other."""

from __future__ import annotations

from dataclasses import replace

from torpor_operator.core.certificates import (
    AUTHORITY_RENEW_S,
    AUTHORITY_S,
    DAY_S,
    LEAF_RENEW_S,
    LEAF_S,
    SPREAD_S,
    Authorities,
    Authority,
    BeginSpread,
    DropPrevious,
    Issue,
    Leaf,
    LeafWanted,
    MakeAuthority,
    Place,
    Promote,
    Trust,
    check_in_s,
    component_leaves,
    plan_authority,
    plan_leaves,
)

PROXY = LeafWanted("torpor-proxy-tls", ("proxy.torpor",))
AGENT = LeafWanted("torpor-compute-tls", ("compute.torpor",))
TEAM = LeafWanted("torpor-proxy-namespaces-1", ("*.team.svc",), namespace="team")
WANTED = (PROXY, AGENT, TEAM)


class Town:
    """Two parts and a namespace, whose pods have seen a Secret a day after it was written."""

    def __init__(self) -> None:
        self.now = 0.0
        self.known: Authorities | None = None
        self.leaves: dict[Place, Leaf | None] = {one.place: None for one in WANTED}
        self.mounted: list[tuple[float, dict[Place, Leaf | None]]] = []
        self.made = 0
        self.story: list[str] = []
        self.given: Authority | None = None

    def live(self, until: float) -> None:
        while self.now < until:
            self.look()
            self.check_trust()
            self.now += DAY_S / 4

    def look(self) -> None:
        step = plan_authority(self.known, self.leaves, self.given, self.now)
        if step is not None:
            self.story.append(type(step).__name__)
            self.known = self.stepped(step)
            return
        assert self.known is not None
        for action in plan_leaves(self.known, self.leaves, WANTED, self.now):
            wanted = action.leaf
            leaf = self.leaves[wanted.place] if isinstance(action, Trust) else None
            self.leaves[wanted.place] = Leaf(
                names=wanted.names,
                signed_by=leaf.signed_by if leaf else self.known.current.id,
                made_at=leaf.made_at if leaf else self.now,
                ends_at=leaf.ends_at if leaf else self.now + LEAF_S,
                trusts=None if wanted.namespace else self.known.trusted,
            )
        self.mounted.append((self.now, dict(self.leaves)))

    def stepped(self, step: object) -> Authorities:
        match step:
            case MakeAuthority(is_next):
                self.made += 1
                new = self.given or Authority(f"ca-{self.made}", self.now + AUTHORITY_S)
                if is_next:
                    assert self.known is not None
                    return Authorities(self.known.current, new, self.known.previous)
                return Authorities(new)
            case BeginSpread():
                assert self.known is not None
                return replace(self.known, spread_at=self.now)
            case Promote():
                assert self.known is not None and self.known.next is not None
                return Authorities(self.known.next, None, self.known.current)
            case DropPrevious():
                assert self.known is not None
                return Authorities(self.known.current)
        raise AssertionError(step)

    def check_trust(self) -> None:
        """Whatever of the last day each part still has, it trusts what the others may show."""
        self.mounted = [(at, leaves) for at, leaves in self.mounted if at >= self.now - SPREAD_S]
        recent = [leaves for _, leaves in self.mounted]
        parts = [leaf for leaves in recent for leaf in leaves.values() if leaf is not None]
        for one in parts:
            for other in parts:
                assert other.trusts is None or one.signed_by in other.trusts


RENEWAL = ["MakeAuthority", "BeginSpread", "Promote", "DropPrevious"]


def test_a_life_of_fifteen_years() -> None:
    town = Town()
    town.live(15 * 365 * DAY_S)
    assert town.story == ["MakeAuthority", *RENEWAL]
    assert town.known is not None and town.known.current.id == "ca-2"


def test_whatever_is_given_is_trusted_before_it_signs() -> None:
    town = Town()
    signed = []
    # At 30 days it is given anew twice within a day: the first of the two never signs.
    for until, given in ((3, "a"), (30, "b"), (30.5, "c"), (60, "a"), (100, None), (120, None)):
        town.live(until * DAY_S)
        assert town.known is not None
        signed.append(town.known.current.id)
        town.given = Authority(given, town.now + 90 * DAY_S) if given else None
    assert signed == ["ca-1", "a", "a", "c", "a", "ca-6"]
    assert town.story.count("Promote") == town.story.count("DropPrevious") == 4


def test_one_that_is_given_again_does_not_wait_for_what_it_was_before() -> None:
    """Nobody makes one anew that is as it was, but a Secret may be restored."""
    town = Town()
    town.live(3 * DAY_S)
    given = Authority("a", town.now + 900 * DAY_S)
    for until, one in ((3, given), (4.5, None), (4.75, given), (20, given)):
        town.live(until * DAY_S)
        town.given = one
    assert town.known == Authorities(given)


def test_one_that_ends_before_its_successor_is_trusted_is_replaced_at_once() -> None:
    town = Town()
    town.given = Authority("a", 2 * DAY_S)
    town.live(1.75 * DAY_S)
    town.given = Authority("b", 90 * DAY_S)
    town.live(2.1 * DAY_S)
    assert town.known is not None and town.known.current.id == "b"
    town.given = None
    short = Authorities(Authority("a", DAY_S))
    assert plan_authority(short, {}, short.current, DAY_S) == MakeAuthority(), "or one of our own"


def leaf(**changes: object) -> Leaf:
    values = {
        "names": PROXY.names,
        "signed_by": "ca-1",
        "made_at": 0.0,
        "ends_at": LEAF_S,
        "trusts": frozenset({"ca-1"}),
    }
    return Leaf(**(values | changes))  # type: ignore[arg-type]


TWO = Authority("ca-2", AUTHORITY_S)
ONE = Authorities(Authority("ca-1", AUTHORITY_S))


def test_a_certificate_is_made_anew_where_it_is_missing_old_or_of_other_names() -> None:
    for found, now in (
        (None, 0.0),
        (leaf(), LEAF_S - LEAF_RENEW_S + 1),
        (leaf(names=("other", *PROXY.names)), 0.0),
        (leaf(names=()), 0.0),
        (leaf(signed_by=""), 0.0),
    ):
        assert list(plan_leaves(ONE, {PROXY.place: found}, [PROXY], now)) == [Issue(PROXY)]
    for good in (leaf(), leaf(names=(*PROXY.names, "one.too.many"))):
        assert list(plan_leaves(ONE, {PROXY.place: good}, [PROXY], 0.0)) == []


def test_who_trusts_too_many_or_too_few_keeps_its_certificate_and_is_told() -> None:
    for trusts in (frozenset[str](), frozenset({"ca-1", "ca-0"})):
        found = {PROXY.place: leaf(trusts=trusts)}
        assert list(plan_leaves(ONE, found, [PROXY], 0.0)) == [Trust(PROXY)]


def test_who_is_only_shown_to_clients_is_told_of_no_authority() -> None:
    found = {TEAM.place: leaf(names=TEAM.names, trusts=None)}
    assert list(plan_leaves(ONE, found, [TEAM], 0.0)) == []
    both = Authorities(ONE.current, next=Authority("ca-2", AUTHORITY_S), spread_at=0.0)
    assert plan_authority(both, found, None, SPREAD_S) == Promote()
    after = Authorities(Authority("ca-2", AUTHORITY_S), previous=ONE.current)
    assert plan_authority(after, found, None, SPREAD_S) is None, (
        "clients are still shown the previous one"
    )


def test_the_next_look_is_when_something_falls_due_and_at_least_twice_a_day() -> None:
    due = LEAF_S - LEAF_RENEW_S
    assert check_in_s(ONE, {PROXY.place: leaf()}, None, due - 60) == 60
    assert check_in_s(ONE, {PROXY.place: leaf()}, None, 0.0) == DAY_S / 2
    assert check_in_s(ONE, {}, None, AUTHORITY_S - AUTHORITY_RENEW_S - 5) == 5
    assert check_in_s(ONE, {}, ONE.current, AUTHORITY_S - DAY_S) == DAY_S / 2, "not ours to renew"
    assert check_in_s(replace(ONE, next=TWO, spread_at=0.0), {}, None, SPREAD_S - 7) == 7
    assert check_in_s(replace(ONE, previous=TWO), {PROXY.place: leaf()}, None, SPREAD_S - 7) == 7


def test_the_parts_know_each_other_by_these_names() -> None:
    assert {one.secret: one.names for one in component_leaves()} == {
        "torpor-autoscaler-tls": ("autoscaler.torpor",),
        "torpor-proxy-tls": ("proxy.torpor",),
        "torpor-compute-tls": ("compute.torpor",),
        "torpor-operator-tls": ("operator.torpor",),
        "torpor-client-tls": ("client.torpor",),
    }
