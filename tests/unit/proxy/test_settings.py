"""The proxy's settings: all faults at once, each with its name, its value and what is allowed."""

from __future__ import annotations

from dataclasses import fields

import pytest

from torpor_api.failures import InvalidRequest
from torpor_proxy.settings import PREFIX, Settings, from_environment


def test_without_any_they_are_the_defaults() -> None:
    assert from_environment({"PATH": "/bin", "TORPOR_LOOP": "asyncio"}) == Settings()


def test_each_can_be_set() -> None:
    environment = {PREFIX + field.name.upper(): "3" for field in fields(Settings)}
    changed = from_environment(environment)
    assert all(getattr(changed, field.name) == 3 for field in fields(Settings))


def test_seconds_may_have_a_fraction_and_counts_may_not() -> None:
    assert from_environment({PREFIX + "LOGIN_TIMEOUT_S": "0.5"}).login_timeout_s == 0.5
    with pytest.raises(InvalidRequest, match=r"SESSIONS_MAX: '0\.5'"):
        from_environment({PREFIX + "SESSIONS_MAX": "0.5"})


def test_all_faults_are_told_at_once() -> None:
    environment = {
        PREFIX + "LOGIN_TIMEOUT_S": "soon",
        PREFIX + "WAKE_TIMEOUT_S": "0",
        PREFIX + "SESSIONS_MAX": "-1",
        PREFIX + "WAITING_MAX": "nan",
        PREFIX + "CAPTURE_TIMEOUT_S": "inf",
        PREFIX + "CONECTS": "1",
        PREFIX + "DRAIN_TIMEOUT_S": "5",
    }
    with pytest.raises(InvalidRequest) as refused:
        from_environment(environment)
    lines = refused.value.message.splitlines()
    assert len(lines) == 6
    assert "TORPOR_PROXY_LOGIN_TIMEOUT_S: 'soon' is not a number above zero" in lines
    (unknown,) = [line for line in lines if "CONECTS" in line]
    assert "no such setting" in unknown and PREFIX + "CONNECT_TIMEOUT_S" in unknown
