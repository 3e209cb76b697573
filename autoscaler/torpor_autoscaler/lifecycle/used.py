"""When a database was last used, over what its proxies say. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from torpor_api.failures import Failure, NotFound, Unavailable
from torpor_api.messages import LastUse


def last(answers: Iterable[LastUse | Failure]) -> LastUse:
    """The latest. Raises Unavailable where one of them is not known."""
    found: list[float] = []
    for answer in answers:
        if isinstance(answer, Failure) and not isinstance(answer, NotFound):
            raise Unavailable(f"when a proxy used it is not known: {answer.message}")
        if isinstance(answer, LastUse) and answer.ago_s is not None:
            found.append(answer.ago_s)
    return LastUse(ago_s=min(found, default=None))
