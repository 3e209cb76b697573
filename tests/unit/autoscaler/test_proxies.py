"""What is remembered of proxies, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api.messages import EndpointSample
from torpor_autoscaler.core.sleep import View
from torpor_autoscaler.lifecycle.proxies import Proxies

SAMPLE = EndpointSample(name="shop", epoch=4, sessions=2)


def test_a_sample_is_of_its_moment() -> None:
    proxies = Proxies(forget_s=30.0, silent_s=3.0)
    proxies.registered("p")
    assert proxies.views("shop", 1.0) == (View("p", None, None, None),)
    proxies.sampled("p", [SAMPLE], 2.0)
    assert proxies.views("shop", 3.0) == (View("p", None, 2.0, SAMPLE),)
    assert proxies.views("other", 3.0) == (View("p", None, 2.0, None),)
    assert proxies.sessions("shop", 3.0) == 2 and proxies.sessions("other", 3.0) == 0


def test_the_latest_sample_replaces_all_earlier_ones() -> None:
    proxies = Proxies(forget_s=30.0, silent_s=3.0)
    proxies.registered("p")
    proxies.sampled("p", [SAMPLE], 2.0)
    proxies.sampled("p", [], 3.0)
    assert proxies.sessions("shop", 3.0) == 0


@pytest.mark.parametrize(
    ("told", "is_news"),
    [
        ({"idle_s": 2.0}, False),
        ({"idle_s": 0.5}, True),
        ({"idle_s": 2.0, "queries_total": 1}, True),
        ({"idle_s": 2.0, "sessions": 1}, True),
        ({"idle_s": 2.0, "epoch": 5}, True),
        ({"idle_s": 2.0, "waiting": 1}, True),
        ({"idle_s": 2.0, "pinned_sessions": 1}, True),
        ({"idle_s": 2.0, "listens": True}, True),
    ],
)
def test_that_time_goes_by_is_no_news(told: dict[str, Any], is_news: bool) -> None:
    proxies, idle = Proxies(forget_s=30.0, silent_s=3.0), {"idle_s": 1.0}
    proxies.registered("p")
    assert "shop" in proxies.sampled("p", [SAMPLE.model_copy(update=idle)], 2.0)
    heard = proxies.sampled("p", [SAMPLE.model_copy(update=told)], 3.0)
    assert ("shop" in heard) is is_news and "other" not in heard


def test_whoever_is_at_it_is_news_each_time_and_so_is_who_has_left() -> None:
    proxies, busy = Proxies(forget_s=30.0, silent_s=3.0), SAMPLE.model_copy(update={"busy": 1})
    proxies.registered("p")
    for at in (2.0, 3.0, 4.0):
        assert "shop" in proxies.sampled("p", [busy], at)
    assert "shop" in proxies.sampled("p", [], 5.0)
    assert "shop" not in proxies.sampled("p", [], 6.0)


def test_a_proxy_that_was_silent_has_news_of_every_database() -> None:
    proxies = Proxies(forget_s=30.0, silent_s=3.0)
    proxies.registered("p")
    assert "other" in proxies.sampled("p", [SAMPLE], 2.0)
    assert "other" not in proxies.sampled("p", [SAMPLE], 5.0)
    assert "other" in proxies.sampled("p", [SAMPLE], 8.1)


def test_a_stranger_is_not_believed() -> None:
    proxies = Proxies(forget_s=30.0, silent_s=3.0)
    assert "shop" not in proxies.sampled("p", [SAMPLE], 2.0)
    assert proxies.views("shop", 2.0) == ()


def test_one_that_hung_up_counts_until_it_is_forgotten() -> None:
    proxies = Proxies(forget_s=30.0, silent_s=3.0)
    proxies.registered("p")
    proxies.sampled("p", [SAMPLE], 2.0)
    proxies.hung_up("p", 10.0)
    proxies.sampled("p", [], 11.0)
    assert proxies.views("shop", 39.9) == (View("p", 40.0, 2.0, SAMPLE),)
    assert proxies.views("shop", 40.0) == ()


def test_one_that_has_ended_in_good_order_counts_no_longer() -> None:
    proxies = Proxies(forget_s=30.0, silent_s=3.0)
    proxies.registered("p")
    proxies.sampled("p", [SAMPLE], 2.0)
    proxies.ended("p", {"shop": 1.0}, 10.0)
    proxies.sampled("p", [SAMPLE], 10.5)
    assert proxies.names == () and proxies.views("shop", 10.0) == ()
    assert not proxies.has_lost_some(10.0)


def test_when_those_that_have_ended_used_it_is_remembered_for_a_while() -> None:
    proxies = Proxies(forget_s=30.0, silent_s=3.0)
    for name, at in (("p", 8.0), ("q", 7.0)):
        proxies.registered(name)
        proxies.ended(name, {"shop": at}, 10.0)
    assert proxies.used_by_ended("shop", 39.9) == 8.0
    assert proxies.used_by_ended("other", 39.9) is None
    assert proxies.used_by_ended("shop", 40.0) is None


def test_one_that_is_back_must_report_before_it_is_believed() -> None:
    proxies = Proxies(forget_s=30.0, silent_s=3.0)
    proxies.registered("p")
    proxies.sampled("p", [SAMPLE], 2.0)
    proxies.hung_up("p", 10.0)
    proxies.registered("p")
    assert proxies.views("shop", 50.0) == (View("p", None, None, SAMPLE),)


def test_a_use_is_news_where_sessions_of_another_proxy_listen() -> None:
    proxies = Proxies(forget_s=30.0, silent_s=3.0)
    used, idle = SAMPLE.model_copy(update={"queries_total": 3}), SAMPLE
    for name in "pqr":
        proxies.registered(name)
    proxies.sampled("q", [idle], 1.0)
    assert not proxies.is_news_elsewhere("p", used), "nobody listens"
    proxies.sampled("q", [idle.model_copy(update={"listens": True})], 2.0)
    assert proxies.is_news_elsewhere("p", used)
    assert not proxies.is_news_elsewhere("q", used), "only its own sessions do"
    proxies.sampled("p", [used], 3.0)
    assert not proxies.is_news_elsewhere("p", used), "it was not used since"
    assert proxies.is_news_elsewhere("p", used.model_copy(update={"busy": 1}))
    waits = used.model_copy(update={"busy": 1, "waiting": 1})
    assert not proxies.is_news_elsewhere("p", waits), "it has yet to be let in"
