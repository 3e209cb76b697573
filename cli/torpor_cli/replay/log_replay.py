"""Replays logs: reads them whole, says what is in them, then plays them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

import click

from torpor_api.failures import InvalidRequest, Unavailable
from torpor_cli.place import Reached
from torpor_cli.replay import told
from torpor_cli.replay.client import CanNotConnect, Client
from torpor_cli.replay.display import Display
from torpor_cli.replay.gathering import Gathering
from torpor_cli.replay.log_files import HOW_TO_LOG, Input, LogFiles
from torpor_cli.replay.outcome import LogOutcome
from torpor_cli.replay.player import Pace, Player
from torpor_cli.replay.spool import Spool
from torpor_cli.replay.statement import Contents, Statement
from torpor_cli.replay.targets import Routes, Targets
from torpor_cli.replay.watch import Watch

FILES_BESIDE: Final = 64
"""Open files of this process that are no session's."""

TRIED_MAX: Final = 100
"""Roles and databases that are tried ahead of the replay; a session tells of further ones."""

SHOWN_EVERY_S: Final = 0.25
"""It is looked whether a line is due."""

Reaching = Callable[[], AbstractAsyncContextManager[Reached]]
"""For the length of a replay: how to connect."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants of a replay."""

    target: str
    speed: float | None
    sessions_max: int
    only_reads: bool
    price: float
    is_ordered: bool = True


def read(inputs: Sequence[Input], spool: Spool, gathering: Gathering) -> Contents:
    """All of the files into the spool. Raises InvalidRequest, StorageFull."""
    display, files = Display(), LogFiles.of(inputs)

    def tell(share: float) -> None:
        if display.is_due:
            count = gathering.contents.statements
            display.show(f"reading: {share:.0%}, {count:,} statements")

    def statements() -> Iterator[Statement]:
        for line in files.lines(tell):
            yield from gathering.take(line)
        yield from gathering.end()

    spool.fill(statements())
    spool.seal(gathering.sessions())
    display.clear()
    gathering.contents.cut_off = files.cut_off
    return gathering.contents


def refuse_empty(contents: Contents) -> None:
    """Raises InvalidRequest."""
    if contents.statements:
        return
    reasons = [f"{count:,} × {why}" for why, count in contents.left_out.most_common()]
    found = f"; left out: {', '.join(reasons)}" if reasons else ""
    raise InvalidRequest(
        f"there is no statement to replay{found}", hint=f"to log them, {HOW_TO_LOG}"
    )


def replay(
    spool: Spool,
    contents: Contents,
    wish: Wish,
    routes: Routes,
    reaching: Reaching,
    watch: Watch | None,
) -> LogOutcome:
    """Until the log's end, or Ctrl-C. Raises Unavailable where nobody can connect."""
    _raise_open_files(wish.sessions_max)
    return asyncio.run(_replayed(spool, contents, wish, routes, reaching, watch))


async def _replayed(
    spool: Spool,
    contents: Contents,
    wish: Wish,
    routes: Routes,
    reaching: Reaching,
    watch: Watch | None,
) -> LogOutcome:
    async with reaching() as reached:
        use = None if watch is None else watch.use
        so_far = LogOutcome(
            *(wish.target, 0.0, wish.price, use),
            expected=contents.statements,
            speed=wish.speed,
            through=reached.through,
        )
        targets = Targets(reached.connect, routes)
        if watch is not None:
            await asyncio.to_thread(watch.look)  # Before anything may wake it.
        await _try(spool, targets)
        player = Player(spool, targets.reach, _pace(contents, wish), so_far.figures)
        display = Display()

        def show() -> None:
            if display.is_due:
                display.show(told.progress(so_far, player.at_s, contents.seconds))

        took_s, is_whole = await _run(player, watch, show)
        display.clear()
    return dataclasses.replace(so_far, took_s=took_s, ended_early=not is_whole)


def _pace(contents: Contents, wish: Wish) -> Pace:
    return Pace(
        *(contents.begin_s, wish.speed, wish.sessions_max),
        *(wish.only_reads, wish.is_ordered),
    )


async def _run(player: Player, watch: Watch | None, show: Callable[[], None]) -> tuple[float, bool]:
    """Its seconds, and whether it came to its end; else somebody has pressed Ctrl-C."""
    if watch is not None:  # As it was before: a wake would not be told from what was there.
        await asyncio.to_thread(watch.look)
    began, is_whole = time.monotonic(), True
    playing = asyncio.create_task(player.play())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, playing.cancel)
    beside = [asyncio.create_task(_showing(show))]
    beside += [] if watch is None else [asyncio.create_task(watch.run())]
    try:
        await playing
    except asyncio.CancelledError:
        if not playing.cancelled():
            raise
        is_whole = False
    finally:
        took_s = time.monotonic() - began
        # A second one ends everything, the summary included.
        loop.remove_signal_handler(signal.SIGINT)
        for task in beside:
            task.cancel()
        ended = await asyncio.gather(*beside, return_exceptions=True)
        if watch is not None:
            await asyncio.to_thread(watch.settle)
    for defect in (each for each in ended if isinstance(each, Exception)):
        raise defect
    return took_s, is_whole


async def _showing(show: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(SHOWN_EVERY_S)
        show()


async def _try(spool: Spool, targets: Targets) -> None:
    """Connects once in each way: a wrong password is said before anything is replayed."""
    tried: set[tuple[str | None, str | None]] = set()
    for session in spool.sessions():
        key = targets.routes.of(session)
        if key in tried:
            continue
        tried.add(key)
        if len(tried) > TRIED_MAX:
            return
        try:
            client = await Client.connect(targets.reach(session))
        except CanNotConnect as error:
            raise Unavailable(f"a session can't connect: {error}") from None
        await client.close()


def _raise_open_files(sessions_max: int) -> None:
    """Raises InvalidRequest where the system lets nobody have so many."""
    wanted = sessions_max + FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and wanted > soft:
        if hard != resource.RLIM_INFINITY and wanted > hard:
            raise InvalidRequest(
                f"--sessions-max {sessions_max}: this process may have {hard} files open, "
                f"so at most {hard - FILES_BESIDE} sessions"
            )
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def announce(contents: Contents, files: int, wish: Wish | None) -> None:
    """On standard error, so that standard output has the result alone."""
    for line in told.contents(contents, files):
        click.echo(line, err=True)
    if wish is not None:
        mode = ", in read-only transactions" if wish.only_reads else ""
        click.echo(f"replayed on {wish.target}{mode}", err=True)


def confirm(contents: Contents, wish: Wish) -> None:
    """Of a person at a terminal, where data will be changed."""
    if contents.writes and not wish.only_reads and sys.stdin.isatty():
        click.confirm(f"Write all this to {wish.target}?", abort=True, err=True)
