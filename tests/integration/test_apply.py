"""`torpor apply` followed at once by a client: what was applied counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from support.up import WAIT_SECONDS_MAX, Database, Up, until
from support.wire_client import Reported, connected, logged_in
from torpor_api.failures import NotFound

QUIET_S = 0.3
"""What has not ended after this long is held up, not slow."""

NUMBERS = count(1)


@pytest.fixture
def place(up: Up) -> Iterator[Database]:
    """Nobody has heard of it yet; it sleeps soon."""
    made = Database(up, f"fresh{next(NUMBERS)}", {"idleTimeout": "1s"})
    yield made
    made.apply(idleTimeout="1s")


class Apply:
    """One `torpor apply`, as a person runs it."""

    def __init__(self, place: Database, folder: Path, **spec: Any) -> None:
        body = f"{{idleTimeout: 1h, roles: [{{name: app, password: {spec['password']}}}]}}"
        manifest = folder / "manifest.yaml"
        manifest.write_text(
            "apiVersion: torpor.dev/v1alpha1\nkind: ServerlessDatabase\n"
            f"metadata: {{name: {place.name}}}\nspec: {body}\n"
        )
        state = str(place.up.folder.root)
        argv = ["-m", "torpor_cli.main", "apply", "-f", str(manifest), "--state", state]
        self._process = subprocess.Popen(
            [sys.executable, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def is_held_up(self) -> bool:
        try:
            self._process.wait(QUIET_S)
        except subprocess.TimeoutExpired:
            return True
        return False

    def ended(self) -> str:
        said, complaint = self._process.communicate(timeout=WAIT_SECONDS_MAX)
        assert (self._process.returncode, complaint) == (0, "")
        return said


def test_a_new_database_can_be_reached_when_apply_has_ended(
    place: Database, tmp_path: Path
) -> None:
    proxy = place.up.component("proxy")
    os.kill(proxy, signal.SIGSTOP)
    try:
        apply = Apply(place, tmp_path, password="first")
        until(lambda: is_stored(place), "it is stored")
        assert apply.is_held_up()
    finally:
        os.kill(proxy, signal.SIGCONT)
    assert apply.ended() == f"{place.name} created\n"
    with logged_in(place) as client:
        assert client.query("select 1") == [(b"1",)]


@pytest.mark.parametrize("is_awake", [False, True])
def test_a_new_password_counts_when_apply_has_ended(
    place: Database, tmp_path: Path, is_awake: bool
) -> None:
    Apply(place, tmp_path, password="first").ended()
    if is_awake:
        place.wake()
    for password in ("second", "third"):
        assert Apply(place, tmp_path, password=password).ended() == f"{place.name} changed\n"
        assert place.password == password
        with logged_in(place) as client:
            assert client.query("select 1") == [(b"1",)]
    with connected(place.up) as client, pytest.raises(Reported, match="28P01"):
        client.start(place)
        client.until(b"R")
        client.prove("second")
        client.until(b"Z")


def is_stored(place: Database) -> bool:
    try:
        return bool(place.status)
    except NotFound:
        return False
