"""The events that docs/logs.md has."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tidy.tree import ROOT
from torpor_api.logs import COMPONENTS

TEXT = (ROOT / "docs" / "logs.md").read_text()


@dataclass
class Event:
    """One event, as all calls together have it or the document."""

    levels: set[str] = field(default_factory=set)
    components: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


def documented() -> dict[str, Event]:
    """The rows of the document's table."""
    row = re.compile(r"^\| `(\w+)` \| ([\w, ]+) \| ([\w, ]+) \| ([\w`, ]*) \| .+ \|$", re.MULTILINE)
    return {
        name: Event(
            set(levels.split(", ")),
            set(COMPONENTS) if of == "all" else set(of.split(", ")),
            set(re.findall(r"`(\w+)`", fields)),
        )
        for name, levels, of, fields in row.findall(TEXT)
    }
