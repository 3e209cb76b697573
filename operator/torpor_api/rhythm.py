"""When a database is used: by the clock, as its spec says, and as it was learned of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from torpor_api.cron import CHARACTERS_MAX, parse_cron, parse_time_zone
from torpor_api.values import ApiModel, ComputeUnits, Duration

SCHEDULES_MAX: Final = 8
"""Of one database. Each is looked up whenever a window begins or ends."""

WINDOW_SECONDS_MAX: Final = 7 * 86_400
"""Who wants it awake for longer wants it awake always: ``keepAwake``."""

TIME_ZONE_CHARACTERS_MAX: Final = 64
"""The longest name of IANA's has 32."""

CRON_JOBS_MAX: Final = 100
"""Different schedules of pg_cron's jobs that wake a database; the oldest jobs come first."""

COUNTS_CHARACTERS_MAX: Final = 256
"""All 29 buckets with two digits and a tenth each take 230."""


def _cron(value: str) -> str:
    parse_cron(value)
    return value


def _time_zone(value: str) -> str:
    parse_time_zone(value)
    return value


Cron = Annotated[
    str,
    StringConstraints(max_length=CHARACTERS_MAX),
    AfterValidator(_cron),
    WithJsonSchema({"type": "string", "maxLength": CHARACTERS_MAX}),
]
TimeZone = Annotated[
    str,
    AfterValidator(_time_zone),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": TIME_ZONE_CHARACTERS_MAX}),
]


class Schedule(ApiModel):
    """A window that opens again and again, in which the database is awake."""

    cron: Cron
    """When the window opens: minute, hour, day of month, month, day of week, as in
    `0 8 * * mon-fri`; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`."""
    time_zone: TimeZone = "UTC"
    """Whose clock that is: a name of IANA's, like Europe/Berlin."""
    duration: Annotated[Duration, Field(gt=0, le=WINDOW_SECONDS_MAX)]
    """How long the window stays open: up to 7d."""
    min_cu: Annotated[ComputeUnits, Field(alias="minCU")] = Decimal(0)
    """The least size within the window; 0: that of the spec."""


class CronJobs(ApiModel):
    """When jobs of pg_cron are to run, as it says itself; `$` is the last day of a month."""

    time_zone: Annotated[str, Field(max_length=TIME_ZONE_CHARACTERS_MAX)] = "GMT"
    """Whose clock they go by."""
    schedules: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=CHARACTERS_MAX)], ...],
        Field(max_length=CRON_JOBS_MAX),
    ] = ()
    """Each that a job has, once."""


class LearnedGaps(ApiModel):
    """For how long the database was not used, again and again: what `idleTimeout: auto` goes by."""

    counts: Annotated[
        str,
        StringConstraints(
            pattern=r"^([0-9]{1,2}:[0-9]+(\.[0-9]+)?( |$))*$", max_length=COUNTS_CHARACTERS_MAX
        ),
    ] = ""
    """How many gaps of which length are remembered, as LENGTH:NUMBER; LENGTH counts from 0, a
    quarter of a second, and two more are twice as long. Old gaps count as a part of one."""
    debt_seconds: float = 0.0
    """What trusting them has cost over what may be lost; below 0: what it has saved."""
    wake_ms: Annotated[float, Field(ge=0)] = 0.0
    """What a client waits for a wake of this database, on average."""
    last_use: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """When it was last used before it slept."""
