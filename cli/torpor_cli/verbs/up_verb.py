"""`torpor up`: the whole product on this machine, until Ctrl-C."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from torpor_api.prices import WAITING_PRICE, WAITING_PRICE_MAX
from torpor_cli.choosing import asked_of_cluster
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.options import FiniteRange, file_option, json_option, state_option

if TYPE_CHECKING:
    from torpor_cli.local.sockets import Address
    from torpor_cli.local.supervisor import Settings
    from torpor_cli.local.welcome import Ready

LISTEN_DEFAULT = "127.0.0.1:6432"
"""Only this machine; 6432 leaves Postgres's own port to a Postgres."""

WARM_DEFAULT = 2
"""Enough for two databases that wake in the same moment."""

METRICS_PORT_MAX = 65534
"""The next one is used, too."""

WARM_MAX = 100
"""An agent takes about 30 MB of memory."""


@click.command("up")
@file_option
@state_option
@click.option(
    "--listen",
    default=LISTEN_DEFAULT,
    show_default=True,
    metavar="HOST:PORT",
    help="Where clients connect; port 0 takes a free one.",
)
@click.option(
    "--warm",
    type=click.IntRange(0, WARM_MAX),
    default=WARM_DEFAULT,
    show_default=True,
    metavar="N",
    help="How many started agents wait for a database, at least.",
)
@click.option(
    "--warm-max",
    type=click.IntRange(0, WARM_MAX),
    metavar="N",
    help="How many wait at most, when many databases wake; left out: twice as many as at least.",
)
@click.option(
    "--waiting-price",
    type=FiniteRange(0, WAITING_PRICE_MAX),
    default=WAITING_PRICE,
    show_default=True,
    metavar="CU_SECONDS",
    help="What a second of a client's waiting is worth, where `idleTimeout` is `auto`.",
)
@click.option(
    "--dashboard",
    metavar="HOST:PORT",
    help="Where the dashboard is served.  [default: 127.0.0.1:5480, or a free port]",
)
@click.option("--no-dashboard", is_flag=True, help="Serve none.")
@click.option(
    "--no-limits",
    is_flag=True,
    help="Let each database use the whole machine; else no more CPU and memory than its size, "
    "where cgroups may be made.",
)
@click.option(
    "--metrics",
    "metrics_port",
    type=click.IntRange(1, METRICS_PORT_MAX),
    metavar="PORT",
    help="Answer Prometheus on this machine: the proxy at PORT, the autoscaler at the next one, "
    "under /metrics.",
)
@click.option(
    "--park-every-safe-point",
    "parks",
    is_flag=True,
    help="Chaos mode: park every session whenever it can be parked, as if it had to sleep.",
)
@click.option(
    "--restart-every",
    type=click.IntRange(min=1),
    metavar="N",
    help="With it: move the database to a fresh compute after every N parks.",
)
@json_option
def command(
    files: tuple[Path, ...],
    folder: StateFolder,
    listen: str,
    warm: int,
    warm_max: int | None,
    waiting_price: float,
    dashboard: str | None,
    no_dashboard: bool,
    no_limits: bool,
    metrics_port: int | None,
    parks: bool,
    restart_every: int | None,
    output: str | None,
) -> None:
    """Run Torpor on this machine until Ctrl-C.

    With -o json each step is an object in a line of its own, the one with "ready" as soon as
    clients can connect.

    \b
      torpor up -f db.yaml
      torpor up --listen 0.0.0.0:6432 --warm 4
    """
    import asyncio
    import os

    from torpor_api.logs import from_environment
    from torpor_cli.files import read_manifests
    from torpor_cli.local.sockets import parse_address
    from torpor_cli.local.supervisor import Settings

    if asked_of_cluster(click.get_current_context()):
        raise click.UsageError("`torpor up` runs on this machine: on a cluster the chart installs")
    if restart_every and not parks:
        raise click.UsageError("--restart-every N counts parks: add --park-every-safe-point")
    if dashboard and no_dashboard:
        raise click.UsageError("--dashboard and --no-dashboard exclude each other")
    if warm_max is not None and warm_max < warm:
        raise click.UsageError(f"--warm-max {warm_max} is less than --warm {warm}: give more")
    settings = Settings(
        folder,
        parse_address(listen),
        warm,
        read_manifests(files),
        warm_max=2 * warm if warm_max is None else warm_max,
        waiting_price=waiting_price,
        limits=not no_limits,
        metrics_port=metrics_port,
        parks_every_safe_point=parks,
        restart_every=restart_every or 0,
        log=from_environment(os.environ, "supervisor", is_terminal=False),
        dashboard=None if no_dashboard else _dashboard(dashboard),
    )
    asyncio.run(_run(settings, output))


async def _run(settings: Settings, output: str | None) -> None:
    from torpor_cli.local.supervisor import Supervisor
    from torpor_cli.local.welcome import welcome

    folder, urls = settings.folder, settings.metrics_urls
    say = _say_as_json if output == "json" else click.echo

    def announce(ready: Ready) -> None:
        if output != "json":
            click.echo(welcome(ready, folder.flag, urls))
            return
        names = [resource.name for resource in ready.resources]
        told = {"ready": str(ready.listen), "databases": names, "metrics": urls}
        click.echo(json.dumps(told | {"dashboard": ready.dashboard}))

    await Supervisor(settings, say).run(announce)
    say(f"ended; the data stays in {folder.root}")


def _say_as_json(text: str) -> None:
    click.echo(json.dumps({"said": text}))


def _dashboard(chosen: str | None) -> Address:
    from torpor_cli.local.dashboard import USUAL
    from torpor_cli.local.sockets import parse_address

    return USUAL if chosen is None else parse_address(chosen, "--dashboard")
