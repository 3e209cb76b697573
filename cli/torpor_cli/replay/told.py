"""What a replay says to people: what will be replayed, and what came of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from torpor_api.quantities import format_duration
from torpor_cli.output import count, printable, table
from torpor_cli.replay.figures import LATE_MS, Figures, Times
from torpor_cli.replay.outcome import QUANTILES, LogOutcome, Outcome
from torpor_cli.replay.statement import Contents
from torpor_cli.replay.use import Use
from torpor_cli.transition_text import transition_table

WAKES_SHOWN = 5
SLOWEST_SHOWN = 5
PLACES_SHOWN = 5


def contents(found: Contents, files: int) -> list[str]:
    """What is in a log, ahead of its replay."""
    where = f"{files} files: " if files > 1 else ""
    lines = [
        f"{where}{count(found.statements, 'statement')} of {count(found.sessions, 'session')} "
        f"over {format_duration(round(found.seconds))}"
    ]
    if found.writes:
        lines.append(f"it writes: {_counted(found.writes)}")
    else:
        lines.append("it writes nothing, as far as its words tell")
    lines += [f"left out: {times:,} × {why}" for why, times in found.left_out.most_common()]
    lines += [f"left out: the last line of {file}, which is not whole" for file in found.cut_off]
    if not found.has_ends:
        lines.append(
            "the log does not tell when sessions end (log_disconnections = on does): "
            "each ends with its last statement"
        )
    return lines


def log_story(outcome: LogOutcome, now: datetime) -> str:
    """The whole of it."""
    figures = outcome.figures
    early = ", ended early" if outcome.ended_early else ""
    head = (
        f"{figures.statements:,} of {outcome.expected:,} statements "
        f"of {count(figures.sessions, 'session')} in {format_duration(round(outcome.took_s))}, "
        f"{_pace(outcome.speed)}, on {outcome.target}{early}"
    )
    parts = [
        head,
        _latency(outcome),
        _slowest(figures),
        _errors(figures),
        *([] if outcome.use is None else [use_story(outcome, now)]),
        "\n".join(_hindrances(outcome)),
    ]
    return "\n\n".join(part for part in parts if part)


def use_story(outcome: Outcome, now: datetime) -> str:
    """How it slept, what woke it, and what that costs."""
    use = outcome.use
    if use is None or not use.seconds:
        return "the autoscaler was not heard: nothing is known of sleep, wakes and cost"
    lines = [
        f"asleep {_span(use.asleep_s)} of {_span(use.seconds)} "
        f"({use.asleep_s / use.seconds:.0%}), {_counted(Counter(use.counts)) or 'no transition'}"
    ]
    lines.append(_cost(outcome, use))
    if use.missed:
        lines.append(f"{use.missed} looks at it, one a second, were not answered")
    if use.wakes:
        slowest = sorted(use.wakes, key=lambda each: float(each["total_ms"]), reverse=True)
        lines += ["", f"its slowest wakes, of {use.wake_count:,}:"]
        lines.append(transition_table(slowest[:WAKES_SHOWN], now))
    return "\n".join(lines)


def at_time(seconds: float) -> str:
    """A moment of the log, as the log's own clock had it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def progress(outcome: LogOutcome, at_s: float, whole_s: float) -> str:
    """In one line, while it goes on."""
    figures = outcome.figures
    use = outcome.use
    parts = [f"{figures.statements:,} of {outcome.expected:,} statements"]
    if outcome.speed is not None:
        parts.insert(0, f"{_span(min(at_s, whole_s))} of {_span(whole_s)}")
    parts.append(count(figures.open, "session"))
    parts += [f"{figures.new_errors:,} new errors"] if figures.new_errors else []
    parts += [f"{figures.is_late:,} late"] if figures.is_late else []
    if use is not None and use.phase:
        parts.append(f"{use.phase}, {use.wake_count:,} wakes")
    return ", ".join(parts)


def _latency(outcome: LogOutcome) -> str:
    figures = outcome.figures
    if not figures.all.count:
        return ""
    if not figures.now.count:
        rows = [[name, _ms(figures.all.percentile(share))] for name, share in QUANTILES.items()]
        note = "the log does not tell how long statements took: log_min_duration_statement = 0 does"
        return f"{table(['LATENCY', 'NOW'], rows, right=[1])}\n{note}"
    rows = [
        [name, _ms(now), _ms(log), f"{now / log:.2f}"]
        for name, now, log in _compared(figures.now, figures.in_log)
    ]
    lines = [table(["LATENCY", "NOW", "IN THE LOG", "RATIO"], rows, right=[1, 2, 3])]
    lines.append(
        f"of {count(figures.now.count, 'statement')}; now with the way to the endpoint and back"
        f"{f' through {outcome.through}' if outcome.through else ''}, in the log without it"
    )
    return "\n".join(lines)


def _compared(now: Times, log: Times) -> Iterable[tuple[str, float, float]]:
    for name, share in QUANTILES.items():
        yield name, now.percentile(share) or 0.0, max(log.percentile(share) or 0.0, 0.001)
    yield "mean", now.sum_ms / now.count, max(log.sum_ms / log.count, 0.001)


def _slowest(figures: Figures) -> str:
    rows = [
        [_ms(each.ms), _ms(each.log_ms), _span(each.at_s), each.where]
        for each in sorted(figures.slowest, reverse=True)[:SLOWEST_SHOWN]
    ]
    if not rows:
        return ""
    return table(["SLOWEST", "IN THE LOG", "AT", "LINE"], rows, right=[0, 1, 2])


def _errors(figures: Figures) -> str:
    if not figures.errors:
        return "no statement failed"
    rows = [
        [sqlstate, f"{each.now:,}", f"{each.in_log:,}", f"{each.new:,}"]
        for sqlstate, each in sorted(figures.errors.items())
    ]
    lines = [table(["SQLSTATE", "NOW", "IN THE LOG", "NEW"], rows, right=[1, 2, 3])]
    if figures.new_at:
        shown = ", ".join(figures.new_at[:PLACES_SHOWN])
        more = ", …" if figures.new_errors > PLACES_SHOWN else ""
        lines.append(f"failed now and not in the log: {shown}{more}")
    return "\n".join(lines)


def _hindrances(outcome: LogOutcome) -> list[str]:
    """What kept the replay from being the log."""
    figures, lines = outcome.figures, []
    for said, times in figures.not_connected.most_common(PLACES_SHOWN):
        lines.append(f"{count(times, 'session')} could not connect: {printable(said)}")
    if figures.lost:
        lines.append(f"{count(figures.lost, 'session')} lost the connection")
    if figures.not_run:
        lines.append(f"not run, for want of a connection: {count(figures.not_run, 'statement')}")
    if figures.refused_writes:
        lines.append(f"--only-reads kept {count(figures.refused_writes, 'statement')} from writing")
    if figures.held_up:
        lines.append(
            f"{count(figures.held_up, 'session')} waited until another one had ended, for up to "
            f"{_span(figures.held_up_most_s)}: more may be open with --sessions-max"
        )
    if figures.out_of_order:
        lines.append(
            f"{count(figures.out_of_order, 'statement')} did not wait any longer for others that "
            "had ended before in the log"
        )
    if figures.is_late:
        lines.append(
            f"{count(figures.is_late, 'statement')} began {LATE_MS:g} ms or more behind the time "
            f"(p99 {_ms(figures.late.percentile(0.99))}, at most {_ms(figures.late.most_ms)}): "
            "a wake, those before them, or this machine took longer"
        )
    if outcome.use is not None and (outcome.speed is None or outcome.speed > 1):
        lines.append(
            "pauses were shorter than in the log, so it slept less than it would: "
            "what is told of wakes, sleep and cost holds for --speed 1 only"
        )
    return lines


def _cost(outcome: Outcome, use: Use) -> str:
    always_s = use.seconds * use.cu_most
    always = always_s / 3600 * outcome.price
    less = f", {1 - use.cu_s / always_s:.0%} less" if always_s else ""
    return (
        f"{_cu_seconds(use.cu_s)} CU-seconds, {_dollars(outcome.dollars)}; "
        f"always on with {use.cu_most:g} CU {_cu_seconds(always_s)}, {_dollars(always)}{less} "
        f"(at ${outcome.price:g} a CU-hour)"
    )


def _cu_seconds(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 10 else f"{amount:.2g}"


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.3g}"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.most_common())


def _pace(speed: float | None) -> str:
    if speed is None:
        return "as fast as it went"
    return "at the log's own speed" if speed == 1 else f"at {speed:g} times its speed"


def _span(seconds: float) -> str:
    return f"{seconds:.1f}s" if seconds < 10 else format_duration(round(seconds))


def _ms(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"
