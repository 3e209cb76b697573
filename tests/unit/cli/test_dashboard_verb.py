"""`torpor dashboard`: the link it prints, on one machine and on a cluster."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.fake_kube.server import FakeKube
from support.ports import free_address
from support.verb_places import Autoscaler, on_cluster, on_machine
from torpor_api import messages as m
from torpor_api.failures import Refused
from torpor_cli.kubernetes.forward import serve
from torpor_cli.local import dashboard
from torpor_cli.local.dashboard import USUAL, address, free, options
from torpor_cli.local.sockets import Address
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.main import torpor

LINK = m.DashboardLink(host="127.0.0.1", port=5480, link="abc", valid_s=3600.0)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Autoscaler]:
    async with on_machine(tmp_path) as fake:
        fake.answers[m.AskDashboard] = LINK
        yield fake


async def test_it_prints_a_fresh_link(place: Autoscaler) -> None:
    told = await place.torpor("dashboard")
    assert (told.exit_code, told.output) == (0, "http://127.0.0.1:5480/#enter=abc\n")
    told = await place.torpor("dashboard", "-o", "json")
    assert json.loads(told.output) == {
        "url": "http://127.0.0.1:5480/#enter=abc",
        "valid_s": 3600.0,
    }


async def test_where_none_is_served_it_says_so(place: Autoscaler) -> None:
    place.answers[m.AskDashboard] = Refused("no dashboard is served here")
    told = await place.torpor("dashboard")
    assert isinstance(told.exception, Refused) and told.stdout == ""


async def test_one_machine_has_its_port(place: Autoscaler) -> None:
    told = await place.torpor("dashboard", "--port", "8080")
    assert "--port is for a cluster" in str(told.exception)


async def test_of_a_cluster_with_a_name_the_link_leads_there(tmp_path: Path) -> None:
    async with FakeKube().serving() as kube, on_cluster(tmp_path, kube) as place:
        place.answers[m.AskDashboard] = LINK.model_copy(update={"hosts": ("t.example.org",)})
        told = await place.torpor("dashboard")
        assert told.output == "https://t.example.org/#enter=abc\n"


async def test_a_port_of_this_machine_leads_to_the_pods() -> None:
    """The API server's part is another's test: here the pod is a socket."""
    pod = socket.create_server(("127.0.0.1", 0))
    listen, ready = free_address(), asyncio.Event()
    serving = asyncio.create_task(
        serve(
            lambda: socket.create_connection(pod.getsockname()),
            Address(listen.host, listen.port),
            lambda _: ready.set(),
        )
    )
    await ready.wait()
    reader, writer = await asyncio.open_connection(listen.host, listen.port)
    writer.write(b"asked")
    accepted, _ = await asyncio.to_thread(pod.accept)
    assert await asyncio.to_thread(accepted.recv, 100) == b"asked"
    accepted.sendall(b"answered")
    accepted.close()
    assert await reader.read() == b"answered"
    writer.close()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    pod.close()


# --- where it is served on this machine -----------------------------------------------------------


def test_a_second_one_takes_a_free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        usual = Address(*taken.getsockname())
        monkeypatch.setattr(dashboard, "USUAL", usual)
        found = free(usual)
        assert found is not None and found.host == USUAL.host
        assert found.port not in (0, usual.port)


def test_a_port_that_a_person_has_chosen_is_that_one_or_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(Refused, match="--dashboard HOST:PORT"):
            free(Address(*taken.getsockname()))


def test_none_is_none(tmp_path: Path) -> None:
    assert free(None) is None
    assert options(None, StateFolder(tmp_path)) == ()
    assert list(tmp_path.iterdir()) == []


def test_its_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    told = options(USUAL, folder)
    assert told == ("--dashboard", str(USUAL), "--dashboard-key", str(folder.dashboard_key))
    assert stat.S_IMODE(folder.dashboard_key.stat().st_mode) == 0o600
    key = folder.dashboard_key.read_text()
    assert len(key.strip()) == 64
    options(USUAL, folder)
    assert folder.dashboard_key.read_text() == key


def test_a_key_that_was_not_written_to_its_end_is_made_anew(tmp_path: Path) -> None:
    """By an empty one anybody could make cookies."""
    folder = StateFolder(tmp_path)
    folder.dashboard_key.touch()
    options(USUAL, folder)
    assert len(folder.dashboard_key.read_text().strip()) == 64
    assert stat.S_IMODE(folder.dashboard_key.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [folder.dashboard_key.name]


def test_who_listens_everywhere_is_reached_here() -> None:
    assert address("0.0.0.0", 5480, "x") == "http://127.0.0.1:5480/#enter=x"
    assert address("::", 5480, "x") == "http://[::1]:5480/#enter=x"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dashboard", "here"], "--dashboard 'here' is not an address"),
        (["--dashboard", "127.0.0.1:1", "--no-dashboard"], "exclude each other"),
    ],
)
def test_up_refuses_what_can_not_be(tmp_path: Path, arguments: list[str], words: str) -> None:
    state = tmp_path / "state"
    refused = CliRunner().invoke(torpor, ["up", "--state", str(state), *arguments])
    assert refused.exit_code != 0
    assert words in refused.output + str(refused.exception)
    assert not state.exists()
