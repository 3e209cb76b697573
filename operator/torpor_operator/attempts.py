"""Several things to do of which none needs another: where one fails, the others are done all the
same."""

from __future__ import annotations

from collections.abc import Awaitable

from torpor_api.failures import Conflict, Failure, InvalidRequest, NotFound, Refused
from torpor_kube.answers import reason_of
from torpor_operator.core.conditions import Finding


class Attempts:
    """Of one look. What the API server has answered is no reason not to ask for the next thing;
    that it does not answer is."""

    def __init__(self) -> None:
        self.refusals: dict[str, Finding] = {}
        """What it will not have, as long as nobody changes anything: the first of each type."""
        self._failures: list[Failure] = []

    async def make(self, reason: str, doing: Awaitable[None], *, type: str = "Ready") -> None:
        """``reason``: in a word, what is not so where it is refused; ``type``: of the condition
        that this is said of. Raises Unavailable."""
        try:
            await doing
        except (Conflict, NotFound) as failure:
            self._failures.append(failure)
        except (Refused, InvalidRequest) as failure:
            self.refusals.setdefault(type, Finding(type, False, reason, reason_of(failure)))

    def end(self) -> None:
        """Raises what is to be looked at again at once, if there was any."""
        if self._failures:
            raise self._failures[0]
