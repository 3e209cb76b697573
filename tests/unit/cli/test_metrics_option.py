"""Where the parts of `torpor up` answer Prometheus: each at a port of its own, on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from torpor_cli.local.sockets import Address
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.local.supervisor import TOLD, Settings
from torpor_cli.local.welcome import Ready, welcome
from torpor_cli.main import torpor

LISTEN = Address("127.0.0.1", 6432)

READY = Ready(LISTEN, (), "")


def settings(port: int | None) -> Settings:
    return Settings(StateFolder(Path("/state")), LISTEN, 1, metrics_port=port)


def test_ports_follow_each_other() -> None:
    assert [settings(9600).health_options(component) for component in TOLD] == [
        ("--health", "127.0.0.1:9600"),
        ("--health", "127.0.0.1:9601"),
    ]


def test_nobody_listens_where_nobody_asked_for_it() -> None:
    assert [settings(None).health_options(component) for component in TOLD] == [(), ()]


def test_the_first_words_say_where() -> None:
    told = welcome(READY, "", settings(9600).metrics_urls)
    assert "proxy http://127.0.0.1:9600/metrics, autoscaler http://127.0.0.1:9601/metrics" in told
    assert "Prometheus" not in welcome(READY, "", settings(None).metrics_urls)


@pytest.mark.parametrize("port", ["0", "65535", "high"])
def test_a_port_that_can_not_be_is_refused(port: str) -> None:
    done = CliRunner().invoke(torpor, ["up", "--metrics", port])
    assert done.exit_code == 2 and port in done.output
