"""Which size an awake database shall have, decided at each sample of its compute.

A decision changes nothing but the size that the database is to have; how it gets it is the same
whoever asks (:mod:`resizing`). What a person has chosen stands until the next sleep, and is decided
for as long. An autoscaler that has just begun leaves a compute as large as it finds it.
"""

from __future__ import annotations

from decimal import Decimal

from torpor_api.messages import AgentSize, ComputeSample
from torpor_api.sizes import least_cu_by_itself, units_of
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.core.size import (
    SAMPLE_AGE_S_MAX,
    SizeTerms,
    Standing,
    choose_after_want_of_memory,
    choose_size,
)
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.watched import Watched


def is_to_be_watched(database: Database, now: float) -> bool:
    """Whether its agent is to be asked for samples (again): it may have begun anew, or somebody
    else is connected to it."""
    if not database.is_up or not _may_change(database):
        return False
    watched = database.watched
    return watched is None or watched.history.age_s(now) > SAMPLE_AGE_S_MAX


def sampled(database: Database, told: ComputeSample, now: float) -> bool:
    """A fact. Whether another size follows from it."""
    run = database.run
    if run is None or told.epoch != run.epoch:
        return False
    if database.watched is None:
        database.watched = Watched(Standing(database.size.cu, now))
    views = database.world.proxies.views(database.name, now)
    return database.watched.saw(told, views, now) and choose(database, now)


def choose(database: Database, now: float) -> bool:
    """Whether another size follows from what is known at this moment."""
    watched, before = database.watched, database.size
    if watched is None:
        return False
    if database.chosen_cu is not None:
        database.decisions.add(_of_a_person(before.cu), database.world.wall_s)
        return False
    choice = choose_size(watched.history, terms(database), watched.standing, now)
    watched.chose(choice, now)
    database.measured_cu = choice.cu
    database.decisions.add(choice.decision, database.world.wall_s)
    return database.size != before


def ran_out_of_memory(database: Database, had: AgentSize | None) -> None:
    """A fact. Its compute, which had this size, has ended for want of memory: the next one has
    more than that, where it may. ``None``: the size that it was to have."""
    if database.chosen_cu is not None or not _may_change(database):
        return
    wanted_cu = database.size.cu
    had_cu = wanted_cu if had is None else units_of(had.cpu_milli, had.memory_bytes)
    choice = choose_after_want_of_memory(terms(database), had_cu)
    if choice.cu >= wanted_cu:  # Else it was to have more already.
        database.measured_cu = choice.cu
        database.decisions.add(choice.decision, database.world.wall_s)


def terms(database: Database) -> SizeTerms:
    """What the resource says. By itself a database shrinks no further than in place: what takes
    another start of Postgres interrupts whoever uses it, and is left to a person."""
    spec = database.resource.spec
    least = least_cu_by_itself(database.min_cu, spec.max_cu)
    return SizeTerms(min_cu=least, max_cu=spec.max_cu, latency_s=spec.target_latency)


def _may_change(database: Database) -> bool:
    bounds = terms(database)
    return bounds.min_cu < bounds.max_cu


def _of_a_person(cu: Decimal) -> Decision:
    follows = f"keeps {cu.normalize():f} CU until it sleeps"
    return Decision(Loop.SIZE, "size that was chosen", float(cu), float(cu), "CU", 0.0, follows)
