"""User ids that keep tenants apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api.failures import Refused
from torpor_cli.local.user_ids import USER_ID_COUNT, USER_ID_FIRST, free_user_id

RANGE = range(USER_ID_FIRST, USER_ID_FIRST + USER_ID_COUNT)


@given(used=st.sets(st.sampled_from(RANGE), max_size=50), folder=st.text())
def test_it_is_in_the_range_and_nobody_elses(used: set[int], folder: str) -> None:
    assert free_user_id(used, folder) in set(RANGE) - used


def test_the_last_free_one_is_found() -> None:
    assert free_user_id(set(RANGE) - {USER_ID_FIRST + 5}, "/any") == USER_ID_FIRST + 5


def test_none_left_says_what_to_do() -> None:
    with pytest.raises(Refused, match="delete one"):
        free_user_id(RANGE, "/any")


def test_two_state_folders_begin_at_different_places() -> None:
    assert free_user_id((), "/var/lib/torpor") != free_user_id((), "/srv/torpor")
