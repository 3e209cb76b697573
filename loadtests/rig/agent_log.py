"""What agents of a `torpor up` have written of themselves."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path


def stopped_at(log: Path) -> dict[str, list[float]]:
    """When each database's Postgres was told to stop, by ``time.monotonic``."""
    since_1970_s = time.time() - time.monotonic()
    found: dict[str, list[float]] = defaultdict(list)
    for text in log.read_text().splitlines():
        if not text.startswith("{"):
            continue  # Postgres's own.
        line = json.loads(text)
        if line["event"] == "agent_state" and line["state"] == "stopping":
            at = datetime.fromisoformat(line["at"]).timestamp()
            found[line["database"]].append(at - since_1970_s)
    return found
