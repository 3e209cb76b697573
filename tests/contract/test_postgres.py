"""The contract of the Postgres of an agent: ``Postgres``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from support.agent import until
from support.postgres import make_volume
from support.postgres_worlds import FakeWorld, World, alone, real_world
from support.scratch import scratch_folder
from torpor_api.failures import StartFailed, Unavailable
from torpor_api.messages import StoragePlace
from torpor_compute.ports import Stop

QUIET_S = 0.1
"""What has not happened after this long is held up, not slow."""

WAIT_SECONDS_MAX = 20.0

Test = Callable[[World], Coroutine[None, None, None]]

TESTS: dict[str, Test] = {}


def contract(test: Test) -> Callable[[str], None]:
    """The test, for each world."""
    TESTS[test.__name__] = test

    @pytest.mark.parametrize("world", ["fake", "process"])
    def each(world: str) -> None:
        if world == "fake":
            asyncio.run(on_the_fake(test))
        else:
            in_a_folder(lambda folder: on_a_real_one(test.__name__, folder))

    each.__doc__ = test.__doc__
    return each


async def on_the_fake(test: Test) -> None:
    await test(FakeWorld())


def in_a_folder(do: Callable[[Path], None]) -> None:
    with scratch_folder() as folder:
        do(folder)


def on_a_real_one(name: str, folder: Path) -> None:
    run = folder / "run"
    run.mkdir(mode=0o711)
    alone(__name__, name, make_volume(folder / "volume"), run)


def play(name: str, storage: str, run: str, program: str) -> None:
    """In the process of its own."""

    async def on_the_process() -> None:
        place = StoragePlace.model_validate_json(storage)
        async with real_world(place, Path(run), Path(program)) as world:
            await TESTS[name](world)

    asyncio.run(on_the_process())


async def is_held_up(task: asyncio.Task[object]) -> bool:
    await asyncio.wait({task}, timeout=QUIET_S)
    return not task.done()


async def ends(world: World) -> str:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        how = await world.postgres.ended()
        await world.postgres.gone()
    assert not world.left()
    return how


# --- the contract ------------------------------------------------------------------------------


@contract
async def test_from_its_start_to_its_end(world: World) -> None:
    times = await world.postgres.start(world.launch)
    assert times.begin_ms >= 0 and times.ready_ms >= 0
    await (await world.connect()).leave()
    ending = asyncio.create_task(world.postgres.ended())
    going = asyncio.create_task(world.postgres.gone())
    assert await is_held_up(ending) and await is_held_up(going)
    world.postgres.signal(Stop.FAST)
    how = await ends(world)
    assert how and how == await ending == await ends(world)
    await going


@contract
async def test_it_can_be_started_again(world: World) -> None:
    for stop in (Stop.FAST, Stop.IMMEDIATE, Stop.SMART):
        await world.postgres.start(world.launch)
        world.postgres.signal(stop)
        await world.postgres.ended()
        await world.postgres.gone(starts_again=stop is not Stop.SMART)
        assert not world.left()


@contract
async def test_a_smart_stop_lets_nobody_in_and_waits_for_who_is_there(world: World) -> None:
    await world.postgres.start(world.launch)
    client = await world.connect()
    world.postgres.signal(Stop.SMART)
    ending = asyncio.create_task(world.postgres.ended())
    assert await is_held_up(ending)
    with pytest.raises(Unavailable):
        await world.connect()
    await client.ping()
    await client.leave()
    await ends(world)
    await ending


@contract
async def test_a_fast_stop_ends_every_session(world: World) -> None:
    await world.postgres.start(world.launch)
    client = await world.connect()
    world.postgres.signal(Stop.FAST)
    await ends(world)
    with pytest.raises(Exception, match=r"\S"):
        await client.ping()
    with pytest.raises(Unavailable):
        await world.connect()


@contract
async def test_one_that_does_not_run_can_be_signalled(world: World) -> None:
    for stop in Stop:
        world.postgres.signal(stop)
    await world.postgres.gone(starts_again=True)
    await world.postgres.start(world.launch)
    world.postgres.signal(Stop.FAST)
    await ends(world)
    for stop in Stop:
        world.postgres.signal(stop)


@contract
async def test_a_start_that_fails_says_why_and_the_next_may_succeed(world: World) -> None:
    world.spoil()
    with pytest.raises(StartFailed, match=r"\S"):
        await world.postgres.start(world.launch)
    world.postgres.signal(Stop.IMMEDIATE)
    await world.postgres.gone(starts_again=True)
    assert not world.left()
    world.mend()
    await world.postgres.start(world.launch)
    world.postgres.signal(Stop.FAST)
    await ends(world)


@contract
async def test_an_end_in_the_middle_of_its_start_is_a_failed_start(world: World) -> None:
    starting = asyncio.create_task(world.postgres.start(world.launch))
    await asyncio.sleep(0)
    world.postgres.signal(Stop.IMMEDIATE)
    with pytest.raises(StartFailed):
        await starting
    await ends(world)


@contract
async def test_one_that_dies_is_gone_with_all_of_its_processes(world: World) -> None:
    await world.postgres.start(world.launch)
    (await world.connect()).toil()
    await asyncio.sleep(QUIET_S)
    world.kill()
    assert "SIGKILL" in await ends(world)


@contract
async def test_newcomers_wait_while_it_is_paused_and_sessions_go_on(world: World) -> None:
    await world.postgres.start(world.launch)
    client = await world.connect()
    async with world.postgres.paused():
        newcomer = asyncio.create_task(world.connect())
        assert await is_held_up(newcomer)
        await client.ping()
    await (await newcomer).ping()
    await client.ping()


@contract
async def test_a_stop_inside_of_a_pause_comes_before_any_newcomer(world: World) -> None:
    await world.postgres.start(world.launch)
    async with world.postgres.paused():
        newcomer = asyncio.create_task(world.connect())
        assert await is_held_up(newcomer)
        world.postgres.signal(Stop.SMART)
    with pytest.raises(Unavailable):
        await newcomer
    await ends(world)


@contract
async def test_an_error_inside_of_a_pause_lets_it_go_on(world: World) -> None:
    await world.postgres.start(world.launch)
    with pytest.raises(ZeroDivisionError):
        async with world.postgres.paused():
            raise ZeroDivisionError
    await (await world.connect()).ping()


@contract
async def test_its_processes_are_counted(world: World) -> None:
    await world.postgres.start(world.launch)
    before = world.postgres.processes()
    client = await world.connect()
    came = world.postgres.processes()
    assert client.process in came.keys() - before.keys()
    assert all(0 <= age_s < WAIT_SECONDS_MAX or pid in before for pid, age_s in came.items())
    assert world.postgres.use().memory_bytes > 0
    await client.leave()
    await until(lambda: client.process not in world.postgres.processes(), "its backend ends")
