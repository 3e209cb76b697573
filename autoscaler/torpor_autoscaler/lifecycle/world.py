"""What all databases share: the warm pool, the proxies, the limits."""

from __future__ import annotations

from collections import Counter

from torpor_api.identity import split_endpoint_name
from torpor_api.resource import Endpoint
from torpor_autoscaler.core.decision import Loop
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.lifecycle.proxies import Proxies
from torpor_autoscaler.lifecycle.silence import Silences
from torpor_autoscaler.lifecycle.stock import Bounds, Stocks
from torpor_autoscaler.lifecycle.updates import Updates
from torpor_autoscaler.lifecycle.warm_pool import WarmPool

ANY_DATABASE = "*"
"""In the name under which proxies are reached: it stands for NAME.NAMESPACE."""


class World:
    """One per autoscaler."""

    def __init__(
        self,
        limits: Limits,
        *,
        warm: int,
        warm_max: int | None = None,
        endpoint: Endpoint,
        now: float,
        tells_of_rest: bool = False,
        pool: str = "",
    ) -> None:
        """``pool``: in which ``warm`` agents wait at least and ``warm_max`` at most (None: as many)
        unless the cluster says otherwise; empty: there is but one, on one machine."""
        self.limits = limits
        self.pool = WarmPool(warm, pool)
        self.stocks = Stocks(pool, Bounds(warm, warm if warm_max is None else warm_max))
        self.proxies = Proxies(limits.proxy_forget_s, limits.sample_age_s_max)
        self.silences = Silences(limits)
        self.updates = Updates(limits)
        self.decided: Counter[Loop] = Counter()
        """How often each policy has decided something else than before."""
        self.has_decided = self._has_decided
        """Told of each such decision; one object for all databases, as there are many."""
        self.endpoint = endpoint
        self.tells_of_rest = tells_of_rest
        """Whether a database that sleeps says in its record that it is ready, at each generation:
        where people and their tools wait for that (``kubectl wait --for=condition=Ready``)."""
        self.has_volumes = bool(pool)
        """Whether computes mount volumes: their pool's, or a database's own, and then they are made
        for it. On one machine every compute reaches every folder."""
        self.blind_until = now + limits.start_grace_s
        self.former_claims_until = now + limits.former_claims_s
        self.now = now
        """Seconds of the monotonic clock at the latest fact or outcome; the shell sets it."""
        self.wall_s = 0.0
        """Seconds since 1970 at the latest fact: what schedules and people go by, and nobody else,
        since it may jump."""

    def wall_s_at(self, moment: float) -> float:
        """Seconds since 1970 at a moment of ``now``'s clock."""
        return self.wall_s - (self.now - moment)

    def _has_decided(self, loop: Loop) -> None:
        """Another thing than before, of some database."""
        self.decided[loop] += 1

    def endpoint_of(self, database: str) -> Endpoint:
        """Where its clients connect: all by one name, or each by its own."""
        own = ".".join(split_endpoint_name(database))
        host = self.endpoint.host.replace(ANY_DATABASE, own)
        return Endpoint(host=host, port=self.endpoint.port)

    def unknown_sessions(self, now: float) -> str:
        """Why sessions may be in use that no registered proxy holds; empty: there are none."""
        if self.blind_until > now:
            return "the autoscaler has just started: a proxy may not have registered yet"
        if self.proxies.has_lost_some(now):
            return "what the sessions of a proxy did that has hung up is not known"
        return ""
