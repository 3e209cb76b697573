"""What a proxy that registers is told comes in pages, each bounded in bytes."""

from __future__ import annotations

from itertools import chain
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from torpor_api.facts import LoginFacts
from torpor_api.messages import EndpointInfo
from torpor_api.phases import Phase
from torpor_autoscaler.fleet import Fleet
from torpor_autoscaler.lifecycle.endpoints import PAGE_BYTES_MAX, page

Named = tuple[str, EndpointInfo | None]


def endpoint(name: str, size: int = 0) -> Named:
    facts = LoginFacts(databases=("x" * size,))
    return name, EndpointInfo(name=name, phase=Phase.SUSPENDED, facts=facts)


def pages(names: list[Named]) -> list[list[str]]:
    """As a proxy asks for them."""
    found: list[list[str]] = []
    while True:
        after = max(found[-1]) if found else ""
        told = page(each for each in names if each[0] > after)
        assert len(told.model_dump_json()) < 2 * PAGE_BYTES_MAX
        found.append([*(info.name for info in told.endpoints), *told.unknown])
        if not told.has_more:
            return found


def test_few_are_on_one_page_and_none_are_too() -> None:
    assert pages([endpoint("a"), endpoint("b"), ("c", None)]) == [["a", "b", "c"]]
    assert pages([]) == [[]]


def test_one_that_is_larger_than_a_page_is_on_one_of_its_own() -> None:
    large = PAGE_BYTES_MAX + 1
    names = [endpoint("a"), endpoint("b", large), endpoint("c", large), endpoint("d")]
    assert pages(names) == [["a"], ["b"], ["c"], ["d"]]


@given(st.lists(st.sampled_from([None, 0, PAGE_BYTES_MAX // 3, PAGE_BYTES_MAX // 2]), max_size=20))
def test_each_is_on_one_page(sizes: list[int | None]) -> None:
    names: list[Named] = [
        (name, None) if size is None else endpoint(name, size)
        for name, size in ((f"{number:02}", size) for number, size in enumerate(sizes))
    ]
    assert sorted(chain.from_iterable(pages(names))) == [name for name, _ in names]


def test_a_page_says_of_which_namespaces_nothing_is_known() -> None:
    nobody = cast("Any", None)
    fleet = Fleet(nobody, nobody, nobody, nobody)
    assert fleet.endpoints().unheard == ()
    fleet.namespaces_unheard({"shop", "blog"})
    assert fleet.endpoints().unheard == ("blog", "shop")
