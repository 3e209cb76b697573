"""Any role's name as a key of a Secret, and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api.postgres_names import POSTGRES_NAME_BYTES_MAX
from torpor_api.secret_keys import key_of_role, role_of_key

KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def test_a_plain_name_is_its_own_key() -> None:
    assert key_of_role("app_user-1") == "app_user-1"


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=63).filter(
    lambda name: len(name.encode()) <= POSTGRES_NAME_BYTES_MAX
)


@given(NAMES)
def test_every_name_has_a_key_that_leads_back_to_it(role: str) -> None:
    key = key_of_role(role)
    assert KEY.fullmatch(key) and not key.startswith("..")
    assert role_of_key(key) == role


def test_a_name_that_looks_like_a_coded_one_is_coded() -> None:
    assert role_of_key(key_of_role("hex.00")) == "hex.00"


@pytest.mark.parametrize("key", ["hex.0", "hex.zz", "hex.ff"])
def test_what_nobody_coded_is_refused(key: str) -> None:
    with pytest.raises(ValueError):
        role_of_key(key)
