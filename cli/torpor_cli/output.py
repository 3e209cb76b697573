"""What the verbs print, as text. Pure: resources in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from torpor_api.identity import endpoint_name

Json = dict[str, Any]

BAR_CHARACTERS, BAR_CHARACTERS_MIN = 32, 8
REASON_CHARACTERS_MAX = 60
"""In a table; `torpor why` shows reasons whole."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Aligned columns, two spaces between them; ``right``: the columns of numbers."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    flush_right = set(right)

    def cell(column: int, text: str) -> str:
        return text.rjust(widths[column]) if column in flush_right else text.ljust(widths[column])

    return "\n".join(
        "  ".join(cell(column, text) for column, text in enumerate(line)).rstrip() for line in lines
    )


def resource_table(resources: Sequence[Json], now: datetime, *, is_wide: bool = False) -> str:
    """One line a database."""
    header = ["NAME", "PHASE", "EPOCH", "LAST RESUME", "WHY AWAKE"]
    wide = ["COMPUTE", "IDLE TIMEOUT", "ENDPOINT", "AGE"]
    rows = []
    for resource in resources:
        status = resource["status"]
        row = [
            name_of(resource),
            status["phase"],
            str(status["epoch"]),
            last_resume(status.get("lastResume"), now),
            shortened(_reasons(status)),
        ]
        if is_wide:
            row += [
                status.get("compute") or "-",
                resource["spec"]["idleTimeout"],
                endpoint(status.get("endpoint")),
                ago(resource["metadata"].get("creationTimestamp", ""), now),
            ]
        rows.append(row)
    return table(header + wide if is_wide else header, rows, right=[2])


def resource_story(resource: Json, now: datetime) -> str:
    """Everything about one database, for a person."""
    metadata, spec, status = resource["metadata"], resource["spec"], resource["status"]
    facts = [
        ("Name", name_of(resource)),
        ("Phase", status["phase"]),
        ("Endpoint", endpoint(status.get("endpoint"))),
        ("Epoch", str(status["epoch"])),
        ("Compute", status.get("compute") or "-"),
        ("Size", _size(spec, status)),
        ("Idle timeout", spec["idleTimeout"] + (" (kept awake)" if spec["keepAwake"] else "")),
        ("Roles", ", ".join(role["name"] for role in spec["roles"])),
        ("Databases", ", ".join(database["name"] for database in spec["databases"])),
        ("Age", ago(metadata.get("creationTimestamp", ""), now)),
        ("Last resume", last_resume(status.get("lastResume"), now)),
        ("Last switchover", last_switchover(status.get("lastSwitchover"), now)),
    ]
    width = max(len(name) for name, _ in facts) + 1
    lines = [f"{name + ':':<{width}}  {value}" for name, value in facts]
    lines += _block("Schedules", [_schedule(each) for each in spec.get("schedules", ())])
    lines += _block("Jobs of pg_cron", _jobs(status.get("cronJobs")))
    lines += _block("Why awake", status.get("whyAwake", ()))
    lines += _block("Decided", [_decided(one, now) for one in status.get("decisions", ())])
    conditions = [
        f"{each['type']}={each['status']} ({each['reason']}) {each.get('message', '')}".rstrip()
        for each in status.get("conditions", ())
    ]
    return "\n".join(lines + _block("Conditions", conditions))


def steps_table(steps: Sequence[Json], total_ms: float) -> str:
    """One line a step, and their total."""
    rows, passed_ms = [], 0.0
    for step in steps:
        share = bar(passed_ms, step["ms"], max(total_ms, 0.001))
        rows.append([step["name"], step["where"], f"{step['ms']:.1f}", share])
        passed_ms += step["ms"]
    rows.append(["total", "", f"{total_ms:.1f}", ""])
    return table(["STEP", "WHERE", "MS", ""], rows, right=[2])


def session_table(sessions: Sequence[Json], *, is_wide: bool = False) -> str:
    """One line a session."""
    header = ["SESSION", "USER", "DATABASE", "APPLICATION", "CLIENT", "STATE", "SINCE", "REASON"]
    wide = ["PROXY", "PROCESS ID", "BACKEND"]
    rows = []
    for session in sessions:
        row = [
            str(session["session"]),
            session["user"],
            session["dbname"],
            session["application"] or "-",
            session["client"],
            session["state"],
            age(session["since_s"]),
        ]
        if is_wide:
            row += [session["proxy"], str(session["process_id"])]
            row.append(str(session["backend_process_id"] or "-"))
        rows.append([printable(cell) for cell in (*row, session["reason"])])
    columns = header[:-1] + wide + header[-1:] if is_wide else header
    return table(columns, rows, right=[0, 8, 9] if is_wide else [0])


def decision_table(decisions: Sequence[Json]) -> str:
    """One line a decision, in the time of this machine."""
    rows = [[_local(one["since"]), one["loop"], printable(one["line"])] for one in decisions]
    return table(["SINCE", "LOOP", "DECISION"], rows)


def reason_list(told: Json) -> str:
    """Why a database is awake, and which decisions hold now."""
    lines = [
        f"{told['name']} is {told['phase']}",
        *(f"  {printable(line)}" for line in told["reasons"]),
    ]
    if told.get("decisions"):  # An autoscaler of the release before tells none.
        lines += ["", decision_table(told["decisions"])]
    return "\n".join(lines)


def last_resume(chain: Json | None, now: datetime) -> str:
    """How long it took and when it was."""
    if chain is None:
        return "-"
    total_ms = chain["totalMs"] if "totalMs" in chain else chain["total_ms"]
    return f"{total_ms:.0f} ms, {ago(chain.get('at', ''), now)} ago"


def last_switchover(move: Json | None, now: datetime) -> str:
    """How long clients waited for at most, when it was, and to which epoch it led."""
    if move is None:
        return "-"
    pause = f"{move['pauseMs']:.0f} ms pause"
    return f"{pause}, {ago(move.get('at', ''), now)} ago, to epoch {move['epoch']}"


def name_of(resource: Json) -> str:
    """The endpoint name: what all verbs are given."""
    metadata = resource["metadata"]
    return endpoint_name(metadata["name"], metadata["namespace"])


def endpoint(value: Json | None) -> str:
    return "-" if value is None else f"{value['host']}:{value['port']}"


def ago(timestamp: str, now: datetime) -> str:
    """The age of a time in its largest unit, as kubectl shows it."""
    if not timestamp:
        return "?"
    return age((now - datetime.fromisoformat(timestamp)).total_seconds())


def _decided(decision: Json, now: datetime) -> str:
    figure = f"{decision['value']:g} against {decision['threshold']:g} {decision['unit']}".rstrip()
    words = f"{decision['loop']}: {decision['follows']} ({decision['metric']} {figure})"
    return f"{words}, {ago(decision['since'], now)} ago"


def _local(timestamp: str) -> str:
    return datetime.fromisoformat(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def count(number: int, thing: str) -> str:
    """``1 session``, ``2 sessions``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def age(seconds: float) -> str:
    """In the largest unit, rounded down."""
    seconds = max(0, int(seconds))
    for unit, unit_seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * unit_seconds:
            return f"{seconds // unit_seconds}{unit}"
    return f"{seconds}s"


def as_kubernetes_holds(resource: Json) -> Json:
    """Without the places for passwords, which no stored resource fills."""
    roles = [
        {key: value for key, value in role.items() if key != "password"}
        for role in resource["spec"]["roles"]
    ]
    return {**resource, "spec": {**resource["spec"], "roles": roles}}


def _size(spec: Json, status: Json) -> str:
    """What it has now, and what it may have."""
    current, chosen = status.get("currentCU"), status.get("chosenCU")
    bounds = f"{spec['minCU']:g} to {spec['maxCU']:g} CU"
    if current is None:
        return f"asleep ({bounds})" if status["phase"] == "Suspended" else f"- ({bounds})"
    words = "" if chosen is None else f", {chosen:g} chosen until its next sleep"
    return f"{current:g} CU ({bounds}{words})"


def _schedule(one: Json) -> str:
    """``0 8 * * mon-fri Europe/Berlin for 10h, 0.5 CU or more``."""
    size = f", {one['minCU']:g} CU or more" if one["minCU"] else ""
    return f"{one['cron']} {one['timeZone']} for {one['duration']}{size}"


def _jobs(jobs: Json | None) -> list[str]:
    """As they were told last."""
    if jobs is None:
        return []
    return [f"{printable(one)} {printable(jobs['timeZone'])}" for one in jobs["schedules"]]


def _reasons(status: Json) -> str:
    if status.get("whyAwake"):
        return "; ".join(status["whyAwake"])
    if status["phase"] == "Failed":
        return "; ".join(c["message"] for c in status.get("conditions", ()) if c["message"])
    return ""


def shortened(text: str, characters_max: int = REASON_CHARACTERS_MAX) -> str:
    """For a cell of a table."""
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def printable(text: str) -> str:
    """Clients choose their names: what would move the cursor or break the line is replaced."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _block(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def bar(before_ms: float, ms: float, total_ms: float, characters: int = BAR_CHARACTERS) -> str:
    """As long as its share of the whole, which has ``characters``, and beginning where it began."""
    begin = min(round(before_ms / total_ms * characters), characters - 1)
    length = max(1, round(ms / total_ms * characters))
    return " " * begin + "█" * min(length, characters - begin)
