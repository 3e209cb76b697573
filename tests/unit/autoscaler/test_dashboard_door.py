"""Who is let in, and by what."""

from __future__ import annotations

import pytest

from torpor_autoscaler.dashboard import door
from torpor_autoscaler.dashboard.door import COOKIE_S_MAX, LINK_S_MAX, WRONG_MAX, Door
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


def test_a_link_lets_in_once(wall: Wall) -> None:
    door = made(wall)
    link = door.link()
    cookie = door.enter(link)
    assert cookie is not None and door.knows(cookie)
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
    for wrong in ("", link[:-1], f"{link}x", "ä", link.swapcase()):
        assert door.enter(wrong) is None
    assert door.enter(link) is not None


def test_too_many_wrong_links_are_not_looked_at_for_a_while(wall: Wall) -> None:
    made_door = made(wall)
    for _ in range(WRONG_MAX):
        assert not made_door.is_besieged
        made_door.enter("wrong")
    assert made_door.is_besieged
    wall.now_s += door.WRONG_WITHIN_S + 1
    assert not made_door.is_besieged


def test_a_cookie_is_known_for_a_month_by_whoever_has_the_key(wall: Wall) -> None:
    first, second, other = made(wall), made(wall), made(wall, b"other")
    cookie = first.enter(first.link())
    assert cookie is not None
    assert second.knows(cookie) and not other.knows(cookie)
    wall.now_s += COOKIE_S_MAX + 1
    assert not second.knows(cookie)


@pytest.mark.parametrize(
    "forged", ["", ".", "1.2", "x.y", f"{int(NOON_S)}.", "9" * 99 + ".a", "٣.a"]
)
def test_no_forged_cookie_is_known(wall: Wall, forged: str) -> None:
    assert not made(wall).knows(forged)


def test_a_cookie_of_tomorrow_is_not_known(wall: Wall) -> None:
    door = made(wall)
    cookie = door.enter(door.link())
    assert cookie is not None
    wall.now_s -= 60
    assert not door.knows(cookie)


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
    ],
)
def test_only_names_that_are_ours_are_answered(wall: Wall, host: str, is_ours: bool) -> None:
    assert made(wall, b"k", "Torpor.Example.org").is_for_us(host) is is_ours


def test_names_are_behind_tls_and_addresses_may_not_be(wall: Wall) -> None:
    door = made(wall, b"k", "torpor.example.org")
    assert door.is_behind_tls("torpor.example.org")
    assert not door.is_behind_tls("127.0.0.1:5480")


def test_a_page_of_another_origin_is_none_of_ours() -> None:
    assert same("http://127.0.0.1:5480", "127.0.0.1:5480")
    assert same("https://torpor.example.org", "torpor.example.org")
    for origin in (
        "",
        "null",
        "http://127.0.0.1:5481",
        "http://evil.example",
        "file://",
        "http://[",
    ):
        assert not same(origin, "127.0.0.1:5480")
    assert not same("http://", "")
