"""Who may log in: from the export of a sleeping database, from the agent of an awake one."""

from __future__ import annotations

from time import monotonic

from torpor_api.facts import RoleFacts
from torpor_api.failures import Failure
from torpor_api.phases import Phase
from torpor_proxy.core.refusals import LoginUnchecked, Refused
from torpor_proxy.executor.endpoint import Endpoint
from torpor_proxy.ports import Fleet

ANSWER_SECONDS_MAX = 5.0
"""For an agent to say what a role is; it takes a millisecond."""

RETRY_SECONDS = 0.05
"""Between two looks at a database that is on its way from one phase to another."""


class Facts:
    """Of one role, for one login."""

    def __init__(self, endpoint: Endpoint, fleet: Fleet, user: str, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._fleet = fleet
        self._user = user
        self._deadline = monotonic() + timeout_s

    async def of_role(
        self, *, awake: bool = False
    ) -> tuple[RoleFacts | None, tuple[str, ...] | None]:
        """The role, and the databases there are (None: Postgres says that itself).

        A database that falls asleep is waited for, because what it exported before may be old; so
        is one that was lost without an export, and then it is woken: once for each loss, whoever
        asks. One with more roles than could be exported is woken for those that were not; and
        ``awake``: in any case. Raises Refused where it can't be found out in time.
        """
        endpoint, failure = self._endpoint, self._endpoint.why_not()
        while monotonic() < self._deadline:
            try:
                if endpoint.gate.address is not None:
                    return await self._asked(), None
                if not endpoint.info.facts_are_exact:
                    await endpoint.wake("a login after a crash")
                elif awake:
                    await endpoint.wake("the first login of a role")
                elif endpoint.info.phase is not Phase.SUSPENDING:
                    facts, role = endpoint.info.facts, self._exported()
                    if role is not None or facts.is_whole:
                        return role, facts.databases if facts.is_whole else None
                    await endpoint.wake("a login of a role that only Postgres knows")
            except Failure as failed:
                failure = failed
            await endpoint.until_changed(RETRY_SECONDS)
        raise Refused(LoginUnchecked(failure))

    async def _asked(self) -> RoleFacts | None:
        address = self._endpoint.gate.address
        assert address is not None
        return await self._fleet.role(address, self._user, timeout_s=ANSWER_SECONDS_MAX)

    def _exported(self) -> RoleFacts | None:
        roles = self._endpoint.info.facts.roles
        return next((role for role in roles if role.name == self._user), None)
