"""One page about one run: objectives, plots, wakes and their chains. It is all in one file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from html import escape

from load import judge
from load.judge import Side, Verdict
from load.picture import Point, Series, bars, plot
from load.result import Result
from load.samples import State
from load.style import STYLE
from load.table import amount, short
from rig.figures import percentile
from torpor_api.phases import Phase
from torpor_api.prices import CU_HOUR_PRICE
from torpor_api.transition import Transition

SLOWEST_SHOWN = 10
STEPS_SHOWN = 14
ERRORS_SHOWN = 20
DATABASES_SHOWN = 40


def page(result: Result) -> str:
    """The whole of it."""
    name, title = result.scenario.name, f"Load: {result.scenario.name}"
    missed = sum(not verdict.is_met for verdict in result.verdicts)
    total = len(result.verdicts)
    head = f"All {total} objectives are met." if not missed else f"{missed} of {total} are missed."
    sections = [
        _objectives(result.verdicts),
        _reached(result),
        _latency(result),
        _fleet(result),
        _cost(result),
        _chains(result.watched.wakes),
        _databases(result.torpor),
        _machine(result),
        _errors(result),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style></head><body><main>\n<h1>{escape(name)}</h1>\n"
        f"<p>{escape(result.scenario.question)}</p>\n"
        f'<p class="{"bad" if missed else "good"}"><strong>{head}</strong></p>\n'
        + "\n".join(section for section in sections if section)
        + "\n</main></body></html>\n"
    )


def _objectives(verdicts: Sequence[Verdict]) -> str:
    rows = [
        (
            "met" if each.is_met else "missed",
            each.objective.measure,
            amount(each, each.torpor),
            amount(each, each.always_on),
            "?" if each.value is None else short(each.value),
            f"{'≥' if each.objective.is_least else '≤'}\N{NO-BREAK SPACE}{each.objective.limit:g}"
            f"{'×' if each.objective.of == 'ratio' else ''}",
            each.objective.why,
        )
        for each in verdicts
    ]
    columns = ("met?", "objective", "Torpor", "always on", "value", "limit", "because")
    note = "A limit with × is for the ratio to the same load on the always-on Postgres in this run."
    return _section("Objectives", f"<p>{note}</p>" + _table(columns, rows, ends_in_prose=True))


def _reached(result: Result) -> str:
    reached, machine = result.reached, result.machine
    rows = [
        ("databases", str(reached["databases"])),
        ("clients", str(reached["clients"])),
        ("sessions held at once", str(reached["sessions"])),
        ("questions answered", f"{reached['questions']:,}"),
        ("wakes", str(reached["wakes"])),
        ("wakes a second, over the best ten seconds", f"{reached['wakesPerSecond']:.1f}"),
        ("what was short", reached["limit"]),
        ("where", result.where),
        (
            "machine",
            f"{machine['cores']} cores of {machine['processor']}, {machine['memoryGiB']} GiB, "
            f"Postgres {machine['postgres']}, {machine['commit']}, {machine['at']}",
        ),
        ("load average of the machine before", str(machine["load1m"])),
    ]
    return _section("What was reached", _table((), rows))


def _latency(result: Result) -> str:
    torpor = _by_state(result.torpor)
    series = [
        Series("awake", "awake", torpor[State.AWAKE], "dots"),
        Series("waking already", "waking", torpor[State.WAKING], "dots"),
        Series("asleep: it woke it", "asleep", torpor[State.ASLEEP], "dots"),
        Series("awake, p99", "awake", _p99_by_second(torpor[State.AWAKE])),
        Series(
            "always on, p99",
            "rival",
            _p99_by_second([p for found in _by_state(result.always_on).values() for p in found]),
        ),
    ]
    drawn = plot(
        "Latency by state of the database",
        series,
        seconds=result.scenario.seconds,
        unit="ms",
        is_log=True,
    )
    sides = (("Torpor", result.torpor), ("always on", result.always_on))
    rows = [
        (name, state, f"{len(waits):,}", *(short(ms) for ms in _percentiles_ms(waits)))
        for name, side in sides
        for state in State
        if (waits := judge.waits_s(side, state))
    ]
    columns = ("side", "state when it was asked", "questions", "p50 ms", "p99 ms", "most ms")
    return _section("Latency over time, by state of the database", drawn + _table(columns, rows))


def _fleet(result: Result) -> str:
    watched = result.watched
    if not watched.is_asked:
        return _section("Computes", "<p>Nobody could be asked: name --state DIR or --context.</p>")
    times = [row.at - watched.began_at for row in watched.rows]
    stacked: list[Series] = []
    below = [0.0] * len(times)
    for phase, colour in (
        (Phase.ACTIVE, "awake"),
        (Phase.RESUMING, "asleep"),
        (Phase.SUSPENDING, "waking"),
    ):
        below = [
            base + row.phases.get(phase, 0) for base, row in zip(below, watched.rows, strict=True)
        ]
        stacked.append(Series(phase, colour, list(zip(times, below, strict=True)), "area"))
    warm = [(at, float(row.warm)) for at, row in zip(times, watched.rows, strict=True)]
    series = [*reversed(stacked), Series("warm pool", "ink", warm)]
    seconds = result.scenario.seconds
    computes = plot("Computes awake, and warm", series, seconds=seconds, unit="")
    sessions = [
        Series(
            name,
            colour,
            [(at, float(getattr(row, name))) for at, row in zip(times, watched.rows, strict=True)],
        )
        for name, colour in (
            ("sessions", "ink"),
            ("parked", "waking"),
            ("attached", "awake"),
            ("waiting", "asleep"),
        )
    ]
    return _section("Computes awake and the warm pool", computes) + _section(
        "Sessions", plot("Sessions", sessions, seconds=seconds, unit="")
    )


def _cost(result: Result) -> str:
    ours, theirs = result.torpor.cu_seconds, result.always_on.cu_seconds
    if ours is None or theirs is None:
        return ""
    watched, seconds = result.watched, result.scenario.seconds
    spent, points, last = 0.0, [(0.0, 0.0)], watched.began_at
    for row in watched.rows:
        spent, last = spent + row.awake_cu * (row.at - last), row.at
        points.append((row.at - watched.began_at, spent))
    drawn = plot(
        "CU-seconds so far",
        [
            Series("always on", "rival", [(0.0, 0.0), (seconds, theirs)]),
            Series("Torpor", "awake", points),
        ],
        seconds=seconds,
        unit="CU·s",
    )
    words = (
        f"<p>{ours:.0f} CU-seconds of {theirs:.0f} that always-on computes would take, one CU for "
        f"each database: {ours / theirs:.0%}. At {CU_HOUR_PRICE} dollars for a CU-hour this load "
        f"costs {ours / seconds * CU_HOUR_PRICE:.3f} dollars an hour, and "
        f"{theirs / seconds * CU_HOUR_PRICE:.3f} always on.</p>"
    )
    return _section("Cost", words + drawn)


def _chains(wakes: Sequence[Transition]) -> str:
    if not wakes:
        return ""
    sums: Counter[str] = Counter()
    for wake in wakes:
        for span in wake.critical_chain:
            sums[f"{span.name} ({span.where})"] += span.ms  # type: ignore[assignment]
    steps = [
        (name, ms / len(wakes), f"{ms / len(wakes):.1f} ms")
        for name, ms in sums.most_common(STEPS_SHOWN)
    ]
    slowest = sorted(wakes, key=lambda wake: wake.total_ms, reverse=True)[:SLOWEST_SHOWN]
    rows = [
        (
            wake.database,
            wake.at[11:19],
            f"{wake.total_ms:.0f}",
            " → ".join(
                f"{span.name} {span.ms:.0f}" for span in wake.critical_chain if span.ms >= 0.5
            ),
        )
        for wake in slowest
    ]
    mean = sum(wake.total_ms for wake in wakes) / len(wakes)
    words = (
        f"<p>{len(wakes)} wakes, {mean:.0f} ms on average. Of the critical chain, on average:</p>"
    )
    columns = ("database", "at (UTC)", "ms", "critical chain, ms")
    table = _table(columns, rows, ends_in_prose=True)
    return _section(
        "Wakes and their chains",
        f"{words}{bars('Mean critical chain', steps, 'asleep')}<h3>The slowest</h3>{table}",
    )


def _databases(side: Side) -> str:
    """Who waits longer than others."""
    waits: dict[str, list[float]] = defaultdict(list)
    for sample, state in zip(side.samples, side.states, strict=True):
        if sample.part in judge.ASKING and not sample.error and state is not State.AWAKE:
            waits[sample.database].append(sample.waited_s * 1000)
    if len(waits) < 2:
        return ""
    rows = [
        (name, sum(found) / len(found), f"{sum(found) / len(found):.0f} ms")
        for name, found in sorted(waits.items())[:DATABASES_SHOWN]
    ]
    return _section("Mean wait for a wake, each database", bars("Mean wait", rows, "asleep"))


def _machine(result: Result) -> str:
    watched = result.watched
    times = [row.at - watched.began_at for row in watched.rows]
    programs = sorted({program for row in watched.rows for program in row.use.of})
    below, stacked = [0.0] * len(times), list[Series]()
    for number, program in enumerate(programs):
        below = [
            base + 100 * row.use.of.get(program, 0.0)
            for base, row in zip(below, watched.rows, strict=True)
        ]
        points = list(zip(times, below, strict=True))
        stacked.append(Series(program, f"use{number % 6}", points, "area"))
    drawn = plot("Processors", [*reversed(stacked)], seconds=result.scenario.seconds, unit="% busy")
    return _section("Who used the processors of this machine", drawn)


def _errors(result: Result) -> str:
    counts = Counter(
        (side.name, sample.part, sample.error)
        for side in (result.torpor, result.always_on)
        for sample in side.samples
        if sample.error
    )
    if not counts:
        return ""
    rows = [(*key, str(count)) for key, count in counts.most_common(ERRORS_SHOWN)]
    return _section("Errors", _table(("side", "part", "error", "times"), rows))


def _by_state(side: Side) -> dict[State, list[Point]]:
    found: dict[State, list[Point]] = {state: [] for state in State}
    for sample, state in zip(side.samples, side.states, strict=True):
        if sample.part in judge.ASKING and not sample.error:
            found[state].append((sample.at, sample.waited_s * 1000))
    return found


def _p99_by_second(points: Iterable[Point]) -> list[Point]:
    seconds: dict[int, list[float]] = defaultdict(list)
    for at, value in points:
        seconds[int(at)].append(value)
    return [(second + 0.5, percentile(found, 99)) for second, found in sorted(seconds.items())]


def _percentiles_ms(waits: Sequence[float]) -> tuple[float, float, float]:
    return percentile(waits, 50) * 1000, percentile(waits, 99) * 1000, max(waits) * 1000


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{body}\n</section>\n"


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, ends_in_prose: bool = False
) -> str:
    """``ends_in_prose``: on a phone the last cell of a row is below the others, as wide as all."""
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in columns)
    lines = [f"<tr>{head}</tr>"] if columns else []
    for row in rows:
        cells = "".join(
            f'<td class="{cell}">{cell}</td>'
            if cell in ("met", "missed")
            else f"<td>{escape(cell)}</td>"
            for cell in row
        )
        lines.append(f"<tr>{cells}</tr>")
    prose = f' class="prose" style="--columns: {len(columns) - 1}"' if ends_in_prose else ""
    return f'<div class="wide" tabindex="0"><table{prose}>{"".join(lines)}</table></div>'
