"""The file of the console's roles: read anew when it changes, and never trusted half written."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from torpor_api.console import ROLES_BYTES_MAX, ConsoleRight, read_roles, roles_text
from torpor_api.failures import InvalidRequest
from torpor_api.scram import verifier_of
from torpor_proxy.adapters.console_roles import ConsoleRoles

ONE = str(verifier_of("one", b"0123456789abcdef"))
TWO = str(verifier_of("two", b"0123456789abcdef"))


def test_what_is_written_is_read_back() -> None:
    found = read_roles(roles_text({"torpor": ONE, "viewer": TWO}).encode())
    assert found["torpor"].right is ConsoleRight.ADMIN and found["torpor"].verifier == ONE
    assert found["viewer"].right is ConsoleRight.SHOW and found["viewer"].verifier == TWO
    assert ONE not in repr(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file"),
        ("{", "the file"),
        ('{"roles": 7}', "roles"),
        ('{"roles": [{"name": "x", "right": "root", "verifier": ""}]}', "roles.0.right"),
        ('{"roles": [{"name": "x", "right": "show", "verifier": "secret"}]}', "role 'x'"),
        ('{"roles": []}' + " " * ROLES_BYTES_MAX, "at most"),
    ],
)
def test_a_file_that_is_none_is_refused_without_telling_secrets(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_roles(text.encode())
    assert words in raised.value.message and "secret" not in raised.value.message


def test_nobody_without_a_file_and_others_with_another(tmp_path: Path) -> None:
    path = tmp_path / "roles.json"
    roles = ConsoleRoles(path)
    assert roles.find("torpor") is None
    path.write_text(roles_text({"torpor": ONE}))
    found = roles.find("torpor")
    assert found is not None and found.verifier == ONE
    _replace(path, roles_text({"viewer": TWO}))
    assert roles.find("torpor") is None and roles.find("viewer") is not None
    path.unlink()
    assert roles.find("viewer") is None


def test_one_that_can_not_be_read_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "roles.json"
    path.write_text(roles_text({"torpor": ONE}))
    roles = ConsoleRoles(path)
    assert roles.find("torpor") is not None
    with caplog.at_level(logging.WARNING):
        _replace(path, json.dumps({"roles": "none"}))
        assert roles.find("torpor") is not None and roles.find("torpor") is not None
    assert [record.msg for record in caplog.records] == ["console_roles_unreadable"]


def _replace(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)
