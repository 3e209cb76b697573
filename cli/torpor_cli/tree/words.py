"""What is said of a node in a line. Pure: what was told in, words out."""

from __future__ import annotations

from torpor_cli.client import Json
from torpor_cli.output import age, count, printable, shortened

WORDS_CHARACTERS_MAX = 100
"""Of a reason in a tree; `torpor why` has it whole."""


def of_pool(row: Json) -> str:
    if "wanted" not in row:
        return "not known to the autoscaler"
    parts = [f"{row['warm']} of {row['wanted']} warm", f"{row['claimed']} claimed"]
    if row["waiting"]:
        parts.append(f"{count(row['waiting'], 'database')} waiting for a compute")
    return ", ".join(parts)


def of_compute(row: Json) -> str:
    parts = [row["state"]]
    if row["cu"] is not None:
        parts.append(f"{float(row['cu']):g} CU")
    if row["epoch"] is not None:
        parts.append(f"epoch {row['epoch']}")
    if row["node"]:
        parts.append(f"on {row['node']}")
    if row["is_outdated"]:
        parts.append("outdated")
    return ", ".join(parts)


def of_database(row: Json) -> str:
    parts = [row["phase"]]
    if row["phase"] == "Active":
        parts.append(f"{float(row['cu']):g} CU")
    if row["sessions"]:
        parts.append(f"{count(row['sessions'], 'session')}{_standings(row)}")
    if row["why"]:
        parts.append(reason(row["why"]))
    return ", ".join(parts)


def of_volume(row: Json) -> str:
    return f"on claim {row['claim']}" if row.get("claim") else ""


def of_session(session: Json) -> str:
    who = f"{session['user']}@{session['dbname']} from {session['client']}"
    parts = [f"{session['state']} for {age(session['since_s'])}", printable(who)]
    if session["application"]:
        parts.append(printable(session["application"]))
    return ", ".join(parts) + (f": {reason(session['reason'])}" if session["reason"] else "")


def reason(text: str) -> str:
    return shortened(printable(text), WORDS_CHARACTERS_MAX)


def _standings(row: Json) -> str:
    told = [
        f"{row[standing]:,} {standing}"
        for standing in ("attached", "parked", "waiting", "pinned")
        if row[standing]
    ]
    return f" ({', '.join(told)})" if told else ""
