"""Whether each listener heard every notification of its database once and in order. Pure.

A notifier's note is ``said NUMBER``; a listener's is ``heard CLIENT NUMBER`` of that notifier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from load.samples import Sample
from load.scenario import Part


def said_note(number: int) -> str:
    return f"said {number}"


def heard_note(payload: str) -> str:
    return f"heard {payload}"


def payload(client: int, number: int) -> str:
    """Of the notification itself."""
    return f"{client} {number}"


def misheard(samples: Sequence[Sample]) -> int | None:
    """How many were lost, came twice or out of order, over all listeners; None: nobody listened.

    One that failed may have been said or not; those that were acknowledged must be heard.
    """
    said: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    heard: dict[tuple[str, int], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        words = sample.note.split()
        if sample.part == Part.NOTIFIER and not sample.error and words:
            said[sample.database][sample.client].add(int(words[1]))
        elif sample.part == Part.LISTENER:
            of_one = heard[sample.database, sample.client]
            if words:
                of_one[int(words[1])].append(int(words[2]))
    if not heard or not said:
        return None
    return sum(
        len(numbers - set(of_one[client])) + _disorder(of_one[client])
        for (database, _), of_one in heard.items()
        for client, numbers in said[database].items()
    )


def _disorder(numbers: list[int]) -> int:
    """How many are not greater than the one before."""
    return sum(later <= earlier for earlier, later in pairwise(numbers))
