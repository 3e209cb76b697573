"""Who is let in, and by what."""

from __future__ import annotations

import pytest

from torpor_autoscaler.dashboard import door
from torpor_autoscaler.dashboard.door import COOKIE_S_MAX, LINK_S_MAX, Admission, Door
from torpor_autoscaler.dashboard.door import is_same_origin as same

NOON_S = 1_800_000_000.0


class Wall:
    def __init__(self) -> None:
        self.now_s = NOON_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def wall() -> Wall:
    return Wall()


def made(wall: Wall, key: bytes = b"k" * 32, *hosts: str) -> Door:
    return Door(key, hosts, wall)


def entered(door: Door) -> Admission:
    admission = door.enter(door.link())
    assert admission is not None
    return admission


def knows(door: Door, admission: Admission) -> bool:
    return door.knows(admission.cookie, admission.ticket)


def test_a_link_lets_in_once(wall: Wall) -> None:
    door = made(wall)
    link = door.link()
    admission = door.enter(link)
    assert admission is not None and knows(door, admission)
    assert door.enter(link) is None


def test_a_link_is_good_for_an_hour(wall: Wall) -> None:
    door = made(wall)
    late, later = door.link(), door.link()
    wall.now_s += LINK_S_MAX - 1
    assert door.enter(late)
    wall.now_s += 2
    assert door.enter(later) is None


def test_unused_links_are_bounded(wall: Wall) -> None:
    made_door = made(wall)
    links = [made_door.link() for _ in range(door.LINKS_MAX + 1)]
    assert made_door.enter(links[0]) is None and made_door.enter(links[1]) is not None


def test_no_other_link_lets_in(wall: Wall) -> None:
    door = made(wall)
    link = door.link()
    for wrong in ("", link[:-1], f"{link}x", "ä", "\ud800", link.swapcase()):
        assert door.enter(wrong) is None
    assert door.enter(link) is not None


def test_however_many_wrong_links_come_the_right_one_lets_in(wall: Wall) -> None:
    door = made(wall)
    link = door.link()
    for _ in range(1000):
        assert door.enter("wrong") is None
    assert door.enter(link) is not None


def test_a_browser_is_known_for_a_month_by_whoever_has_the_key(wall: Wall) -> None:
    first, second, other = made(wall), made(wall), made(wall, b"other")
    admission = entered(first)
    assert knows(second, admission) and not knows(other, admission)
    wall.now_s += COOKIE_S_MAX + 1
    assert not knows(second, admission)


def test_neither_cookie_nor_ticket_is_enough(wall: Wall) -> None:
    """Another port of this machine is shown the one, a script in the page could read the other."""
    door = made(wall)
    earlier = entered(door)
    wall.now_s += 1
    later = entered(door)
    mark = later.cookie.partition(".")[2]
    for ticket in ("", earlier.ticket, later.cookie, mark, f"{later.ticket}x", "ä", "\udc80"):
        assert not door.knows(later.cookie, ticket)
    for cookie in ("", earlier.cookie, later.ticket, f"{int(wall.now_s)}.{later.ticket}"):
        assert not door.knows(cookie, later.ticket)


@pytest.mark.parametrize(
    "forged",
    ["", ".", "1.2", "x.y", f"{int(NOON_S)}.", "9" * 99 + ".a", "٣.a", "1.ä", "1.\udcff"],
)
def test_no_forged_cookie_is_known(wall: Wall, forged: str) -> None:
    door = made(wall)
    assert not door.knows(forged, entered(door).ticket)


def test_a_cookie_of_tomorrow_is_not_known(wall: Wall) -> None:
    door = made(wall)
    admission = entered(door)
    wall.now_s -= 60
    assert not knows(door, admission)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:5480", True),
        ("[::1]:5480", True),
        ("192.168.1.7:5480", True),
        ("localhost:5480", True),
        ("LocalHost", True),
        ("torpor.example.org", True),
        ("torpor.example.org.:443", True),
        ("evil.example.org", False),
        ("127.0.0.1.evil.example.org:5480", False),
        ("", False),
        ("[::1", False),
        (":5480", False),
        ("evil.example.org@localhost", False),
        ("localhost/evil.example.org", False),
        ("localhost#evil.example.org", False),
    ],
)
def test_only_names_that_are_ours_are_answered(wall: Wall, host: str, is_ours: bool) -> None:
    assert made(wall, b"k", "Torpor.Example.org").is_for_us(host) is is_ours


def test_names_are_behind_tls_and_addresses_may_not_be(wall: Wall) -> None:
    door = made(wall, b"k", "torpor.example.org")
    assert door.is_behind_tls("torpor.example.org")
    assert not door.is_behind_tls("127.0.0.1:5480")


def test_a_page_of_another_origin_is_none_of_ours() -> None:
    assert same("http://127.0.0.1:5480", "127.0.0.1:5480", is_behind_tls=False)
    assert same("https://torpor.example.org", "torpor.example.org", is_behind_tls=True)
    for origin in (
        "",
        "null",
        "http://127.0.0.1:5481",
        "http://evil.example",
        "file://",
        "http://[",
    ):
        assert not same(origin, "127.0.0.1:5480", is_behind_tls=False)
    assert not same("http://", "", is_behind_tls=False)


def test_a_page_that_came_without_tls_is_none_of_a_name_s() -> None:
    assert not same("http://torpor.example.org", "torpor.example.org", is_behind_tls=True)
