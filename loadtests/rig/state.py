"""Sessions with something to lose: what a client sends to have settings and prepared statements.

Values differ from session to session, so that nothing is flattered by what sessions share.
"""

from __future__ import annotations

from dataclasses import dataclass

from rig.client import message, query_packet

NUMBERS = (
    "work_mem",
    "maintenance_work_mem",
    "temp_buffers",
    "effective_cache_size",
    "statement_timeout",
    "lock_timeout",
    "transaction_timeout",
    "idle_in_transaction_session_timeout",
    "geqo_pool_size",
    "min_parallel_table_scan_size",
    "min_parallel_index_scan_size",
    "gin_pending_list_limit",
    "gin_fuzzy_search_limit",
    "vacuum_freeze_min_age",
)
"""Settings that anybody may set to a number of six digits."""

TEXTS = ("application_name", "search_path", "app.tenant", "app.user_id", "app.request", "app.trace")
"""And to a name; those with a dot are custom ones, which Postgres can't list."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much a session has."""

    name: str
    settings: int = 0
    statements: int = 0

    def setting_words(self, salt: int) -> list[str]:
        words = [f"SET {name} = {_number(salt)}" for name in NUMBERS]
        words += [f"SET {name} = 'of session {salt}'" for name in TEXTS]
        assert self.settings in (0, len(words))
        return words[: self.settings]

    def messages(self, salt: int) -> bytes:
        """All of it in one write, as fast as a client can ask for it; ``readies`` answers end."""
        data = b""
        if self.settings:
            data += query_packet("; ".join(self.setting_words(salt)))
        if self.statements:
            data += b"".join(_parse(salt, number) for number in range(self.statements))
            data += message(b"S", b"")
        return data

    @property
    def readies(self) -> int:
        """ReadyForQuery messages that answer it."""
        return bool(self.settings) + bool(self.statements)


def _number(salt: int) -> int:
    return 100_000 + salt % 100_000


def _parse(salt: int, number: int) -> bytes:
    name, sql = f"s{salt}_{number}", f"SELECT $1::int + {salt} * {number}"
    return message(b"P", name.encode() + b"\0" + sql.encode() + b"\0\0\0")


NOTHING = Load("no state")
SETTINGS = Load("20 settings", settings=20)
STATEMENTS = Load("100 statements", statements=100)
BOTH = Load("20 settings, 20 statements", settings=20, statements=20)
