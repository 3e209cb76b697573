"""Where everything lies, and who may use it now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from torpor_api.failures import InvalidRequest, Refused
from torpor_cli.local import state_folder
from torpor_cli.local.state_folder import SOCKET_PATH_BYTES_MAX, StateFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateFolder:
    # As an ordinary user: root's rule that others can pass through the parents is tested apart.
    monkeypatch.setattr(state_folder, "_refuse_unreachable", lambda root: None)
    made = StateFolder(tmp_path / "state")
    state_folder.prepare(made)
    return made


def test_one_holder_at_a_time_and_the_other_is_told_who(folder: StateFolder) -> None:
    descriptor = state_folder.take_lock(folder)
    with pytest.raises(Refused, match=rf"process id {os.getpid()}: .*--state DIR"):
        state_folder.take_lock(folder)
    os.close(descriptor)
    os.close(state_folder.take_lock(folder))


def test_the_lock_says_where_clients_connect(folder: StateFolder) -> None:
    descriptor = state_folder.take_lock(folder)
    assert state_folder.listen_address(folder) == ""
    state_folder.note_in_lock(descriptor, "127.0.0.1:6432")
    assert state_folder.listen_address(folder) == "127.0.0.1:6432"
    os.close(descriptor)


def test_another_layout_is_refused(folder: StateFolder) -> None:
    folder.version.write_text("99\n")
    with pytest.raises(InvalidRequest, match="layout '99'"):
        state_folder.prepare(folder)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match=r"Not a directory: choose another with --state"):
        state_folder.prepare(StateFolder(tmp_path / "file" / "state"))


def test_secrets_are_private_and_databases_can_be_passed(folder: StateFolder) -> None:
    assert folder.secrets.stat().st_mode & 0o777 == 0o700
    assert folder.databases.stat().st_mode & 0o777 == 0o711


def test_run_is_emptied_of_what_a_killed_one_left(folder: StateFolder) -> None:
    state_folder.prepare_run(folder)
    folder.agent_socket("dead").write_text("")
    state_folder.prepare_run(folder)
    assert not folder.agent_socket("dead").exists()


def test_long_paths_get_a_short_run_folder_and_it_goes_at_the_end(folder: StateFolder) -> None:
    deep = StateFolder(folder.root / ("x" * 60) / ("y" * 60))
    deep.root.mkdir(parents=True)
    state_folder.prepare_run(deep)
    short = deep.run
    longest = deep.compute_directory("x" * 12) / ".s.PGSQL.5432"
    assert len(os.fsencode(longest)) <= SOCKET_PATH_BYTES_MAX
    state_folder.prepare_run(deep)
    assert deep.run == short, "a second start finds the same folder"
    state_folder.remove_run(deep)
    assert not short.exists() and not (deep.root / "run").is_symlink()


def test_roots_state_must_be_reachable_by_others(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(InvalidRequest, match="can't be passed by other user ids"):
        state_folder._refuse_unreachable(closed / "state")
