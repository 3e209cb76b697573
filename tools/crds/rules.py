"""What the API server refuses beyond types and bounds, in CEL, each with what to write instead.

The same as the models refuse, as far as CEL can say it; and what only a cluster has to refuse: a
password in the resource itself, and a change that would leave the data behind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torpor_api.cron import PATTERN
from torpor_api.postgres_names import (
    DATABASE_NAMES_RESERVED,
    POSTGRES_NAME_BYTES_MAX,
    ROLE_NAMES_RESERVED,
)
from torpor_api.resource import TARGET_LATENCY_SECONDS_MAX
from torpor_api.rhythm import WINDOW_SECONDS_MAX
from torpor_api.values import AUTO, IDLE_TIMEOUT_SECONDS_MAX
from torpor_api.warm_pool import OWN_KEYS_REFUSED, OWN_LABELS, OWN_PREFIX


@dataclass(frozen=True, slots=True)
class Place:
    """A model, one of its fields, or what a list in that field consists of."""

    model: str
    field: str = ""
    is_item: bool = False

    def item(self) -> Place:
        return replace(self, is_item=True)


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition that must hold."""

    rule: str
    message: str
    field_path: str = ""
    """Where the fault is shown, where that is a part of the place."""

    def as_schema(self) -> dict[str, str]:
        path = {"fieldPath": self.field_path} if self.field_path else {}
        return {"rule": self.rule, "message": self.message, **path}


LIST_KEYS = {
    Place("DatabaseStatus", "conditions"): "type",
    Place("WarmPoolStatus", "conditions"): "type",
}
"""Lists that several write, each his elements. Those of a spec are one person's, in an order that
means something (the first role, the first database): whoever applies such a list says all of it."""


def _postgres_name(reserved: frozenset[str], what: str) -> tuple[Rule, ...]:
    names = sorted(reserved)
    quoted = ", ".join(f"'{name}'" for name in names)
    return (
        Rule(
            f"bytes(self).size() <= {POSTGRES_NAME_BYTES_MAX}",
            f"is not a name for Postgres: 1 to {POSTGRES_NAME_BYTES_MAX} bytes",
        ),
        Rule(
            "!self.startsWith('pg_') && !self.startsWith('torpor_')",
            "is reserved: names starting with pg_ or torpor_ can't be used",
        ),
        Rule(
            f"!(self in [{quoted}])",
            f"is reserved: a {what} can't be called {', '.join(names)}",
        ),
    )


_OTHERS = (
    Rule(
        f"self.all(key, !key.startsWith('{OWN_PREFIX}') && !(key in"
        f" [{', '.join(repr(label) for label in OWN_LABELS)}]))",
        OWN_KEYS_REFUSED,
    ),
)


_UNITS_MS = "{'u': 1.0, 's': 1000.0, 'm': 60000.0, 'h': 3600000.0, 'd': 86400000.0}"

_DURATION_MS = (
    # `ms` becomes one letter, so that `m` can't be taken for its beginning.
    f"{_UNITS_MS}.map(unit, self.replace('ms', 'u').findAll('[0-9.]+' + unit)"
    f".map(part, double(part.replace(unit, '')) * {_UNITS_MS}[unit]).sum()).sum()"
)

_DATA_STAYS = "the data does not move: make another database and copy it there"

_IN_QUARTERS = Rule(
    # No multipleOf: the API server reads it as a whole number where the value is one.
    "self * 4.0 == double(int(self * 4.0))",
    "is not a number of compute units: write a multiple of 0.25, like 0.5",
)

_RESERVED = ", ".join(f"'{name}'" for name in sorted(DATABASE_NAMES_RESERVED))

_EACH_NAME_ONCE = Rule(
    "self.all(one, self.exists_one(other, other.name == one.name))",
    "a name stands twice: write each name once",
)

RULES: dict[Place, tuple[Rule, ...]] = {
    Place("DatabaseSpec", "roles"): (_EACH_NAME_ONCE,),
    Place("DatabaseSpec", "databases"): (_EACH_NAME_ONCE,),
    Place("DatabaseSpec"): (
        Rule("self.minCU <= self.maxCU", "minCU must be at most maxCU", ".minCU"),
        Rule(
            "!has(self.schedules) || self.schedules.all(one, one.minCU <= self.maxCU)",
            "minCU of a schedule must be at most maxCU",
            ".schedules",
        ),
        Rule(
            "!has(self.roles) || !has(self.databases)"
            " || self.databases.all(d, self.roles.exists(r, r.name == d.owner))",
            "the owner of each database must be one of the roles",
            ".databases",
        ),
        Rule(
            f"has(self.databases) || !has(self.roles) || !(self.roles[0].name in [{_RESERVED}])",
            "left out it is one that is named after the first role, as none can be called: write "
            "databases: [{name: NAME, owner: ROLE}]",
            ".databases",
        ),
        Rule(
            "!has(oldSelf.postgresVersion) || (has(self.postgresVersion)"
            " && self.postgresVersion == oldSelf.postgresVersion)",
            "can't be changed once it is set: make a database of the other version, then dump "
            "and restore",
            ".postgresVersion",
        ),
    ),
    Place("Schedule", "minCU"): (_IN_QUARTERS,),
    Place("Schedule", "cron"): (
        Rule(
            f"self.matches(r'{PATTERN}')",
            "is no cron expression: write minute, hour, day of month, month, day of week, like "
            "0 8 * * mon-fri, or @hourly, @daily, @weekly, @monthly, @yearly",
        ),
    ),
    Place("Schedule", "timeZone"): (
        Rule(
            # It fails for a zone that the API server does not know; these two it knows.
            "self != 'Local' && !self.contains(':')"
            " && timestamp('2000-01-01T00:00:00Z').getHours(self) >= 0",
            "is no time zone: write a name of IANA's, like Europe/Berlin or UTC",
        ),
    ),
    Place("Schedule", "duration"): (
        Rule(f"{_DURATION_MS} > 0.0", "must be more than 0: write a duration like 30m or 10h"),
        Rule(
            f"{_DURATION_MS} <= {WINDOW_SECONDS_MAX * 1000.0}",
            "must be at most 7d: write keepAwake: true for a database that is always awake",
        ),
    ),
    Place("DatabaseSpec", "minCU"): (_IN_QUARTERS,),
    Place("DatabaseSpec", "maxCU"): (_IN_QUARTERS,),
    Place("DatabaseSpec", "idleTimeout"): (
        Rule(
            f"self == '{AUTO}' || {_DURATION_MS} > 0.0",
            "must be more than 0: write a duration like 1s or 5m, or auto",
        ),
        Rule(
            f"self == '{AUTO}' || {_DURATION_MS} <= {IDLE_TIMEOUT_SECONDS_MAX * 1000.0}",
            "must be at most 30d: write keepAwake: true for a database that never sleeps",
        ),
    ),
    Place("DatabaseSpec", "targetLatency"): (
        Rule(f"{_DURATION_MS} > 0.0", "must be more than 0: write a duration like 5ms"),
        Rule(
            f"{_DURATION_MS} <= {TARGET_LATENCY_SECONDS_MAX * 1000.0}",
            "must be at most 60s: leave it out where none is asked for",
        ),
    ),
    Place("DatabaseSpec", "pool"): (Rule("self == oldSelf", f"can't be changed: {_DATA_STAYS}"),),
    Place("Storage"): (
        Rule(
            "self.mode != 'dedicated'"
            " || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
            "can't shrink: volumes only grow",
            ".size",
        ),
    ),
    Place("Storage", "mode"): (Rule("self == oldSelf", f"can't be changed: {_DATA_STAYS}"),),
    Place("Role"): (
        Rule(
            "!has(self.password)",
            "a password does not belong into a resource: put it into a Secret and write "
            "passwordSecret: {name, key}, or leave it out and one is generated",
            ".password",
        ),
    ),
    Place("Role", "name"): _postgres_name(ROLE_NAMES_RESERVED, "role"),
    Place("Database", "name"): _postgres_name(DATABASE_NAMES_RESERVED, "database"),
    # Where roles are left out, owners are the roles.
    Place("Database", "owner"): _postgres_name(ROLE_NAMES_RESERVED, "role"),
    Place("Access", "allow", is_item=True): (
        Rule(
            "isCIDR(self) && cidr(self).masked() == cidr(self)",
            "is not a CIDR without host bits: write one like 10.0.0.0/8",
        ),
    ),
    # Whoever writes by mistake on what he knew before is refused, however he writes.
    Place("DatabaseStatus", "epoch"): (Rule("self >= oldSelf", "an epoch never goes down"),),
    Place("StorageStatus"): (
        Rule(
            # Before it is made nobody owns anything: of two that have one id one gets another.
            "self.userId == oldSelf.userId || !has(oldSelf.isMade) || !oldSelf.isMade",
            "the data has its owner for good",
            ".userId",
        ),
    ),
    Place("PoolSize"): (Rule("self.min <= self.max", "min must be at most max", ".min"),),
    Place("PoolResources"): (
        Rule(
            "quantity(self.requests.cpu).compareTo(quantity(self.limits.cpu)) <= 0 &&"
            " quantity(self.requests.memory).compareTo(quantity(self.limits.memory)) <= 0",
            "requests must be at most limits",
            ".requests",
        ),
        Rule(
            "quantity(self.requests.cpu).compareTo(quantity(self.limits.cpu)) != 0 ||"
            " quantity(self.requests.memory).compareTo(quantity(self.limits.memory)) != 0",
            "requests and limits are the same: requests must be smaller, or computes can't be "
            "resized",
            ".requests",
        ),
    ),
    Place("PoolStorage"): (
        Rule(
            "has(self.storageClass) == has(oldSelf.storageClass) && (!has(self.storageClass)"
            " || self.storageClass == oldSelf.storageClass)",
            f"can't be changed: {_DATA_STAYS}",
            ".storageClass",
        ),
        Rule(
            "quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
            "can't shrink: volumes only grow",
            ".size",
        ),
    ),
    Place("WarmPoolSpec", "postgresVersion"): (
        Rule("self == oldSelf", "can't be changed: make another pool for another version"),
    ),
    Place("WarmPoolSpec", "podLabels"): _OTHERS,
    Place("WarmPoolSpec", "podAnnotations"): _OTHERS,
    Place("Toleration"): (
        Rule(
            "self.operator != 'Exists' || !has(self.value)",
            "with operator Exists there is no value: leave it out",
            ".value",
        ),
        Rule(
            "has(self.key) || self.operator == 'Exists'",
            "without a key the operator must be Exists",
            ".key",
        ),
    ),
}
