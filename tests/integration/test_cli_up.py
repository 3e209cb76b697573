"""`torpor up` as a supervisor: what it starts, refuses, keeps running; it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stand_ins import (
    MANIFEST,
    PROXY,
    PYTHON_OF_OTHERS,
    Up,
    folder_with_stand_ins,
    started_before,
)
from support.up import command_line, until


@pytest.fixture
def root() -> Iterator[Path]:
    with folder_with_stand_ins() as made:
        yield made


@pytest.fixture
def up(root: Path) -> Iterator[Up]:
    with started_before(root) as made:
        yield made


@pytest.fixture
def new(root: Path) -> Iterator[Up]:
    """There is no state folder yet."""
    with Up(root) as made:
        yield made


def test_it_starts_declares_shows_and_ends_with_nothing_left(new: Up, root: Path) -> None:
    new.start("-f", str(root / "shop.yaml"))
    new.ready()
    assert "s3 cret" not in new.output and "?options=endpoint%3Dshop" in new.output
    # What an agent is about to start is called like itself for a moment.
    until(lambda: len(new.processes("torpor_compute")) == 2, "two agents wait")
    assert new.run("list").stdout.splitlines()[1].split()[:2] == ["shop", "Suspended"]
    assert ":s3%20cret%2F@127.0.0.1:" in new.run("uri", "shop").stdout
    shown = json.loads(new.run("status", "shop", "-o", "json").stdout)
    assert shown["status"]["phase"] == "Suspended"
    assert not any(word in json.dumps(shown) for word in ("s3 cret", "s3%20cret"))
    new.signal(signal.SIGINT)
    assert new.ended() == 0, new.output
    assert new.processes() == []
    assert not (new.state / "run").exists()


def test_after_kill_9_nothing_is_left_and_the_next_one_takes_over(up: Up, root: Path) -> None:
    up.start("-f", str(root / "shop.yaml"))
    up.ready()
    up.signal(signal.SIGKILL)
    up.ended()
    until(lambda: up.processes("torpor_") == [], "every component ends with it")
    with Up(root) as again:
        again.start()
        again.ready()
        assert "shop" in again.run("list").stdout
        again.signal(signal.SIGTERM)
        assert again.ended() == 0


def test_passwords_of_an_apply_that_was_cut_off_are_there_at_the_next_start(
    up: Up, root: Path
) -> None:
    up.start("--warm", "0", "-f", str(root / "shop.yaml"))
    up.ready()
    up.signal(signal.SIGKILL)
    up.ended()
    until(lambda: up.processes("torpor_") == [], "every component ends with it")
    passwords = up.state / "secrets" / "shop.json"
    passwords.rename(passwords.with_name("shop.json.partial"))
    with Up(root) as again:
        again.start("--warm", "0")
        again.ready()
        assert ":s3%20cret%2F@127.0.0.1:" in again.run("uri", "shop").stdout


def test_a_second_one_is_refused_and_told_who_holds_the_folder(up: Up) -> None:
    up.start()
    up.ready()
    refused = up.run("up")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"process id {up.pid}" in refused.stderr and "--state DIR" in refused.stderr
    assert up.run("list").returncode == 0


def test_a_port_in_use_is_named_before_anything_is_started(new: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = new.run("up", "--listen", address)
    assert refused.returncode == 1
    assert address in refused.stderr and "--listen HOST:PORT" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (new.state / "templates" / "18").exists()


def test_so_is_a_port_in_use_that_was_to_tell_of_metrics(new: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = new.run("up", "--listen", "127.0.0.1:0", "--metrics", str(port))
    assert refused.returncode == 1
    assert f"127.0.0.1:{port}" in refused.stderr and "--metrics PORT" in refused.stderr
    assert not (new.state / "templates" / "18").exists()


def test_faults_in_a_file_are_one_line_each_and_nothing_is_started(new: Up, root: Path) -> None:
    (root / "bad.yaml").write_text(MANIFEST.replace("spec: {", "spec: {idleTimeout: soon, x: 1, "))
    refused = new.run("up", "-f", str(root / "shop.yaml"), "-f", str(root / "bad.yaml"))
    assert refused.returncode == 2
    assert refused.stdout == "" and refused.stderr.count("\n") == 2
    assert "shop: spec.idleTimeout: 'soon' is not a duration" in refused.stderr
    assert not new.state.exists()


def test_a_dead_component_is_started_again_and_it_is_said(up: Up) -> None:
    up.start()
    up.ready()
    for component in ("proxy", "autoscaler"):
        (before,) = up.processes(f"torpor_{component}")
        os.kill(before, signal.SIGKILL)
        until(
            lambda name=component, old=before: up.processes(f"torpor_{name}") not in ([], [old]),  # type: ignore[misc]
            f"another {component}",
        )
        assert f"the {component} ended by itself (signal 9)" in up.output


def test_a_dead_agent_is_replaced_and_its_orphans_are_killed(up: Up) -> None:
    up.start("--warm", "1")
    up.ready()
    (autoscaler,) = up.processes("torpor_autoscaler")
    assert " --warm 1 --warm-max 2 " in command_line(autoscaler)
    (agent,) = up.processes("torpor_compute")
    until(lambda: len(up.processes("sleep 999")) == 2, "the agent's children")
    before = set(up.processes("sleep 999"))
    os.kill(agent, signal.SIGKILL)
    until(lambda: up.processes("torpor_compute") not in ([], [agent]), "another agent")
    until(lambda: not before & set(up.processes("sleep 999")), "orphans are killed")
    # A nursery that can't start is not begun anew with each agent.
    assert (up.state / "logs" / "up.log").read_text().count("nursery_ended") == 1


def test_a_component_that_cannot_start_is_named_with_its_last_words(up: Up, root: Path) -> None:
    (root / "stand_ins" / "torpor_proxy" / "__main__.py").write_text("raise SystemExit('no luck')")
    up.start()
    assert up.ended() == 1
    assert "torpor: the proxy does not start" in up.output and "no luck" in up.output
    assert up.processes() == []


def test_a_log_is_bounded_while_its_component_runs(up: Up, root: Path) -> None:
    talks = "import os\nfor _ in range(17): os.write(2, b'x' * (1 << 20))\n"
    (root / "stand_ins" / "torpor_proxy" / "__main__.py").write_text(talks + PROXY)
    up.start("--warm", "0")
    up.ready()
    log = up.state / "logs" / "proxy.log"
    until(lambda: log.stat().st_size == 0, "it is emptied")
    assert log.with_name("proxy.log.1").stat().st_size == 16 << 20
    assert len(up.processes("torpor_proxy")) == 1


def test_chaos_is_the_proxys_affair(up: Up) -> None:
    up.start("--warm", "0", "--park-every-safe-point", "--restart-every", "50")
    up.ready()
    (proxy,) = up.processes("torpor_proxy")
    assert command_line(proxy).endswith(" --park-every-safe-point --restart-every 50 ")
    assert "chaos mode" in up.output


def test_without_chaos_the_proxy_hears_nothing_of_it(up: Up) -> None:
    up.start("--warm", "0")
    up.ready()
    (proxy,) = up.processes("torpor_proxy")
    assert "--park" not in command_line(proxy) and "chaos" not in up.output


def test_restarts_without_parks_are_refused(new: Up) -> None:
    refused = new.run("up", "--restart-every", "50")
    assert refused.returncode == 2 and "--park-every-safe-point" in refused.stderr
    assert not new.state.exists()


def test_under_nohup_it_outlives_its_terminal(up: Up) -> None:
    up.start("--warm", "0", under=["nohup"])
    up.ready()
    up.signal(signal.SIGHUP)
    assert up.run("list").returncode == 0
    up.signal(signal.SIGTERM)
    assert up.ended() == 0, up.output


def test_without_nohup_it_ends_with_its_terminal(up: Up) -> None:
    # Whoever runs these tests may have started them with nohup.
    up.start("--warm", "0", under=["env", "--default-signal=HUP"])
    up.ready()
    up.signal(signal.SIGHUP)
    assert up.ended() == 0, up.output


def test_a_second_interrupt_ends_at_once(up: Up, root: Path) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    (root / "stand_ins" / "torpor_proxy" / "__main__.py").write_text(stubborn + PROXY)
    up.start()
    up.ready()
    up.signal(signal.SIGINT)
    until(lambda: "closing the proxy" in up.output, "the orderly end has begun")
    up.signal(signal.SIGINT)
    assert up.ended() == 1
    until(lambda: up.processes("torpor_") == [], "nothing is left")


@pytest.mark.skipif(
    os.geteuid() != 0 or PYTHON_OF_OTHERS is None,
    reason="needs root, and a Python that another user can run",
)
def test_it_works_as_an_ordinary_user(root: Path) -> None:
    with Up(root, user=65534) as up:
        up.start("-f", str(root / "shop.yaml"))
        up.ready()
        assert up.run("list").stdout.splitlines()[1].split()[:2] == ["shop", "Suspended"]
        assert (up.state / "databases" / "shop" / "data").stat().st_uid == 65534
        up.signal(signal.SIGINT)
        assert up.ended() == 0, up.output
