"""What proxies said about their sessions, and when.

A sample is kept as its proxy sent it and read only when an awake database asks, so that thousands
of sleeping ones cost nothing. A database that a proxy's sample does not name has no session there.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from operator import attrgetter

from torpor_api.messages import EndpointSample
from torpor_autoscaler.core.sleep import View

RATE_S_MIN = 0.5
"""Between two samples of which a rate is made: those of sessions that fall idle come in between."""

_told = attrgetter(*(name for name in EndpointSample.model_fields if name != "idle_s"))


class _Every:
    """Contains every name."""

    def __contains__(self, name: object) -> bool:
        return True


EVERY: Container[str] = _Every()


class _Proxy:
    __slots__ = ("before", "hung_up_at", "sampled_at", "samples")

    def __init__(self) -> None:
        self.hung_up_at: float | None = None
        self.sampled_at: float | None = None
        self.samples: dict[str, EndpointSample] = {}
        self.before: tuple[float, dict[str, EndpointSample]] | None = None
        """The samples of the time before, and when they came."""


class Proxies:
    """All that are registered, and for a while those that have hung up without a word."""

    def __init__(self, forget_s: float, silent_s: float) -> None:
        self._forget_s = forget_s
        self._silent_s = silent_s
        """What was said longer ago says nothing of now."""
        self._proxies: dict[str, _Proxy] = {}
        self._ended: list[tuple[float, Mapping[str, float]]] = []
        """Of those that have ended in good order: when, and when they last used which database."""
        self.revision = 0
        """Grows whenever one registers."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that are registered."""
        return tuple(name for name, proxy in self._proxies.items() if proxy.hung_up_at is None)

    def has_lost_some(self, now: float) -> bool:
        """Whether one has hung up that is not forgotten yet."""
        self._forget(now)
        return any(proxy.hung_up_at is not None for proxy in self._proxies.values())

    def registered(self, proxy: str) -> None:
        """It is here, perhaps again: what it said before it lost us is still the latest."""
        known = self._proxies.setdefault(proxy, _Proxy())
        known.hung_up_at = None
        known.sampled_at = None
        self.revision += 1

    def hung_up(self, proxy: str, now: float) -> None:
        self._proxies[proxy].hung_up_at = now

    def ended(self, proxy: str, used_at: Mapping[str, float], now: float) -> None:
        """In good order, without a session: forgotten but for when each database was last used."""
        self._proxies.pop(proxy, None)
        self._ended.append((now, used_at))

    def sampled(self, proxy: str, samples: Iterable[EndpointSample], now: float) -> Container[str]:
        """The databases of which it tells anything but that time goes by; ``EVERY`` one where it
        had been silent. Nothing is believed of a proxy that is not registered."""
        known = self._proxies.get(proxy)
        if known is None or known.hung_up_at is not None:
            return ()
        before, at = known.samples, known.sampled_at
        if at is not None and now - at >= RATE_S_MIN:
            known.before = (at, before)
        known.sampled_at = now
        known.samples = {sample.name: sample for sample in samples}
        if at is None or now - at > self._silent_s:
            return EVERY
        told = [each for each in known.samples.values() if _is_news(each, before.get(each.name))]
        return {each.name for each in told} | (before.keys() - known.samples.keys())

    def is_news_elsewhere(self, proxy: str, sample: EndpointSample) -> bool:
        """Whether it tells of a use, and sessions of another proxy listen. Before ``sampled``.

        Who waits for the database is counted as busy, and has used nothing yet.
        """
        before = self._proxies[proxy].samples.get(sample.name) if proxy in self._proxies else None
        queries = 0 if before is None else before.queries_total
        is_used = sample.busy > sample.waiting or sample.queries_total != queries
        return is_used and any(
            known.samples[sample.name].listens
            for name, known in self._proxies.items()
            if name != proxy and sample.name in known.samples
        )

    def looked_at(self, proxy: str, seen: EndpointSample) -> None:
        """Who is pinned at this moment is known better than by the proxy's latest sample."""
        known = self._proxies.get(proxy)
        if known is None or not seen.sessions:
            return
        sample = known.samples.get(seen.name, seen)
        known.samples[seen.name] = sample.model_copy(update={"pinned": seen.pinned})

    def views(self, database: str, now: float) -> tuple[View, ...]:
        self._forget(now)
        return tuple(
            View(name, self._forget_at(proxy), proxy.sampled_at, proxy.samples.get(database))
            for name, proxy in self._proxies.items()
        )

    def attached_at(self, database: str, epoch: int) -> float:
        """When one last reported sessions that are attached to that compute of the database."""
        samples = (
            (proxy.sampled_at, proxy.samples.get(database)) for proxy in self._proxies.values()
        )
        return max(
            (
                at
                for at, sample in samples
                if at is not None and sample is not None and sample.attached
                if sample.epoch == epoch
            ),
            default=float("-inf"),
        )

    def sessions(self, database: str, now: float) -> int:
        """How many sessions of the database the latest samples speak of."""
        views = self.views(database, now)
        return sum(view.sample.sessions for view in views if view.sample is not None)

    def queries_per_s(self, database: str) -> float | None:
        """Between the latest two samples of each proxy that are some time apart; None: there is
        none that could say so."""
        rates = []
        for proxy in self._proxies.values():
            sample = proxy.samples.get(database)
            if proxy.before is None or proxy.sampled_at is None or sample is None:
                continue
            at, samples = proxy.before
            before = samples.get(database)
            ended = sample.queries_total - (0 if before is None else before.queries_total)
            if ended >= 0 and proxy.sampled_at > at:
                rates.append(ended / (proxy.sampled_at - at))
        return sum(rates) if rates else None

    def used_by_ended(self, database: str, now: float) -> float | None:
        """When those that have ended of late last used it, who can't be asked any more."""
        self._forget(now)
        uses = (used_at[database] for _, used_at in self._ended if database in used_at)
        return max(uses, default=None)

    def _forget_at(self, proxy: _Proxy) -> float | None:
        return None if proxy.hung_up_at is None else proxy.hung_up_at + self._forget_s

    def _forget(self, now: float) -> None:
        moments = [(name, self._forget_at(proxy)) for name, proxy in self._proxies.items()]
        for name, forget_at in moments:
            if forget_at is not None and forget_at <= now:
                del self._proxies[name]
        if self._ended:
            self._ended = [one for one in self._ended if one[0] + self._forget_s > now]


def _is_news(sample: EndpointSample, before: EndpointSample | None) -> bool:
    """Whoever is at it uses it, whatever else is as before."""
    if before is None or sample.busy:
        return True
    return sample.idle_s < before.idle_s or _told(sample) != _told(before)
