"""Holds a conversation on one side, and keeps what each client heard."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from fuzz import words
from fuzz.client import Client, Message
from fuzz.conversation import Conversation, Turn
from fuzz.sides import Mark, Side, Stuck, World, mark_of
from fuzz.transcript import Difference, Transcript, difference, transcript_of

PIECE_SECONDS = 0.001
"""Between two pieces of a turn: the other side may have begun with the first, or not."""


BACKEND = words.query("select pg_backend_pid()")
"""What is documented to differ."""


@dataclass(frozen=True, slots=True)
class Held:
    """What came of a conversation on one side."""

    heard: tuple[Transcript, ...]
    """By each client."""
    marks: tuple[Mark, ...]
    """After each turn, of the client whose turn it was."""


def compare(world: World, conversation: Conversation) -> Difference | None:
    """Hold it on both sides. None: no client could tell them apart."""
    world.begin_anew()
    straight = hold(world.straight, conversation)
    through = hold(world.through, conversation, straight.marks)
    for who, heard in enumerate(straight.heard):
        if found := difference(who, heard, through.heard[who]):
            return found
    return None


def proves_parking(world: World) -> None:
    """Raises AssertionError where a session keeps its backend: all would be the same in vain."""
    world.begin_anew()
    twice = Conversation((Turn(0, (BACKEND,)), Turn(0, (BACKEND,))))
    straight = hold(world.straight, twice)
    through = hold(world.through, twice, straight.marks)
    for held, backends in ((straight, 1), (through, 2)):
        found = {body for kind, body in held.heard[0] if kind == b"D"}
        assert len(found) == backends, f"{len(found)} backends instead of {backends}"


def hold(side: Side, conversation: Conversation, expected: Sequence[Mark] = ()) -> Held:
    """``expected``: the marks of the other side, where this one waits for as much."""
    with contextlib.ExitStack() as stack:
        clients, told = [], []
        for user in conversation.users:
            client, login = side.log_in(user, conversation.parameters)
            stack.callback(client.hang_up)
            clients.append(client)
            told.append(login)
        marks, is_stuck = _take_turns(side, conversation.turns, clients, expected)
        return Held(_heard(clients, told, is_stuck), marks)


def _take_turns(
    side: Side, turns: Sequence[Turn], clients: Sequence[Client], expected: Sequence[Mark]
) -> tuple[tuple[Mark, ...], Client | None]:
    """The marks, and the client whose answers did not come."""
    marks: list[Mark] = []
    for number, turn in enumerate(turns):
        client = clients[turn.who]
        for piece in turn.pieces():
            client.say(piece)
            client.move(PIECE_SECONDS)
        try:
            side.settle(client, expected[number] if expected else None)
        except Stuck:
            return tuple(marks), client
        marks.append(mark_of(client))
    return tuple(marks), None


def _heard(
    clients: Sequence[Client], told: Sequence[list[Message]], is_stuck: Client | None
) -> tuple[Transcript, ...]:
    names = {client.process_id: f"client {who}" for who, client in enumerate(clients)}
    return tuple(
        transcript_of(
            login + client.messages,
            names,
            has_ended=client.has_ended,
            is_stuck=client is is_stuck,
        )
        for client, login in zip(clients, told, strict=True)
    )
