"""Makes a conversation that shows a difference as short as it can. Pure but for what it asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from fuzz.conversation import Conversation, Turn

Shows = Callable[[Conversation], bool]
"""Whether a conversation still shows what is looked for."""

T = TypeVar("T")


def shrunk(conversation: Conversation, shows: Shows) -> Conversation:
    """Without any turn, message or cut that is not needed, one at a time."""

    def with_turns(turns: Sequence[Turn]) -> Conversation:
        return replace(conversation, turns=tuple(turns))

    turns = _fewest(conversation.turns, lambda turns: shows(with_turns(turns)))
    for number in range(len(turns)):

        def put(turn: Turn, turns: tuple[Turn, ...] = turns, at: int = number) -> tuple[Turn, ...]:
            return (*turns[:at], turn, *turns[at + 1 :])

        def shows_with(turn: Turn, put: Callable[[Turn], tuple[Turn, ...]] = put) -> bool:
            return shows(with_turns(put(turn)))

        turns = put(_shorter(turns[number], shows_with))
    return with_turns(turns)


def _shorter(turn: Turn, shows: Callable[[Turn], bool]) -> Turn:
    cuts = _fewest(turn.cuts, lambda cuts: shows(replace(turn, cuts=cuts)))
    uncut = replace(turn, cuts=cuts)
    # The last one stays: without a Sync or a Flush nobody would know when the turn has ended.
    last = turn.messages[-1:]
    before = _fewest(
        turn.messages[:-1], lambda some: shows(replace(uncut, messages=(*some, *last)))
    )
    return replace(uncut, messages=(*before, *last))


def _fewest(items: tuple[T, ...], shows: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Halves are left out first, then quarters, and single ones until none can be."""
    size = len(items)
    while size >= 1:
        start, was_less = 0, False
        while start < len(items):
            less = items[:start] + items[start + size :]
            if shows(less):
                items, was_less = less, True
            else:
                start += size
        if size > 1:
            size //= 2
        elif not was_less:
            break
    return items
