"""The scenarios, each with its question, its crowds and what it must keep. Sized for two cores.

Limits that are ratios have room for a machine that does other things as well: about twice what was
recorded (docs/load.md has the figures). Limits that are counts have none.
"""

from __future__ import annotations

from load.course import Phase
from load.scenario import Crowd, Measure, Objective, On, Part, Scenario

IDLE_TIMEOUT_S = 2.0

NO_HELD_ERROR = Objective(
    Measure.HELD_ERRORS, 0, why="a session that is held hears of no sleep, and loses nothing"
)
NO_ERROR = Objective(Measure.ERRORS, 0, why="who waits for a wake is served")
FAIR = Objective(
    Measure.FAIRNESS, 0.6, "ratio", is_least=True, why="no database waits for all the others"
)
SLEPT = Objective(Measure.WAKES_EACH, 1, is_least=True, why="without a sleep nothing is shown")


def wake_p99(most: float) -> Objective:
    return Objective(Measure.WAKE_P99, most, "ratio", why="a wake is Postgres's own start")


def awake_p99(most: float) -> Objective:
    return Objective(Measure.AWAKE_P99, most, "ratio", why="the proxy is in the way of each query")


def cost(most: float) -> Objective:
    return Objective(Measure.COST, most, "ratio", why="who sleeps costs nothing")


BURST = Scenario(
    name="burst",
    question="A silent fleet, then everyone at once: how long does each wait, and is it fair?",
    databases=12,
    crowds=(
        Crowd(
            Part.HELD,
            3,
            (
                Phase("everyone at once", 1.0, volley_s=0.1),
                Phase("at work", 3.0, rate=1.0),
                Phase("silence", 8.0),
            ),
        ),
        Crowd(
            Part.FRESH,
            1,
            (Phase("everyone at once", 1.0, volley_s=0.1), Phase("silence", 11.0)),
        ),
    ),
    seconds=48.0,
    objectives=(NO_HELD_ERROR, NO_ERROR, wake_p99(25), awake_p99(8), FAIR, SLEPT, cost(0.95)),
    warm=12,
)

SAWTOOTH = Scenario(
    name="sawtooth",
    question="Bursts just shorter and just longer apart than the idle timeout: is there a needless"
    " wake, or an error where a question meets a sleep that has begun?",
    databases=6,
    crowds=(
        Crowd(
            Part.HELD,
            2,
            (
                Phase("just shorter", IDLE_TIMEOUT_S - 0.4, volley_s=0.1),
                Phase("just longer", IDLE_TIMEOUT_S + 0.4, volley_s=0.1),
                Phase("longer by a second", IDLE_TIMEOUT_S + 1.0, volley_s=0.1),
            ),
        ),
        Crowd(Part.FRESH, 1, (Phase("all three", 3 * IDLE_TIMEOUT_S + 1.0, volley_s=0.1),)),
    ),
    seconds=63.0,
    objectives=(
        NO_HELD_ERROR,
        NO_ERROR,
        Objective(Measure.NEEDLESS_WAKES, 0, why="the idle timeout is a promise"),
        wake_p99(20),
        FAIR,
        SLEPT,
    ),
    idle_timeout_s=IDLE_TIMEOUT_S,
    warm=6,
)

_DAY = (
    Phase("night", 30.0),
    Phase("morning", 8.0, rate=0.0, rate_end=1.0),
    Phase("day", 14.0, rate=1.0),
    Phase("evening", 8.0, rate=1.0, rate_end=0.0),
)

DIURNAL = Scenario(
    name="diurnal",
    question="A day in a minute, in six time zones: does the cost follow the sun?",
    databases=12,
    crowds=(Crowd(Part.HELD, 2, _DAY), Crowd(Part.FRESH, 1, _DAY)),
    seconds=60.0,
    objectives=(NO_HELD_ERROR, NO_ERROR, wake_p99(40), awake_p99(8), cost(0.85), SLEPT),
    longer_by="stretching",
    zones=6,
)

_FRIDAY = (
    Phase("an ordinary day", 12.0, rate=0.04),
    Phase("the doors open", 18.0, rate=0.04, rate_end=4.0),
    Phase("a hundredfold", 15.0, rate=4.0),
    Phase("sold out", 5.0, rate=4.0, rate_end=0.04),
)

BLACK_FRIDAY = Scenario(
    name="black-friday",
    question="A hundred times the load within a third of a minute: is everything answered?",
    databases=4,
    crowds=(Crowd(Part.HELD, 10, _FRIDAY), Crowd(Part.FRESH, 1, _FRIDAY)),
    seconds=50.0,
    objectives=(
        NO_HELD_ERROR,
        NO_ERROR,
        Objective(
            Measure.ANSWERED, 0.98, "ratio", is_least=True, why="what is asked is also answered"
        ),
        awake_p99(8),
    ),
    grows="clients",
    longer_by="stretching",
)

HERD = Scenario(
    name="herd",
    question="Ten thousand sessions are held on one sleeping database, and all ask at once.",
    databases=1,
    crowds=(
        Crowd(
            Part.HELD,
            10_000,
            (Phase("silence", 3.0), Phase("everyone at once", 7.0, volley_s=0.5)),
        ),
    ),
    seconds=10.0,
    objectives=(
        NO_HELD_ERROR,
        NO_ERROR,
        Objective(
            Measure.PER_SECOND,
            0.02,
            "ratio",
            is_least=True,
            why="each session is let into Postgres anew, and few at a time",
        ),
        Objective(Measure.WAKES, 1, why="one wake, however many ask"),
    ),
    grows="clients",
    longer_by="stretching",
    driver="asyncpg",
    # How fast they are let in, the ratio judges: a minute would be a limit for the machine.
    wake_timeout_s=300.0,
)

_KNOCKING = (Phase("strangers knock", 40.0, rate=4.0),)
_QUIET = (Phase("strangers knock", 40.0),)
_USED = (Phase("strangers knock", 40.0, rate=5.0),)

SCANNER = Scenario(
    name="scanner",
    question="Bad logins and probes at sleeping databases: do they wake one, or harm another?",
    databases=6,
    crowds=(
        Crowd(Part.SCANNER, 4, _KNOCKING, On.OTHERS),
        Crowd(Part.HELD, 2, _QUIET, On.OTHERS),
        Crowd(Part.HELD, 4, _USED, On.FIRST),
    ),
    seconds=40.0,
    objectives=(
        Objective(Measure.SCANNED_WAKES, 0, why="nobody wakes a database who may not enter"),
        Objective(Measure.REFUSED, 0, why="nor is let in"),
        NO_HELD_ERROR,
        awake_p99(8),
    ),
    longer_by="stretching",
)


def _working(rate: float) -> tuple[Phase, ...]:
    return (Phase("at work", 5.0, rate=rate), Phase("silence", 5.0))


MIXED = Scenario(
    name="mixed",
    question="TPC-B, LISTEN and NOTIFY in held sessions that sleep in between: is all of it kept?",
    databases=6,
    crowds=(
        Crowd(Part.TPCB, 2, _working(4.0)),
        Crowd(Part.LISTENER, 2, (Phase("listening", 10.0),)),
        Crowd(Part.NOTIFIER, 1, _working(2.0)),
        Crowd(Part.HELD, 1, _working(1.0)),
    ),
    seconds=50.0,
    objectives=(
        NO_HELD_ERROR,
        NO_ERROR,
        Objective(Measure.UNBALANCED, 0, why="what was acknowledged is there, once and whole"),
        Objective(Measure.MISHEARD, 0, why="a session hears everything in its sleep"),
        Objective(Measure.ANSWERED, 0.95, "ratio", is_least=True, why="it keeps up"),
        # All six wake at once, while an always-on Postgres has next to nothing to do: on two cores
        # six starts and 36 logins take 36 to 80 times as long as an answer there.
        wake_p99(100),
        SLEPT,
    ),
    warm=6,
)

SCENARIOS = {
    each.name: each for each in (BURST, SAWTOOTH, DIURNAL, BLACK_FRIDAY, HERD, SCANNER, MIXED)
}
