"""Conversations: made the same by the same seed, cut without a loss, shrunk to what is needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz import conversation as made
from fuzz import extended, rarely, texts, words
from fuzz.conversation import Conversation, Turn
from fuzz.generate import conversation
from fuzz.shrink import shrunk
from torpor_proxy.core import wire

SEEDS = range(200)


MADE = [conversation(seed) for seed in SEEDS]
SAID = b"".join(b"".join(turn.messages) for each in MADE for turn in each.turns)


def test_a_seed_says_everything() -> None:
    assert [conversation(seed) for seed in SEEDS] == MADE
    assert len(set(MADE)) == len(SEEDS)


def test_a_conversation_can_be_made_again_from_what_a_report_shows() -> None:
    shown = conversation(3)
    assert eval(repr(shown), vars(made)) == shown


def test_every_message_is_whole() -> None:
    for each in MADE:
        for turn in each.turns:
            data = b"".join(turn.messages)
            assert b"".join(wire.message(*each) for each in wire.split(data)[0]) == data


def test_both_clients_and_every_kind_of_message_come_up() -> None:
    turns = [turn for each in MADE for turn in each.turns]
    assert {turn.who for turn in turns} == {0, 1}
    assert {message[:1] for turn in turns for message in turn.messages} >= {
        *(bytes([kind]) for kind in b"QPBDECSHFdcfX")
    }


@pytest.mark.parametrize("subject", texts.SUBJECTS)
def test_every_subject_comes_up(subject: str) -> None:
    for text in texts.SUBJECTS[subject]:
        assert (text.encode() if isinstance(text, str) else text) in SAID


def test_every_text_with_parameters_and_every_copy_comes_up() -> None:
    wanted = [sql for sql, *_ in extended.WITH_PARAMETERS] + [rarely.INTO, *rarely.OUT]
    assert [sql for sql in wanted if sql.encode() not in SAID] == []


@given(st.lists(st.integers(0, 30), max_size=6))
def test_pieces_are_the_messages(cuts: list[int]) -> None:
    turn = Turn(0, (words.SYNC, words.query("select 1")), tuple(sorted(cuts)))
    assert b"".join(turn.pieces()) == b"".join(turn.messages)
    assert all(turn.pieces())


@given(st.integers(0, 200))
def test_shrinking_leaves_what_is_needed(seed: int) -> None:
    whole = conversation(seed)
    needed = {words.TERMINATE, words.query(texts.LAST[0])}

    def shows(tried: Conversation) -> bool:
        return needed <= {message for turn in tried.turns for message in turn.messages}

    found = shrunk(whole, shows)
    assert sorted(m for turn in found.turns for m in turn.messages) == sorted(needed)
    assert not any(turn.cuts for turn in found.turns)
