"""Where proxies and people ask: each question waits here for the database's answer."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from torpor_api import messages as m
from torpor_api.chain import Chain
from torpor_api.failures import Busy, Failure, NotFound, Unavailable
from torpor_api.messages.people import USES_MAX
from torpor_autoscaler.executor import Entry, Executor
from torpor_autoscaler.fleet import Fleet
from torpor_autoscaler.lifecycle import decided, facts, measured, sessions, used, why
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.world import World
from torpor_autoscaler.ports import Proxies

AnswerT = TypeVar("AnswerT")

log = logging.getLogger(__name__)

KNOWN_S_MAX = 20.0
"""How long a proxy that registers waits for the facts of all databases, at the very start."""

TOLD_S_MAX = 10.0
"""How long a person who has applied a resource waits for proxies to be told of it."""

HEARD_S_MAX = 5.0
"""For proxies to say that they have heard it; a millisecond, unless one stalls."""

SWITCHOVER_S_MAX = 60.0
"""For a warm compute, a checkpoint, a stop and a start; what sessions are given comes on top."""

RESIZE_S_MAX = 90.0
"""For a kubelet, which looks after its pods one after another, and a switchover where it takes one.
Less than the two minutes for which a person's question waits."""

CANCEL_S_MAX = 5.0
"""For proxies to look a key up and to send the signal; the client waits for no longer."""

LAST_USE_S_MAX = 1.5
"""For proxies to say when they used a database; less than the one that asks waits."""

SESSIONS_S_MAX = 3.0
"""For a proxy to say who is there; one that stalls must not keep a person waiting."""

PINNED_MAX = 20
"""Sessions that a reason names, of each proxy: as many as a sample has."""


class Desk:
    """Every question is answered, at its deadline at the latest."""

    def __init__(
        self,
        world: World,
        executor: Executor,
        fleet: Fleet,
        proxies: Proxies,
        *,
        wake_deadline_s: float,
        suspend_deadline_s: float,
    ) -> None:
        self._world = world
        self._executor = executor
        self._fleet = fleet
        self._proxies = proxies
        self._wake_deadline_s = wake_deadline_s
        self._suspend_deadline_s = suspend_deadline_s
        self._ids = itertools.count(1)
        self.after_resume: Callable[[Chain], None] = lambda chain: None
        """Told of each wake that has come to its first row."""

    # --- proxies ---------------------------------------------------------------------------

    async def all_known(self) -> None:
        try:
            async with asyncio.timeout(KNOWN_S_MAX):
                await self._fleet.all_known.wait()
        except TimeoutError:
            log.warning("facts_unknown", extra={"databases": self._fleet.unknown()[:20]})

    def proxy_registered(self, proxy: str) -> m.Endpoints:
        self._executor.tick()
        self._world.proxies.registered(proxy)
        self._fleet.poke_awake()  # From now on it shares their connections.
        return self._fleet.endpoints()

    def more_endpoints(self, after: str) -> m.Endpoints:
        return self._fleet.endpoints(after)

    def proxy_hung_up(self, proxy: str) -> None:
        self._world.proxies.hung_up(proxy, self._executor.tick())
        self._fleet.poke_awake()

    def proxy_ended(self, asked: m.ForgetProxy) -> None:
        now = self._executor.tick()
        used_at = {use.name: now - use.ago_s for use in asked.used}
        self._world.proxies.ended(asked.proxy, used_at, now)
        for entry in self._fleet.awake():
            facts.used(entry.database, used_at.get(entry.database.name, 0.0))
        self._fleet.poke_awake()

    def proxy_sampled(self, event: m.ProxySample) -> None:
        proxies, by = self._world.proxies, event.proxy
        for told in [each for each in event.samples if proxies.is_news_elsewhere(by, each)]:
            used_elsewhere = m.UsedElsewhere(name=told.name, proxy=by, ago_s=told.idle_s)
            self._proxies.tell(used_elsewhere)
        heard = proxies.sampled(by, event.samples, self._executor.tick())
        self._fleet.poke_heard(heard)

    def resume_seen(self, event: m.ResumeSeen) -> None:
        entry = self._fleet.find(event.name)
        if entry is not None:
            self._executor.tick()
            before = entry.database.last_resume
            facts.resume_seen(entry.database, event.epoch, event.chain)
            whole = entry.database.last_resume
            if whole is not None and whole is not before:
                self.after_resume(whole)
            self._executor.poke(entry)

    async def wake(self, asked: m.Wake) -> m.Awake:
        entry, deadline_s = self._fleet.entry(asked.name), self._wake_deadline_s
        was_awake = entry.database.is_open

        def ask(id: int, now: float) -> None:
            facts.wake(entry.database, id, asked.cause, asked.lost_epoch, now)

        awake = await self._answer(
            entry,
            entry.answer_wake,
            ask,
            facts.leave,
            deadline_s=deadline_s,
            late=lambda _: why.unanswered(entry.database, deadline_s),
        )
        return awake.model_copy(update={"was_awake": True}) if was_awake else awake

    async def cancel(self, asked: m.CancelQuery) -> m.Cancelled:
        answers = await self._proxies.ask_each(asked, timeout_s=CANCEL_S_MAX)
        found = (told for told in answers.values() if isinstance(told, m.Cancelled))
        return m.Cancelled(is_known=any(told.is_known for told in found))

    async def last_use(self, asked: m.AskLastUse) -> m.LastUse:
        now = self._executor.tick()
        if unknown := self._world.unknown_sessions(now):
            raise Unavailable(unknown)
        at = self._world.proxies.used_by_ended(asked.name, now)
        ended = m.LastUse(ago_s=None if at is None else now - at)
        answers = await self._proxies.ask_each(asked, timeout_s=LAST_USE_S_MAX)
        others = [answer for name, answer in answers.items() if name != asked.proxy]
        return used.last([ended, *others])

    # --- people ----------------------------------------------------------------------------

    async def suspend(self, name: str) -> None:
        entry = self._fleet.entry(name)

        def late(now: float) -> Failure:
            lines = "; ".join(why.lines(entry.database, now))
            return Busy(f"{name} did not fall asleep in time: {lines}")

        await self._answer(
            entry,
            entry.answer_suspend,
            lambda asker, now: facts.wish_asleep(entry.database, asker, now),
            facts.withdraw,
            deadline_s=self._suspend_deadline_s,
            late=late,
        )

    def uses(self, asked: m.AskUses) -> m.Uses:
        now = self._executor.tick()
        awake = {entry.database.name: entry.database for entry in self._fleet.awake()}
        behind = sorted(name for name in awake if name > asked.after)[:USES_MAX]
        return m.Uses(uses=tuple(used.report(awake[name], now) for name in behind))

    def let_go(self, asked: m.AskLetGo) -> m.LetGo:
        return m.LetGo(computes=self._fleet.let_go(asked.computes))

    async def known(self, name: str, generation: int) -> None:
        try:
            async with asyncio.timeout(TOLD_S_MAX):
                await self._fleet.told(name, generation)
        except TimeoutError:
            words = f"{name} is not known to the proxies after {TOLD_S_MAX:g} s"
            raise Unavailable(words, f"see `torpor why {name}`") from None
        await self._proxies.ask_all(m.HaveHeard(), timeout_s=HEARD_S_MAX)

    async def switchover(self, asked: m.Switchover) -> m.SwitchedOver:
        entry, deadline_s = self._fleet.entry(asked.name), asked.patience_s + SWITCHOVER_S_MAX
        return await self._answer(
            entry,
            entry.answer_switchover,
            lambda asker, _: facts.ask_switchover(entry.database, asker, asked.patience_s),
            facts.withdraw_switchover,
            deadline_s=deadline_s,
            late=lambda _: why.unmoved(entry.database, deadline_s),
        )

    async def resize(self, asked: m.Resize) -> m.Resized:
        entry = self._fleet.entry(asked.name)
        return await self._answer(
            entry,
            entry.answer_resize,
            lambda asker, _: facts.choose_size(entry.database, asker, asked.cu),
            facts.withdraw_resize,
            deadline_s=RESIZE_S_MAX,
            late=lambda _: why.unsized(entry.database, RESIZE_S_MAX),
        )

    async def sessions(self, asked: m.Sessions) -> m.SessionList:
        if asked.name:
            self._fleet.entry(asked.name)
        request = m.ListSessions(name=asked.name, number=asked.number, limit=asked.limit)
        return sessions.merged(await self._lists(request), asked.limit)

    async def end_session(self, asked: m.EndSession) -> None:
        answers = await self._proxies.ask_each(asked, timeout_s=SESSIONS_S_MAX, only=asked.proxy)
        answer = answers.get(asked.proxy)
        if answer is None:
            raise NotFound(f"there is no proxy {asked.proxy!r}, and no session of it")
        if isinstance(answer, Failure):
            raise answer

    async def why(self, name: str) -> m.WhyReply:
        database = self._fleet.entry(name).database
        run = database.run
        if run is not None:
            request = m.ListSessions(name=name, limit=PINNED_MAX)
            for proxy, told in (await self._lists(request)).items():
                if isinstance(told, m.SessionList):
                    self._world.proxies.looked_at(proxy, sessions.seen(name, run.epoch, told))
        now = self._executor.tick()
        lines = why.lines(database, now) + why.inside(database, now)
        lines += measured.lines(database.watched, now)
        made = decided.current(database.decisions)
        return m.WhyReply(name=name, phase=database.phase, reasons=lines, decisions=made)

    def decisions(self, name: str) -> m.DecisionList:
        made = decided.all_of(self._fleet.entry(name).database.decisions)
        return m.DecisionList(name=name, decisions=made)

    async def _lists(self, request: m.ListSessions) -> Mapping[str, m.SessionList | Failure]:
        return await self._proxies.ask_each(request, timeout_s=SESSIONS_S_MAX)

    async def _answer(
        self,
        entry: Entry,
        answers: dict[int, asyncio.Future[AnswerT]],
        ask: Callable[[int, float], None],
        withdraw: Callable[[Database, int], None],
        *,
        deadline_s: float,
        late: Callable[[float], Failure],
    ) -> AnswerT:
        """The database's answer to what ``ask`` tells it; raises ``late`` at the deadline."""
        id = next(self._ids)
        answer: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        # An answer that comes in the moment in which its asker hangs up is nobody's loss.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        answers[id] = answer
        try:
            ask(id, self._executor.tick())
            self._executor.poke(entry)
            async with asyncio.timeout(deadline_s):
                return await answer
        except TimeoutError:
            raise late(self._executor.tick()) from None
        finally:
            del answers[id]
            self._executor.tick()
            withdraw(entry.database, id)
            self._executor.poke(entry)
