"""A database in use whose compute tells samples, and whose machine limits it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from torpor_api import messages as m
from torpor_api.sizes import cpu_milli, memory_bytes
from torpor_autoscaler.core.decision import Loop
from torpor_autoscaler.lifecycle import sizes
from unit.autoscaler.story import Story, agent

GIB = 1 << 30
MIB = 1 << 20
QUIET_S = 130
"""Time enough for all that takes time: the stable window, and as long at one size."""


def of_size(
    number: int, cu: object, refusal: str = "", node: str = "n1", *, is_full: bool = True
) -> m.AgentInfo:
    """A compute as its machine limits it; ``is_full``: what it refuses it has no room for."""
    units = Decimal(str(cu))
    size = m.AgentSize(
        cpu_milli=cpu_milli(units),
        memory_bytes=memory_bytes(units),
        refusal=refusal,
        is_for_want_of_room=bool(refusal) and is_full,
    )
    return agent(number).model_copy(update={"size": size, "node": node})


class Compute:
    """What is told each second of a database that is in use: quiet, but for what a test says."""

    def __init__(self, story: Story, number: int = 1, epoch: int = 1) -> None:
        self.story = story
        self.number = number
        self.epoch = epoch
        self.refusal = ""
        """Of every resize; else its machine gives it what it is asked for."""
        self.refused_at = "1"
        """The size that it has then."""
        self.is_full = True
        self.used_s = 100.0
        self.at_s = 5000.0

    def second(self, *, proxy: dict[str, Any] | None = None, **figures: Any) -> None:
        world = self.story.world
        world.now += 1.0
        session = {"sessions": 1, "busy": 1, "latencies": m.Latencies(), **(proxy or {})}
        told = m.EndpointSample(name="shop", epoch=self.epoch, **session)
        world.proxies.sampled("p1", [told], world.now)
        self.tell(**figures)

    def seconds(self, count: int, **figures: Any) -> Compute:
        for _ in range(count):
            self.second(**figures)
        return self

    def tell(
        self,
        cpu: float = 0.0,
        active: int = 0,
        waiting: dict[str, int] | None = None,
        memory: int = 100 * MIB,
        working_set: int | None = 50 * MIB,
        elapsed_s: float = 1.0,
        oom_kills: int | None = None,
        kernel: int | None = None,
        **more: Any,
    ) -> bool:
        """A sample, and what the machine does about it. Whether another size follows."""
        self.at_s += elapsed_s
        self.used_s += cpu * elapsed_s
        agent = self.story.world.pool.find(f"c{self.number}")
        assert agent is not None and agent.size is not None
        sample = m.ComputeSample(
            database="shop",
            epoch=self.epoch,
            at_s=self.at_s,
            use=m.ComputeUse(
                cpu_seconds=self.used_s,
                memory_bytes=memory,
                anonymous_bytes=memory - 30 * MIB,
                shared_memory_bytes=30 * MIB,
                kernel_bytes=kernel,
                memory_limit_bytes=agent.size.memory_bytes,
                oom_kills=oom_kills,
            ),
            postgres=_postgres(active, waiting or {}),
            working_set_bytes=None if working_set is None else {60: working_set},
        )
        told, story = sample.model_copy(update=more), self.story
        is_changed = sizes.sampled(story.database, told, story.world.now)
        if is_changed:
            story.at(story.world.now).fact(lambda database: None).rest()
            self._follow()
        return is_changed

    def _follow(self) -> None:
        asked = self.story.all(m.ResizeCompute)
        has = self.refused_at if self.refusal else asked[-1].cu
        self.story.world.pool.learn(of_size(self.number, has, self.refusal, is_full=self.is_full))
        self.story.fact(lambda database: None).rest()

    @property
    def cu(self) -> Decimal:
        return self.story.database.size.cu

    @property
    def asked(self) -> list[Decimal]:
        return [request.cu for request in self.story.all(m.ResizeCompute)]

    @property
    def line(self) -> str:
        """The size's current decision."""
        current = self.story.database.decisions.current
        (dated,) = [one for one in current if one.decision.loop is Loop.SIZE]
        return dated.latest.line


def _postgres(active: int, waiting: dict[str, int]) -> m.PostgresUse:
    return m.PostgresUse(
        transactions=0,
        blocks_hit=0,
        blocks_read=0,
        temporary_bytes=0,
        read_bytes=0,
        written_bytes=0,
        evictions=0,
        wal_bytes=0,
        backends=active,
        active_backends=active,
        waiting_backends=waiting,
    )


def in_use(**spec: Any) -> Compute:
    """Awake on a compute of one unit that a machine limits."""
    story = Story(agents=0, **spec)
    for number in (1, 2):
        story.world.pool.learn(of_size(number, 1))
    story.wake()
    story.rest()
    story.sample(busy=1).rest()
    return Compute(story)
