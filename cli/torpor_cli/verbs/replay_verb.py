"""`torpor replay`: the traffic of another server, or a pgbench script, against an endpoint."""

from __future__ import annotations

import importlib.util
import json
import sys
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Any

import click

from torpor_api.failures import InvalidRequest, Unavailable
from torpor_api.prices import CU_HOUR_PRICE
from torpor_cli.completion import complete_database
from torpor_cli.options import FiniteRange, json_option, on_place
from torpor_cli.place import Place

if TYPE_CHECKING:
    from torpor_cli.replay.aims import Aim
    from torpor_cli.replay.log_files import Input
    from torpor_cli.replay.script import Script

SESSIONS_DEFAULT = 200
SESSIONS_MAX = 10_000
"""One process of this verb has more to do for each than it could in time."""

CLIENTS_MAX = 1000
SECONDS_MAX = 3600
"""Of scripts: pgbench writes a line of its log for each transaction, 35 bytes."""

RATE_MIN, RATE_MAX = 0.001, 1e6
"""Transactions a second: one in a quarter of an hour, and more than a Postgres gives."""

SPEED_MIN, SPEED_MAX = 0.01, 1000.0

FOR_LOGS = ("speed", "databases", "users", "role", "sessions_max", "unordered", "dry_run")
FOR_SCRIPTS = ("clients", "seconds", "rate", "defines")
"""Options by what they are for: given with the other kind of file they are refused."""


def _speed(_: click.Context, __: click.Parameter, value: str) -> float | None:
    """None: without pauses."""
    if value == "max":
        return None
    try:
        speed = float(value)
    except ValueError:
        speed = -1.0
    if not SPEED_MIN <= speed <= SPEED_MAX:
        raise click.BadParameter(
            f"{value!r}: write a number from {SPEED_MIN:g} to {SPEED_MAX:g}, or max"
        )
    return speed


@click.command("replay")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--to",
    "name",
    metavar="NAME",
    shell_complete=complete_database,
    help="The database; its sleep and cost are told too.",
)
@click.option(
    "--uri",
    metavar="URI",
    help="Connect here instead: any Postgres will do. Leave the password to PGPASSWORD or "
    "~/.pgpass: other users of the machine can see arguments.",
)
@click.option(
    "--speed",
    default="1",
    show_default=True,
    callback=_speed,
    metavar="N",
    help="So many times as fast, or max: without pauses.",
)
@click.option(
    "--only-reads", is_flag=True, help="Leave out what writes; Postgres refuses the rest."
)
@click.option(
    "--database",
    "databases",
    multiple=True,
    metavar="LOG[=TARGET]",
    help="Only sessions of this database of the log, to that database; several times.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="LOG=ROLE",
    help="Connect that user's sessions as ROLE; several times.  [default: the role of that name, "
    "or the owner]",
)
@click.option("--role", metavar="ROLE", help="Connect all others as ROLE.")
@click.option(
    "--sessions-max",
    type=click.IntRange(1, SESSIONS_MAX),
    default=SESSIONS_DEFAULT,
    show_default=True,
    metavar="N",
    help="Open at once; further ones wait, which is told.",
)
@click.option(
    "--unordered",
    is_flag=True,
    help="Let no session wait for another: for logs of more than some hundred statements a second.",
)
@click.option("--dry-run", is_flag=True, help="Say what is in the log, and connect to nothing.")
@click.option("--yes", is_flag=True, help="Don't ask before data is changed, on a terminal either.")
@click.option(
    "--clients",
    type=click.IntRange(1, CLIENTS_MAX),
    default=1,
    show_default=True,
    metavar="N",
    help="Of a script.",
)
@click.option(
    "--seconds",
    type=click.IntRange(1, SECONDS_MAX),
    default=60,
    show_default=True,
    metavar="N",
    help="Of a script.",
)
@click.option(
    "--rate",
    type=FiniteRange(RATE_MIN, RATE_MAX),
    metavar="TPS",
    help="Of a script: so many transactions a second, over all clients.  [default: no pauses]",
)
@click.option(
    "-D",
    "--define",
    "defines",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable of a script, like scale=10; several times.",
)
@click.option(
    "--price",
    type=FiniteRange(0),
    default=CU_HOUR_PRICE,
    show_default=True,
    metavar="DOLLARS",
    help="Of a CU-hour.",
)
@json_option
@on_place
@click.pass_context
def command(
    ctx: click.Context,
    /,
    files: tuple[str, ...],
    name: str | None,
    uri: str | None,
    only_reads: bool,
    price: float,
    output: str | None,
    place: Place,
    **given: Any,
) -> None:
    """Replay your own traffic against a database, before you move.

    FILE is a Postgres log as csvlog or jsonlog, of log_min_duration_statement = 0, rotated or
    gzipped as you like; or a pgbench script (.sql), which pgbench runs.

    \b
      torpor replay postgresql-*.csv --dry-run
      torpor replay postgresql-*.csv.gz --to shop --speed 10
      torpor replay checkout.sql --to shop --clients 4 --seconds 60

    It exits with 1 where something failed that had not in the log. Statements that write are
    replayed too: let it be a copy, or say --only-reads.
    """
    from torpor_cli.replay import aims, script
    from torpor_cli.replay.log_files import Kind, sniffed

    scripts = [script.named(text) for text in files]
    inputs = [sniffed(each.path) for each in scripts]
    kinds = {each.kind for each in inputs} - {Kind.EMPTY}
    if Kind.SCRIPT in kinds and len(kinds) > 1:
        raise click.UsageError("logs and pgbench scripts are not replayed together")
    is_script = Kind.SCRIPT in kinds
    _refuse_others(ctx, FOR_LOGS if is_script else FOR_SCRIPTS, is_script=is_script)
    if name is None and uri is None and not given["dry_run"]:
        raise click.UsageError("say where to: --to NAME, a database, or --uri URI")
    if not is_script or uri is not None:
        _need_driver()
    aim = aims.Aim(place, name, uri, only_reads=only_reads)
    try:
        if is_script:
            has_failed = _scripts(scripts, aim, given, price, output)
        else:
            logs = [each for each in inputs if each.kind is not Kind.EMPTY]
            has_failed = _logs(logs, aim, given, price, output)
    except Unavailable as unreached:
        raise Unavailable(unreached.message, unreached.hint or aim.way) from None
    sys.exit(1 if has_failed else 0)


def _logs(
    inputs: list[Input], aim: Aim, given: dict[str, Any], price: float, output: str | None
) -> bool:
    """Whether something has failed that had not in the log."""
    from torpor_cli.replay import log_replay, outcome, told
    from torpor_cli.replay.gathering import Gathering
    from torpor_cli.replay.spool import Spool
    from torpor_cli.replay.targets import Routes, pairs, refuse_mixture

    databases = pairs("--database", given["databases"], may_be_one=True)
    users = pairs("--user", given["users"])
    aim.refuse_roles(users, given["role"])
    # Ahead of the log, which may be long: a wrong name is said at once.
    declared = frozenset() if given["dry_run"] else aim.declared_roles()
    with Spool() as spool:
        found = log_replay.read(
            inputs, spool, Gathering(databases.keys(), only_reads=aim.only_reads)
        )
        refuse_mixture(found, databases.keys())
        if given["dry_run"]:
            _print_contents(found, len(inputs), output)
            return False
        log_replay.refuse_empty(found)
        wish = log_replay.Wish(
            *(aim.shown, given["speed"], given["sessions_max"], aim.only_reads, price),
            is_ordered=not given["unordered"],
        )
        log_replay.announce(found, len(inputs), wish)
        if not given["yes"]:
            log_replay.confirm(found, wish)
        routes = Routes(users, databases, declared, given["role"], aim.only_reads)
        done = log_replay.replay(spool, found, wish, routes, aim.reached, aim.watch())
    if output == "json":
        click.echo(json.dumps(outcome.log_as_json(done), indent=2))
    else:
        click.echo("\n" + told.log_story(done, datetime.now(UTC)))
    return done.figures.has_failed


def _print_contents(found: Any, files: int, output: str | None) -> None:
    from torpor_cli.replay import outcome, told

    if output == "json":
        click.echo(json.dumps(outcome.contents_as_json(found), indent=2))
    else:
        click.echo("\n".join(told.contents(found, files)))


def _scripts(
    scripts: list[Script], aim: Aim, given: dict[str, Any], price: float, output: str | None
) -> bool:
    """Whether a client was ended by an error."""
    from torpor_cli.replay import script, script_replay, told

    _refuse_rare(given["rate"], given["seconds"])
    run = script_replay.Run(
        scripts,
        given["clients"],
        given["seconds"],
        given["rate"],
        given["defines"],
        aim.shown,
        price,
    )
    if not given["yes"] and not aim.only_reads and sys.stdin.isatty():
        click.confirm(f"Run it on {aim.shown}, whatever it writes?", abort=True, err=True)
    done = script_replay.replay(run, aim.environment, aim.watch())
    if output == "json":
        click.echo(json.dumps(script.as_json(done), indent=2))
    else:
        story = "" if done.use is None else told.use_story(done, datetime.now(UTC))
        click.echo(script.story(done, story))
    return done.has_failed


def _refuse_rare(rate: float | None, seconds: int) -> None:
    """Raises UsageError where hardly a transaction would begin."""
    seconds_min = 0 if rate is None else ceil(1 / rate)
    if seconds < seconds_min:
        raise click.UsageError(
            f"--rate {rate:g} begins no transaction within --seconds {seconds}: "
            f"allowed is --seconds {seconds_min} and more, or a greater rate"
        )


def _refuse_others(ctx: click.Context, options: tuple[str, ...], *, is_script: bool) -> None:
    """Raises UsageError that names the first one that was given all the same."""
    spellings = {param.name: param.opts[-1] for param in ctx.command.params}
    for option in options:
        if ctx.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE:
            kinds = ("a log", "a pgbench script") if is_script else ("a pgbench script", "a log")
            raise click.UsageError(f"{spellings[option]} is for {kinds[0]}: this is {kinds[1]}")


def _need_driver() -> None:
    if importlib.util.find_spec("psycopg") is None:
        raise InvalidRequest(
            "this needs psycopg, which is not installed", hint="pip install 'torpor[replay]'"
        )
