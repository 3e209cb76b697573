"""A screenful of lines: so many, and none wider than the screen. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from unicodedata import east_asian_width

from torpor_cli.client import Json
from torpor_cli.output import ago, count, printable, session_table
from torpor_cli.top.pressed import KEYS
from torpor_cli.top.view import Page, Seen, Sort, View, in_order, index_of
from torpor_cli.transition_text import transition_tree
from torpor_cli.tree.tables import bytes_in_words

STALE_SECONDS = 15.0
"""What is older is called so."""

SESSIONS_SHOWN_MAX = 100
"""Of a database that is looked at."""

NAME_CHARACTERS_MIN, NAME_CHARACTERS_MAX = 12, 40
WHY_CHARACTERS_MIN = 24
"""Columns give way before names and reasons do."""

INDENT = "  "
"""Of what is told of one database."""

HEADER_LINES = 3
"""The sums, the pools, and the titles of the columns."""


@dataclass(frozen=True, slots=True)
class Styled:
    """A line, and how it looks: ``plain``, ``title``, ``selected``, ``dim``, ``good``, ``busy``,
    ``bad``."""

    text: str
    style: str = "plain"


def screenful(height: int) -> int:
    """Lines of a page: the first ones and the last have a use of their own."""
    return max(1, height - HEADER_LINES - 1)


def frame(view: View, seen: Seen, width: int, height: int, now: datetime) -> list[Styled]:
    """Exactly ``height`` lines of at most ``width`` columns."""
    rows = in_order(seen.rows, view)
    head = [Styled(_sums(seen), "title"), Styled(_pools(seen), "dim")]
    match view.page:
        case Page.FLEET:
            head.append(Styled(_titles(view, width), "title"))
            body = _fleet(view, rows, width, screenful(height), now)
        case Page.DATABASE:
            head.append(Styled(view.selected, "title"))
            body = _scrolled(_database(view, seen, width, now), view.first, screenful(height))
        case Page.HELP:
            head.append(Styled("Keys", "title"))
            lines = [Styled(f"  {keys:<12}{words}") for keys, words in KEYS]
            body = _scrolled(lines, view.first, screenful(height))
    body += [Styled("")] * (screenful(height) - len(body))
    lines = [*head, *body, _foot(view, seen, len(rows))]
    return [Styled(fitted(line.text, width), line.style) for line in lines[:height]]


def fitted(text: str, width: int) -> str:
    """No wider than that, in columns of a terminal; what is cut ends with an ellipsis."""
    text = printable(text)
    if len(text) <= width and text.isascii():
        return text
    used = 0
    for index, character in enumerate(text):
        used += 2 if east_asian_width(character) in "WF" else 1
        if used > width:
            return text[: max(0, index - 1)] + "…"[:width]
    return text


def _sums(seen: Seen) -> str:
    counts: dict[str, int] = {}
    for row in seen.rows:
        counts[row["phase"]] = counts.get(row["phase"], 0) + 1
    awake = [row for row in seen.rows if row["compute"]]
    phases = ", ".join(f"{count:,} {phase}" for phase, count in sorted(counts.items()))
    units = sum(float(row["cu"]) for row in awake)
    sessions = sum(row["sessions"] for row in seen.rows)
    wakes = sum(row["wakes_last_hour"] for row in seen.rows)
    told = count(wakes, "wake") + (" or more" if any(map(_may_be_more, seen.rows)) else "")
    rest = [f"{units:g} CU awake", count(sessions, "session"), told]
    databases = count(len(seen.rows), "database") + (f": {phases}" if phases else "")
    return f"{databases}; {', '.join(rest)} in the last hour"


def _pools(seen: Seen) -> str:
    each = (
        f"pool {pool['name'] or 'default'}: {pool['warm']}/{pool['wanted']} warm, "
        f"{pool['claimed']} claimed" + (f", {pool['waiting']} waiting" if pool["waiting"] else "")
        for pool in seen.pools
    )
    return "; ".join(each)


@dataclass(frozen=True, slots=True)
class _Column:
    sort: Sort
    width: int
    cell: Callable[[Json, datetime], str]
    worth: int
    """Columns that are worth less give way first."""
    is_left: bool = False


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _may_be_more(row: Json) -> bool:
    """Wakes than are counted; an autoscaler of the release before says nothing of it."""
    return bool(row.get("wakes_known_since"))


def _wakes(row: Json) -> str:
    return f"{row['wakes_last_hour']:,}" + ("+" if _may_be_more(row) else "")


def _last(row: Json, now: datetime) -> str:
    if row["last_wake_ms"] is None:
        return "-"
    return f"{row['last_wake_ms']:,.0f}ms {ago(row['last_wake_at'], now):>4}"


_COLUMNS = (
    _Column(Sort.PHASE, 10, lambda row, _: str(row["phase"]), 9, is_left=True),
    _Column(Sort.CU, 5, lambda row, _: f"{float(row['cu']):g}" if row["compute"] else "-", 5),
    _Column(Sort.SESSIONS, 8, lambda row, _: f"{row['sessions']:,}", 8),
    _Column(Sort.QUERIES, 7, lambda row, _: _number(row["queries_per_s"]), 6),
    _Column(Sort.CPU, 5, lambda row, _: _number(row["cpu"], 2), 4),
    _Column(Sort.MEMORY, 9, lambda row, _: bytes_in_words(row["memory_bytes"]), 3),
    _Column(Sort.WAKES, 7, lambda row, _: _wakes(row), 7),
    _Column(Sort.SLOWEST, 8, lambda row, _: _number(row["slowest_wake_ms"]), 2),
    _Column(Sort.LAST, 12, _last, 1),
)
"""Behind the name; in front of the reason, which takes what is left."""


def _columns(width: int) -> list[_Column]:
    """As many as leave room for names and reasons."""
    chosen, kept = list(_COLUMNS), NAME_CHARACTERS_MIN + 2 + WHY_CHARACTERS_MIN
    while len(chosen) > 1 and kept + sum(each.width + 2 for each in chosen) > width:
        chosen.remove(min(chosen, key=lambda each: each.worth))
    return chosen


def _name_width(width: int, columns: Sequence[_Column]) -> int:
    """Half of what the columns leave; the other half is the reason's."""
    rest = width - sum(each.width + 2 for each in columns)
    return min(max(NAME_CHARACTERS_MIN, rest // 2), NAME_CHARACTERS_MAX)


def _titles(view: View, width: int) -> str:
    columns = _columns(width)
    arrow = "^" if view.is_reversed else "v"

    def title(sort: Sort) -> str:
        return f"{sort.value.upper()}{arrow if sort is view.sort else ''}"

    cells = [
        fitted(title(Sort.NAME), _name_width(width, columns)).ljust(_name_width(width, columns))
    ]
    for each in columns:
        text = title(each.sort)[: each.width]
        cells.append(text.ljust(each.width) if each.is_left else text.rjust(each.width))
    return "  ".join([*cells, "WHY"])


def _fleet(
    view: View, rows: Sequence[Json], width: int, height: int, now: datetime
) -> list[Styled]:
    """The page with the one that is selected, which is in the middle where it can be."""
    at = index_of(rows, view.selected)
    first = max(0, min(at - height // 2, len(rows) - height))
    columns = _columns(width)
    return [
        Styled(
            _row(row, columns, _name_width(width, columns), now),
            "selected" if index == at else _style(row),
        )
        for index, row in enumerate(rows[first : first + height], first)
    ]


def _row(row: Json, columns: Sequence[_Column], name_width: int, now: datetime) -> str:
    cells = [fitted(row["name"], name_width).ljust(name_width)]
    for each in columns:
        text = each.cell(row, now)[: each.width]
        cells.append(text.ljust(each.width) if each.is_left else text.rjust(each.width))
    return "  ".join([*cells, row["why"]]).rstrip()


def _style(row: Json) -> str:
    if not row["is_ready"]:
        return "bad"
    styles = {"Active": "good", "Suspended": "dim", "Failed": "bad"}
    return styles.get(row["phase"], "busy")


def _database(view: View, seen: Seen, width: int, now: datetime) -> list[Styled]:
    told = seen.opened
    if told.get("name") != view.selected:
        return [Styled("asking …", "dim")]
    if told.get("failure"):
        return [Styled(told["failure"], "bad")]
    lines = [Styled(f"{INDENT}{reason}") for reason in told["why"]["reasons"]]
    lines.insert(0, Styled(f"It is {told['why']['phase']}", "title"))
    lines += [Styled(""), Styled("Its last wake", "title")]
    if told["wake"] is None:
        lines.append(Styled(f"{INDENT}nothing is known of it yet", "dim"))
    else:
        text = transition_tree(told["wake"], now, width - len(INDENT))
        lines += [Styled(f"{INDENT}{line}") for line in text.splitlines()]
    sessions = told["sessions"]["sessions"]
    lines += [Styled(""), Styled(count(told["sessions"]["total"], "session"), "title")]
    if sessions:
        lines += [Styled(f"{INDENT}{line}") for line in session_table(sessions).splitlines()]
    return lines


def _scrolled(lines: Sequence[Styled], first: int, height: int) -> list[Styled]:
    first = max(0, min(first, len(lines) - height))
    return list(lines[first : first + height])


def _foot(view: View, seen: Seen, shown: int) -> Styled:
    if view.asks is not None:
        question = f"{view.asks.verb.capitalize()} {view.asks.name}? y: yes, any other key: no"
        return Styled(question, "selected")
    if view.is_typing:
        return Styled(f"/{view.filter}_  ({shown:,} found; Enter keeps it, Esc clears it)", "title")
    if seen.failure:
        return Styled(seen.failure, "bad")
    if view.says:
        return Styled(view.says, "title")
    stale = f"  {seen.age_s:.0f} s old" if seen.age_s > STALE_SECONDS else ""
    only = f"  only /{view.filter}: {shown:,}" if view.filter else ""
    return Styled(
        f"?: keys  /: filter  < >: order  s r: suspend, resume  q: end{only}{stale}", "dim"
    )
