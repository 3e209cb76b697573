"""Every command of the console: its words, what it takes, what it answers, who may. Pure.

``SHOW HELP`` and the table in ``docs/console.md`` are made of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from torpor_api.console import ConsoleRight
from torpor_proxy.console.values import Column, columns


class Takes(Enum):
    """What stands behind a verb's words."""

    NOTHING = ""
    MAY_NAME = " [NAME]"
    NAME = " NAME"
    NAME_AND_SIZE = " NAME TO CU"


@dataclass(frozen=True, slots=True, eq=False)
class Verb:
    """One command. Without columns it answers no rows."""

    words: str
    what: str
    """For a person."""
    columns: tuple[Column, ...] = ()
    takes: Takes = Takes.NOTHING
    right: ConsoleRight = ConsoleRight.SHOW

    @property
    def tag(self) -> str:
        """Of its CommandComplete."""
        return self.words.partition(" ")[0]

    @property
    def spelling(self) -> str:
        return self.words + self.takes.value


SHOW_DATABASES = Verb(
    "SHOW DATABASES",
    "every database: phase, size, sessions, wakes of the last hour, why it is awake",
    columns(
        "name text, phase text, ready bool, cu float8, max_cu float8, sessions int8, "
        "attached int8, parked int8, waiting int8, busy int8, pinned int8, queries_per_s float8, "
        "cpu float8, memory_bytes int8, wakes_last_hour int8, slowest_wake_ms float8, "
        "last_wake_ms float8, last_wake_at timestamptz, last_wake_cause text, pool text, "
        "compute text, epoch int8, why text, wakes_known_since timestamptz"
    ),
)

SHOW_SESSIONS = Verb(
    "SHOW SESSIONS",
    "clients that are connected, parked ones too; of one database or of all",
    columns(
        "database text, session int8, user text, dbname text, application text, client text, "
        "state text, since_s float8, reason text, process_id int8, backend_process_id int8, "
        "captured bool, proxy text"
    ),
    Takes.MAY_NAME,
)

SHOW_WAKES = Verb(
    "SHOW WAKES",
    "the latest resumes and failovers, of one database or of all, and the step that took longest",
    columns(
        "at timestamptz, database text, kind text, total_ms float8, slowest_step text, "
        "slowest_step_ms float8, cause text, epoch int8, compute text, failure text, "
        "recorded bool, unfinished bool"
    ),
    Takes.MAY_NAME,
)

SHOW_CHAIN = Verb(
    "SHOW CHAIN",
    "the steps of a database's latest resume, suspend, switchover or failover, with their slack",
    columns(
        "at timestamptz, kind text, depth int8, step text, where text, begin_ms float8, "
        "ms float8, slack_ms float8, critical bool, "
        "recorded bool, unfinished bool"
    ),
    Takes.NAME,
)

SHOW_POOLS = Verb(
    "SHOW POOLS",
    "warm pools: how many computes wait, how many serve, how many are wanted and why",
    columns("pool text, wanted int8, warm int8, claimed int8, waiting int8, why text"),
)

SHOW_COMPUTES = Verb(
    "SHOW COMPUTES",
    "every compute, and the database that it serves",
    columns(
        "compute text, state text, pool text, node text, database text, epoch int8, cu float8, "
        "outdated bool"
    ),
)

SHOW_PROXIES = Verb(
    "SHOW PROXIES",
    "every proxy, and which of them serves this console",
    columns("proxy text, here bool"),
)

SHOW_STATS = Verb(
    "SHOW STATS",
    "sessions and queries of each database in this proxy, since it first served the database",
    columns(
        "database text, sessions int8, attached int8, parked int8, waiting int8, busy int8, "
        "in_flight int8, queries_total int8, query_s_total float8, query_ms_mean float8, "
        "idle_s float8"
    ),
)

SHOW_WHY = Verb(
    "SHOW WHY",
    "why a database is awake, or why it can't wake: a reason a row",
    columns("database text, phase text, reason text"),
    Takes.NAME,
)

SHOW_DECISIONS = Verb(
    "SHOW DECISIONS",
    "what was decided about a database, and by which figure",
    columns(
        "since timestamptz, policy text, follows text, metric text, value float8, "
        "threshold float8, unit text, window_s float8, line text"
    ),
    Takes.NAME,
)

SHOW_VERSION = Verb("SHOW VERSION", "which release this proxy is of", columns("version text"))

SHOW_HELP = Verb("SHOW HELP", "this", columns("command text, right text, what text"))

SUSPEND = Verb(
    "SUSPEND",
    "put a database to sleep now; refused while a session is busy or pinned",
    (),
    Takes.NAME,
    ConsoleRight.ADMIN,
)

RESUME = Verb(
    "RESUME",
    "wake a database; it falls asleep again as after any use",
    columns("database text, epoch int8, wait_ms float8"),
    Takes.NAME,
    ConsoleRight.ADMIN,
)

SWITCHOVER = Verb(
    "SWITCHOVER",
    "move an awake database to a fresh compute; sessions stay",
    columns("database text, epoch int8, compute text, pause_ms float8"),
    Takes.NAME,
    ConsoleRight.ADMIN,
)

RESIZE = Verb(
    "RESIZE",
    "give an awake database this many compute units until it next sleeps",
    columns("database text, cu float8, pause_ms float8, needs_restart text"),
    Takes.NAME_AND_SIZE,
    ConsoleRight.ADMIN,
)

VERBS = (
    *(SHOW_DATABASES, SHOW_SESSIONS, SHOW_WAKES, SHOW_CHAIN, SHOW_POOLS, SHOW_COMPUTES),
    *(SHOW_PROXIES, SHOW_STATS, SHOW_WHY, SHOW_DECISIONS, SHOW_VERSION, SHOW_HELP),
    *(SUSPEND, RESUME, SWITCHOVER, RESIZE),
)

BY_WORDS = {verb.words: verb for verb in VERBS}

OF_PGBOUNCER = {
    "SHOW CLIENTS": SHOW_SESSIONS,
    "SHOW SERVERS": SHOW_COMPUTES,
    "SHOW SOCKETS": SHOW_SESSIONS,
    "SHOW STATS_TOTALS": SHOW_STATS,
    "SHOW STATS_AVERAGES": SHOW_STATS,
    "SHOW PEERS": SHOW_PROXIES,
    "PAUSE": SUSPEND,
}
"""What PgBouncer's users try, and what comes nearest: said in a hint, for it is not the same."""
