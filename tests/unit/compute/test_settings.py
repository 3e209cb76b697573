"""The command line of an agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from torpor_api.failures import InvalidRequest
from torpor_channel.address import TcpAddress
from torpor_compute import settings


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    program = tmp_path / "postgres"
    program.write_text("")
    program.chmod(0o755)
    return tmp_path


def argv(binaries: Path, **changes: str) -> list[str]:
    given = {
        "compute": "c1",
        "listen": "/run/c1.sock",
        "run-dir": "/run/c1",
        "postgres": str(binaries),
        "postgres-version": "18",
        "proxy-user": "root",
    }
    return [part for key, value in (given | changes).items() for part in (f"--{key}", value)]


def test_what_is_given_is_read(binaries: Path) -> None:
    found = settings.parse(argv(binaries))
    assert (found.compute, found.listen) == ("c1", Path("/run/c1.sock"))
    assert found.postgres == binaries / "postgres"
    assert found.start_seconds_max == settings.START_SECONDS_MAX
    assert not found.has_own_container
    assert settings.parse([*argv(binaries), "--own-container"]).has_own_container
    folders = tuple(map(Path, ("/cpu/c1", "/cpuacct/c1", "/memory/c1")))
    assert not found.cgroup
    assert settings.parse([*argv(binaries), "--cgroup", *map(str, folders)]).cgroup == folders


@pytest.mark.parametrize(
    ("host", "advertised"), [("10.0.0.7", "10.0.0.7:7433"), ("fd00::7", "[fd00::7]:7433")]
)
def test_on_a_network_it_says_where_it_is_reached(
    binaries: Path, host: str, advertised: str
) -> None:
    network = {"listen": "0.0.0.0:7433", "tls": "/tls", "advertise": host, "proxy-user": ""}
    found = settings.parse(argv(binaries, **network))
    assert (found.listen, found.advertised) == (TcpAddress("0.0.0.0", 7433), advertised)
    assert found.ends_by_itself
    assert not settings.parse(argv(binaries)).ends_by_itself


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"listen": "/" + "x" * 107}, "--listen: .* has 108 bytes, a socket's path at most 107"),
        ({"run-dir": "/" + "x" * 93}, r"--run-dir: .*\.s\.PGSQL\.5432 has 108 bytes"),
        ({"postgres": "/nowhere"}, "--postgres: /nowhere/postgres can't be run"),
        ({"compute": ""}, "--compute is empty"),
        ({"start-seconds-max": "0"}, "--start-seconds-max 0 must be more than 0"),
        ({"end-seconds-max": "-1"}, "--end-seconds-max -1 must be more than 0"),
        ({"leave-seconds": "-1"}, "--leave-seconds must be 0 or more"),
        ({"proxy-user": ""}, "--proxy-user is missing: name the operating system user"),
        ({"listen": "10.0.0.7:7433"}, "needs --tls FOLDER and --advertise HOST as well"),
        ({"listen": "10.0.0.7:7433", "tls": "/tls"}, "needs --tls FOLDER and --advertise HOST"),
        ({"listen": "10.0.0.7"}, "is no address"),
        ({"template": "/nowhere"}, "--template: /nowhere is no data directory"),
    ],
)
def test_a_fault_is_named(binaries: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        settings.parse(argv(binaries, **changes))


@pytest.mark.parametrize("text", ["", "0", "-1", "many", "10001"])
def test_a_number_of_connections_that_is_none_is_refused(binaries: Path, text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"TORPOR_COMPUTE_MAX_CONNECTIONS: .* 1 to 10000"):
        settings.parse(argv(binaries), {"TORPOR_COMPUTE_MAX_CONNECTIONS": text})


def test_the_number_of_connections(binaries: Path) -> None:
    assert settings.parse(argv(binaries)).max_connections == 101
    found = settings.parse(argv(binaries), {"TORPOR_COMPUTE_MAX_CONNECTIONS": "45"})
    assert found.max_connections == 45


@pytest.mark.parametrize(("text", "refills"), [("on", True), ("off", False)])
def test_whether_buffers_are_filled_again(binaries: Path, text: str, refills: bool) -> None:
    assert settings.parse(argv(binaries)).refills
    assert settings.parse(argv(binaries), {"TORPOR_COMPUTE_REFILL": text}).refills is refills


@pytest.mark.parametrize("text", ["", "yes", "OFF"])
def test_a_switch_is_on_or_off(binaries: Path, text: str) -> None:
    with pytest.raises(InvalidRequest, match="TORPOR_COMPUTE_REFILL: write on or off"):
        settings.parse(argv(binaries), {"TORPOR_COMPUTE_REFILL": text})


def test_all_faults_are_named_at_once(binaries: Path) -> None:
    with pytest.raises(InvalidRequest) as refused:
        settings.parse(argv(binaries, listen="/" + "x" * 107, postgres="/nowhere"))
    assert len(refused.value.message.splitlines()) == 2


def test_the_longest_socket_path_is_allowed(binaries: Path) -> None:
    settings.parse(argv(binaries, **{"listen": "/" + "x" * 106, "run-dir": "/" + "x" * 92}))
