"""Carries the plans' actions out, one at a time per database, and reports every outcome back.

What comes in from outside changes a database's facts (:mod:`fleet`) and then calls :meth:`poke`:
the plan goes on at once if it only waits, and else when the action under way has ended. An action
is begun in the moment in which it was decided, so none is ever older than the state it rests on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, assert_never

from torpor_api import messages as m
from torpor_api.failures import Failure, Unavailable
from torpor_api.transition import Transition
from torpor_autoscaler.deadlines import Deadlines
from torpor_autoscaler.lifecycle import chain, endpoints, outcomes
from torpor_autoscaler.lifecycle.actions import (
    Action,
    AnswerResizes,
    AnswerSuspends,
    AnswerSwitchover,
    AnswerWakes,
    AskAgent,
    AskCluster,
    AskProxies,
    CallProxies,
    Effect,
    GaveWay,
    Note,
    Overwritten,
    Tell,
    Together,
    Wait,
    Went,
)
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.life import Lifecycle
from torpor_autoscaler.lifecycle.recorded import Recorded
from torpor_autoscaler.lifecycle.world import World
from torpor_autoscaler.ports import Agents, Clock, Cluster, Proxies, TellPeople

log = logging.getLogger(__name__)

ANSWER_S_MAX = 10.0
"""For questions that take milliseconds; a minute of silence would only hide a stalled component."""

DEFECT_PAUSE_S = 1.0
"""Before a database whose plan has a defect lives on: no hot loop."""

ANSWER_S_MAX_OF: dict[type[m.Message], float] = {
    m.StartCompute: 60.0,  # A recovery may take longer: then the agent is asked how it is.
    m.StopCompute: 15.0,  # The grace, and what is left after the checkpoint.
    m.Checkpoint: 120.0,  # As much as shared buffers hold, on a slow disk.
    m.ConfirmGone: 30.0,
    m.ApplySpec: 60.0,
    m.AskActivity: 5.0,
    m.AskAgentState: 5.0,
    m.OpenGate: 5.0,
    m.StartListening: 3.0,  # Clients wait: who does not listen by then asks what it has missed.
}


class Entry:
    """One database as the executor sees it."""

    __slots__ = (
        "answer_resize",
        "answer_suspend",
        "answer_switchover",
        "answer_wake",
        "database",
        "lifecycle",
        "task",
        "told",
    )

    def __init__(self, database: Database) -> None:
        self.database = database
        self.lifecycle: Lifecycle | None = None
        self.task: asyncio.Task[None] | None = None
        self.told: m.EndpointInfo | None = None
        self.answer_wake: dict[int, asyncio.Future[m.Awake]] = {}
        self.answer_suspend: dict[int, asyncio.Future[None]] = {}
        self.answer_switchover: dict[int, asyncio.Future[m.SwitchedOver]] = {}
        self.answer_resize: dict[int, asyncio.Future[m.Resized]] = {}


class Executor:
    """One per autoscaler."""

    def __init__(
        self, world: World, cluster: Cluster, agents: Agents, proxies: Proxies, clock: Clock
    ) -> None:
        self._world = world
        self._cluster = cluster
        self._agents = agents
        self._proxies = proxies
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._given_up: set[asyncio.Task[None]] = set()
        """Actions of which nobody waits for the outcome any more."""
        self._deadlines = Deadlines(clock.now, self._reached)
        self.after_step: Callable[[Entry], None] = lambda _: None
        """Called whenever a database has taken a step; for what all databases share."""
        self.tell: TellPeople = lambda *_: None
        self.went: Callable[[Transition], None] = lambda _: None
        """Told of each transition that has come to its end."""
        self.overwritten: Callable[[Recorded], None] = lambda _: None
        """Told of each that a record told of, until now."""

    def begin(self, entry: Entry) -> None:
        """Let the database live."""
        self.tick()
        self._entries[entry.database.name] = entry
        self._world.updates.forget(entry.database.name)
        with self._guarded(entry):
            entry.lifecycle = Lifecycle(entry.database)
            self._act(entry, entry.lifecycle.action)

    def end(self, entry: Entry, failure: Failure) -> None:
        """The resource is gone: nothing more happens, and whoever waits is told why."""
        self._entries.pop(entry.database.name, None)
        self._world.updates.forget(entry.database.name)
        self._deadlines.set(entry.database.name, None)
        if entry.task is not None:
            entry.task.cancel()
        _answer_everybody(entry, failure)

    async def close(self) -> None:
        """Stop in the middle of everything; the next autoscaler brings all of it to a truth."""
        self._deadlines.close()
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        tasks += self._given_up
        self._entries.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def tick(self) -> float:
        """Show the core the time; before every fact and every outcome."""
        self._world.now, self._world.wall_s = self._clock.now(), self._clock.wall_s()
        return self._world.now

    def poke(self, entry: Entry) -> None:
        """Facts of the database have changed. One that is gone has no plan any more."""
        if self._entries.get(entry.database.name) is not entry:
            return
        with self._guarded(entry):
            self._carry_out_effects(entry)
            lifecycle = entry.lifecycle
            if lifecycle is None:
                return
            if entry.task is None and isinstance(lifecycle.action, Wait):
                self._go_on(entry, None)
            elif entry.task is not None and lifecycle.gives_way:
                self._give_up(entry.task)
                entry.task = None
                self._go_on(entry, GaveWay("somebody waits for the database"))

    def _give_up(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        self._given_up.add(task)
        task.add_done_callback(self._given_up.discard)

    def _reached(self, name: str) -> None:
        self.tick()
        self.poke(self._entries[name])

    def _go_on(self, entry: Entry, outcome: object) -> None:
        assert entry.lifecycle is not None
        self._act(entry, entry.lifecycle.proceed(outcome))

    def _act(self, entry: Entry, action: Action[Any]) -> None:
        self._carry_out_effects(entry)
        name = entry.database.name
        if isinstance(action, Wait):
            self._deadlines.set(name, action.until)
        else:
            self._deadlines.set(name, None)
            entry.task = asyncio.create_task(self._carry_out(entry, action))
        self.after_step(entry)

    async def _carry_out(self, entry: Entry, action: Action[Any]) -> None:
        outcome: object
        try:
            outcome = await self._outcome(entry, action)
        except Failure as failure:
            outcome = failure
        except Exception as defect:
            log.exception("action_defect", extra=outcomes.log_keys(entry.database))
            outcome = Unavailable(f"internal error: {defect!r}")
        entry.task = None
        self.tick()
        with self._guarded(entry):
            self._go_on(entry, outcome)

    async def _outcome(self, entry: Entry, action: Action[Any]) -> object:
        match action:
            case AskCluster(request, can_wait):
                patience_s = _patience_s(request)
                asked = self._cluster.ask(request, timeout_s=patience_s, can_wait=can_wait)
                return await self._seen(entry, request, asked)
            case AskAgent(agent, request):
                asked = self._agents.ask(agent, request, timeout_s=_patience_s(request))
                return await self._seen(entry, request, asked)
            case AskProxies(request):
                asked = self._proxies.ask_all(request, timeout_s=_patience_s(request))
                return await self._seen(entry, request, asked)
            case CallProxies(call):
                asked = self._proxies.ask_each(call, timeout_s=_patience_s(call))
                return await self._seen(entry, call, asked)
            case Together(parts):
                return await self._together(entry, parts)
            case _:
                raise AssertionError(f"not to be carried out: {action!r}")

    async def _seen(
        self, entry: Entry, request: m.Request[Any], asked: Coroutine[Any, Any, object]
    ) -> object:
        """The answer, and the time it took is kept for whoever asks where the time went."""
        begun_at, answer = self._clock.now(), None
        try:
            answer = await asked
            return answer
        except Failure as failure:
            answer = failure
            raise
        finally:
            if answer is not None:
                seen = chain.seen(request, begun_at, self._clock.now(), answer)
                entry.database.seen.append(seen)

    async def _together(self, entry: Entry, parts: tuple[Action[Any], ...]) -> tuple[object, ...]:
        asked = (self._outcome(entry, part) for part in parts)
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return tuple(outcomes)

    def _carry_out_effects(self, entry: Entry) -> None:
        database = entry.database
        effects, database.effects = database.effects, []
        self._tell_what_changed(entry)
        for effect in effects:
            self._carry_out_effect(entry, effect)

    def _carry_out_effect(self, entry: Entry, effect: Effect) -> None:
        match effect:
            case AnswerWakes(answer, waiters):
                for id in waiters:
                    _resolve(entry.answer_wake.get(id), answer)
            case AnswerSuspends(refusal, wishes):
                for id in wishes:
                    _resolve(entry.answer_suspend.get(id), refusal)
            case AnswerSwitchover(answer, asker):
                _resolve(entry.answer_switchover.get(asker), answer)
            case AnswerResizes(answer, askers):
                for id in askers:
                    _resolve(entry.answer_resize.get(id), answer)
            case Note(event, fields, level):
                log.log(level.number, event, extra=fields)
            case Tell():
                self.tell(entry.database.resource, effect)
            case Went(transition):
                self.went(transition)
            case Overwritten(recorded):
                self.overwritten(recorded)
            case _:
                assert_never(effect)

    def _tell_what_changed(self, entry: Entry) -> None:
        """Proxies hear of every change; of a database's first facts, not of their absence."""
        database = entry.database
        if database.has_stale_facts and entry.told is None:
            return
        endpoint = endpoints.info(database)
        is_on_its_way = database.is_up and not (database.run and database.run.is_open)
        is_held = is_on_its_way or (database.is_gate_closed and database.run is not None)
        if endpoint == entry.told or is_held:
            return
        entry.told = endpoint
        self._proxies.tell(m.EndpointChanged(endpoint=endpoint))

    @contextlib.contextmanager
    def _guarded(self, entry: Entry) -> Iterator[None]:
        """A defect of one database: it begins again as after a restart, no other is touched."""
        try:
            yield
        except Exception:
            log.exception("plan_defect", extra=outcomes.log_keys(entry.database))
            self._start_over(entry)

    def _start_over(self, entry: Entry) -> None:
        if entry.task is not None:
            self._give_up(entry.task)
            entry.task = None
        _answer_everybody(entry, Unavailable("internal error; see the log of the autoscaler"))
        entry.database = Database(entry.database.resource, entry.database.facts, self._world)
        entry.lifecycle = None
        asyncio.get_running_loop().call_later(DEFECT_PAUSE_S, self._begin_again, entry)

    def _begin_again(self, entry: Entry) -> None:
        if self._entries.get(entry.database.name) is entry:
            self.begin(entry)


def _patience_s(request: m.Request[Any]) -> float:
    if isinstance(request, m.CloseGate):
        return ANSWER_S_MAX + request.patience_s
    return ANSWER_S_MAX_OF.get(type(request), ANSWER_S_MAX)


def _resolve(future: asyncio.Future[Any] | None, answer: object) -> None:
    """Give the answer to whoever still waits for it."""
    if future is None or future.done():
        return
    if isinstance(answer, Failure):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _answer_everybody(entry: Entry, failure: Failure) -> None:
    asked: tuple[Mapping[int, asyncio.Future[Any]], ...] = (
        entry.answer_wake,
        entry.answer_suspend,
        entry.answer_switchover,
        entry.answer_resize,
    )
    for answers in asked:
        for answer in answers.values():
            _resolve(answer, failure)
