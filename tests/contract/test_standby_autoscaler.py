"""Of several autoscalers one decides; another takes over, and who has lost its Lease is still."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from support.fake_kube.server import FakeKube
from support.ports import free_address
from support.verb_places import SYSTEM, add_namespaces, kubeconfig
from torpor_autoscaler.adapters.kubernetes import leadership
from torpor_autoscaler.main import run
from torpor_autoscaler.settings import Settings, from_arguments
from torpor_channel.address import TcpAddress
from torpor_kube import names
from torpor_kube.documents import labels_of
from torpor_kube.kinds import LEASE, POD
from torpor_kube.lease import Terms

PATIENT = Terms(duration_s=60, renew_deadline_s=50.0, retry_s=0.05, attempt_s_max=10.0)
"""Who leads does so for as long as a test lasts, however long others have the processor."""

BRIEF = Terms(duration_s=2, renew_deadline_s=1.6, retry_s=0.05, attempt_s_max=0.8)
"""Of one whose end is waited for."""

TAKEN_OVER_S_MAX = 15.0
"""What is promised of one that ends without a word."""

UNTIL_S_MAX = 20.0

LEADER = 'torpor_leader{component="autoscaler"}'


@pytest.fixture
async def fake() -> AsyncIterator[FakeKube]:
    async with FakeKube().serving() as fake:
        add_namespaces(fake, SYSTEM)
        for name in ("a", "b"):
            head = {
                "name": name,
                "namespace": SYSTEM,
                "labels": {names.COMPONENT_LABEL: "autoscaler"},
            }
            fake.objects.create(POD, {"metadata": head})
        yield fake


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "TERMS", PATIENT)


def options(folder: Path, fake: FakeKube, name: str, health: TcpAddress) -> list[str]:
    own = folder / name
    own.mkdir(exist_ok=True)
    return [
        "--cluster=kubernetes",
        f"--kubeconfig={kubeconfig(own, fake, user=name)}",
        f"--system-namespace={SYSTEM}",
        "--lease=torpor-autoscaler",
        f"--identity={name}",
        f"--listen={folder}/{name}.sock",
        "--warm=0",
        "--advertise=*.svc:5432",
        f"--health={health}",
    ]


def holder(fake: FakeKube) -> str:
    stored = fake.objects.stored.get((LEASE, SYSTEM, "torpor-autoscaler"))
    return "" if stored is None else str(stored.document["spec"]["holderIdentity"])


def found(fake: FakeKube) -> set[str]:
    """Those to which the Service leads."""
    pods = fake.objects.all(POD, SYSTEM)
    return {
        pod["metadata"]["name"] for pod in pods if labels_of(pod).get(names.LEADER_LABEL) == "true"
    }


async def until(holds: Callable[[], bool], at_most_s: float = UNTIL_S_MAX) -> float:
    """Seconds that it took."""
    begin = time.monotonic()
    async with asyncio.timeout(at_most_s):
        while not holds():
            await asyncio.sleep(0.02)
    return time.monotonic() - begin


async def asked(address: TcpAddress, path: str) -> str:
    """What a kubelet, or Prometheus, is answered; nothing where nobody listens yet."""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        return answer
    return ""


async def is_ready(address: TcpAddress) -> None:
    async with asyncio.timeout(UNTIL_S_MAX):
        while not (await asked(address, "/readyz")).startswith("HTTP/1.1 200"):
            await asyncio.sleep(0.02)


class Candidate:
    """One autoscaler, in this process."""

    def __init__(self, folder: Path, fake: FakeKube, name: str) -> None:
        self.health = free_address()
        self.socket = folder / f"{name}.sock"
        settings: Settings = from_arguments(options(folder, fake, name, self.health))
        self.told = asyncio.Event()
        self.task = asyncio.create_task(run(settings, self.told))

    async def ends(self) -> int:
        """With which status."""
        async with asyncio.timeout(UNTIL_S_MAX):
            return await self.task

    def is_asked(self) -> bool:
        return self.socket.exists()


@contextlib.asynccontextmanager
async def candidate(folder: Path, fake: FakeKube, name: str) -> AsyncIterator[Candidate]:
    made = Candidate(folder, fake, name)
    try:
        yield made
    finally:
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)


@pytest.mark.usefixtures("patient")
async def test_a_standby_is_ready_and_neither_asked_nor_heard_of(
    tmp_path: Path, fake: FakeKube
) -> None:
    async with candidate(tmp_path, fake, "a") as first:
        await is_ready(first.health)
        assert (holder(fake), found(fake), first.is_asked()) == ("a", {"a"}, True)
        async with candidate(tmp_path, fake, "b") as second:
            await is_ready(second.health)
            assert (holder(fake), found(fake), second.is_asked()) == ("a", {"a"}, False)
            assert f"{LEADER} 1.0" in await asked(first.health, "/metrics")
            metrics = await asked(second.health, "/metrics")
            assert f"{LEADER} 0.0" in metrics
            assert "torpor_databases" not in metrics, "only who leads counts them"


@pytest.mark.usefixtures("patient")
async def test_one_that_is_told_to_end_hands_over_at_once(tmp_path: Path, fake: FakeKube) -> None:
    async with candidate(tmp_path, fake, "a") as first:
        await is_ready(first.health)
        async with candidate(tmp_path, fake, "b") as second:
            await is_ready(second.health)
            first.told.set()
            assert await first.ends() == 0
            assert holder(fake) != "a"
            await until(lambda: found(fake) == {"b"} and second.is_asked())


@pytest.mark.usefixtures("patient")
async def test_a_standby_that_is_told_to_end_does(tmp_path: Path, fake: FakeKube) -> None:
    async with candidate(tmp_path, fake, "a") as first:
        await is_ready(first.health)
        async with candidate(tmp_path, fake, "b") as second:
            await is_ready(second.health)
            second.told.set()
            assert await second.ends() == 0
            assert (holder(fake), found(fake)) == ("a", {"a"})


@pytest.mark.usefixtures("patient")
async def test_who_can_not_renew_ends_itself_and_follows_whoever_leads_then(
    tmp_path: Path, fake: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "TERMS", BRIEF)
    async with candidate(tmp_path, fake, "a") as first:
        await is_ready(first.health)
        monkeypatch.setattr(leadership, "TERMS", PATIENT)
        with fake.faults.away():
            assert await first.ends() == 1
            assert not first.is_asked()
        async with candidate(tmp_path, fake, "b") as second:
            await is_ready(second.health)
            await until(lambda: found(fake) == {"b"})
            async with candidate(tmp_path, fake, "a") as again:
                await is_ready(again.health)
                assert (holder(fake), again.is_asked()) == ("b", False)


@pytest.mark.usefixtures("patient")
async def test_the_label_of_one_that_was_killed_does_not_outlive_the_next_process_of_its_pod(
    tmp_path: Path, fake: FakeKube
) -> None:
    async with candidate(tmp_path, fake, "a") as first:
        await is_ready(first.health)
        fake.objects.patch(
            (POD, SYSTEM, "b"), {"metadata": {"labels": {names.LEADER_LABEL: "true"}}}, ""
        )
        async with candidate(tmp_path, fake, "b") as second:
            await is_ready(second.health)
            assert found(fake) == {"a"}


async def started(folder: Path, fake: FakeKube, name: str) -> asyncio.subprocess.Process:
    health = free_address()
    command = (sys.executable, "-m", "torpor_autoscaler", *options(folder, fake, name, health))
    made = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    await is_ready(health)
    return made


async def test_one_that_stops_in_its_tracks_is_followed_in_time_and_ends_when_it_goes_on(
    tmp_path: Path, fake: FakeKube
) -> None:
    """With the terms as they are, by processes of their own."""
    first = await started(tmp_path, fake, "a")
    second = await started(tmp_path, fake, "b")
    try:
        assert found(fake) == {"a"}
        os.kill(first.pid, signal.SIGSTOP)
        took_s = await until(lambda: found(fake) == {"b"})
        assert took_s < TAKEN_OVER_S_MAX
        assert {who for who, _ in fake.written} == {"a", "b"}
        before = len(fake.written)
        os.kill(first.pid, signal.SIGCONT)
        async with asyncio.timeout(UNTIL_S_MAX):
            assert await first.wait() == 1
        written = [path for who, path in fake.written[before:] if who == "a"]
        assert all(path.endswith("/leases/torpor-autoscaler") for path in written), written
        assert (holder(fake), found(fake)) == ("b", {"b"})
        second.terminate()
        async with asyncio.timeout(UNTIL_S_MAX):
            assert await second.wait() == 0
        assert holder(fake) == ""
    finally:
        for process in (first, second):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
