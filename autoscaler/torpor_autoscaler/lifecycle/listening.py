"""Sessions that listen while they are parked, over all proxies: nothing is notified past them.

Whoever is parked in one proxy has to hear what a session of another one notifies. So a database is
left in two rounds and entered in two: all gates are closed, and only then nobody listens any more;
all listen on the next compute, and only then the gates open. A proxy that does not answer in time
is not waited for: it learns from ``listening`` that it was late, and asks what it may have missed.
"""

from __future__ import annotations

from dataclasses import replace

from torpor_api.failures import Failure
from torpor_api.messages import ListeningStopped, StartListening, StopListening
from torpor_autoscaler.lifecycle import endpoints
from torpor_autoscaler.lifecycle.actions import AskProxies, CallProxies, Plan, ask
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import Run

ROUNDS_MAX = 2
"""Of asking: a proxy that registers in the middle of the first one is asked as well."""


def stop(database: Database, run: Run) -> Plan[None]:
    """All gates are closed. Raises why a proxy can't."""
    revision = database.world.proxies.revision
    database.has_stopped_listening = database.is_left_in_disorder = True
    database.nobody_listens = None
    answers = yield from ask(AskProxies(StopListening(name=database.name, epoch=run.epoch)))
    database.is_left_in_disorder = False
    told = [answer for answer in answers.values() if isinstance(answer, ListeningStopped)]
    if not any(answer.listens for answer in told):
        database.nobody_listens = revision


def let_in(database: Database, run: Run, *, is_fresh: bool) -> Plan[None]:
    """Afterwards sessions may attach, unless its Postgres was lost meanwhile.

    ``is_fresh``: nobody can have attached to this compute before.
    """
    heard = yield from start(database, is_fresh=is_fresh)
    if database.run is run:
        database.run = replace(run, is_open=True, listening=heard)


def start(database: Database, *, is_fresh: bool = False) -> Plan[tuple[str, ...]]:
    """Those proxies of which it is sure that they listen before anybody attaches."""
    heard = yield from _everywhere(database)
    is_sure = not database.is_left_in_disorder
    database.has_stopped_listening = database.is_left_in_disorder = False
    database.nobody_listens = None
    if not is_fresh and database.world.unknown_sessions(database.world.now):
        is_sure = False  # One that is not registered may let its sessions attach.
    return tuple(sorted(heard)) if is_sure else ()


def _everywhere(database: Database) -> Plan[set[str]]:
    proxies = database.world.proxies
    if len(proxies.names) < 2 or database.nobody_listens == proxies.revision:
        return set(proxies.names)  # One alone sees to it by itself.
    asked, heard = set[str](), set[str]()
    for _ in range(ROUNDS_MAX):
        if not database.is_up or asked.issuperset(proxies.names):
            break
        endpoint = endpoints.info(database, opens=True)
        hold_s = database.world.limits.gate_hold_s
        request = StartListening(endpoint=endpoint, hold_s=hold_s)
        answers = yield from ask(CallProxies(request))
        asked |= answers.keys()
        heard |= {name for name, told in answers.items() if not isinstance(told, Failure)}
    return heard
