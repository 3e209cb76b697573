"""What the autoscaler tells Prometheus while databases wake and sleep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.fakes.town import Town, apply, opened_town
from torpor_autoscaler.main import tell_metrics
from torpor_channel.metrics import Metrics


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with opened_town() as opened:
        yield opened


async def test_phases_computes_and_what_the_first_client_of_a_wake_waited(town: Town) -> None:
    metrics = Metrics()

    def value(of: str) -> float:
        lines = [line.split() for line in metrics.text().decode().splitlines()]
        return next(float(line[1]) for line in lines if line[0] == of)

    apply(town, minCU="0", maxCU="0.5")
    apply(town, "blog")
    await town.start_agent()
    await town.start_autoscaler()
    tell_metrics(metrics, town.autoscaler)
    proxy = await town.register()
    assert value('torpor_databases{phase="Suspended"}') == 2
    assert value("torpor_resume_seconds_count") == 0
    assert value("torpor_compute_units") == 0
    await town.until("a compute is warm", lambda: value('torpor_computes{state="warm"}') == 1)
    assert value('torpor_warm_pool_warm{pool=""}') == value("torpor_proxies") == 1
    await proxy.attach(proxy.connect("shop"))
    await town.until("it is told", lambda: value("torpor_resume_seconds_count") == 1)

    def is_whole() -> bool:
        chain = town.status().last_resume
        whole_s = 0.0 if chain is None else chain.total_ms / 1000
        return value("torpor_resume_seconds_sum") == pytest.approx(whole_s, abs=0.001)

    await town.until("the whole chain is written", is_whole)
    await town.until("it is active", lambda: value('torpor_databases{phase="Active"}') == 1)
    assert value('torpor_databases{phase="Suspended"}') == 1
    assert value('torpor_computes{state="claimed"}') == 1
    assert value("torpor_compute_units") == 0.5
    assert value("torpor_databases_at_max_size") == 1
    assert value('torpor_transitions_total{kind="resume",outcome="done"}') == 1
    assert value('torpor_transition_seconds_count{kind="resume"}') == 1
    assert value('torpor_warm_pool_warm{pool=""}') == 0
    assert value("torpor_databases_without_compute") == 0
    assert value('torpor_warm_pool_wanted{pool=""}') == 1
    assert value('torpor_cold_starts_total{reason="bound"}') == 0
    waking = asyncio.create_task(proxy.attach(proxy.connect("blog")))
    await town.until("it waits", lambda: value("torpor_databases_without_compute") == 1)
    assert value('torpor_cold_starts_total{reason="bound"}') == 1
    assert value('torpor_databases_blocked{reason="NoWarmCompute"}') == 1
    await town.start_agent()
    await waking
