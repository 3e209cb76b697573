"""Values that resources are made of: how each is written, and the refusal of what can't be.

Each type carries what it is in JSON too (``WithJsonSchema``, ``json_schema_extra``): the custom
resources are generated from it, so that the API server refuses the same.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticKnownError

from torpor_api.brief import brief
from torpor_api.identity import (
    DATABASE_NAME_LENGTH_MAX,
    DATABASE_NAME_PATTERN,
    is_database_name,
)
from torpor_api.postgres_names import (
    POSTGRES_NAME_BYTES_MAX,
    inner_database_name,
    role_name,
)
from torpor_api.quantities import (
    format_duration,
    parse_bytes,
    parse_cu,
    parse_duration_s,
)

CU_MAX = 64
"""256 GiB of memory: the largest machines that are common."""

AUTO: Final = "auto"
"""In place of a time-out: each database learns its own."""

IDLE_TIMEOUT_SECONDS_MAX = 30 * 86400
"""A database that should stay awake for a month says ``keepAwake: true`` instead."""

DURATION_CHARACTERS_MAX = 64
SIZE_CHARACTERS_MAX = 14
CIDR_CHARACTERS_MAX = 43
"""The longest IPv6 address with its prefix."""

CIDRS_REMEMBERED_MAX = 1024

TIMESTAMP_CHARACTERS_MAX = 40

CONDITIONS_MAX = 16
CONDITION_TYPE_CHARACTERS_MAX = 316
"""That of ``metav1.Condition``: a label's key with its prefix."""

FENCED_MAX = 32
"""Lost computes of one database that its status remembers."""
WARM_MAX = 1000
"""Computes of one pool that wait: a process or a pod each. More is a mistake, or several pools."""

STATUS_LINE_CHARACTERS_MAX = 1024
"""Of a line for people in a status; clients choose what some of them repeat."""


class ApiModel(BaseModel):
    """Base of every part of the resource: strict about unknown fields, camelCase outside."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


def _duration(value: object) -> float:
    if isinstance(value, str):
        return parse_duration_s(value)
    raise ValueError(
        f"{brief(value)} is not a duration: write a number with a unit, like 30s or 5m"
    )


def _idle_timeout(value: object) -> float | Literal["auto"]:
    if value == AUTO:
        return AUTO
    if not isinstance(value, str):
        raise ValueError(
            f"{brief(value)} is not a duration: write a number with a unit, like 30s or 5m, or auto"
        )
    seconds = parse_duration_s(value)
    if not seconds > 0:
        raise PydanticKnownError("greater_than", {"gt": 0})
    if seconds > IDLE_TIMEOUT_SECONDS_MAX:
        raise PydanticKnownError("less_than_equal", {"le": IDLE_TIMEOUT_SECONDS_MAX})
    return seconds


def _idle_timeout_text(value: float | Literal["auto"]) -> str:
    return AUTO if value == AUTO else format_duration(float(value))


def _dns_label(value: str) -> str:
    if not is_database_name(value):
        raise ValueError(
            f"{brief(value)} is not a DNS label: use lower-case letters, digits and hyphens, "
            f"at most {DATABASE_NAME_LENGTH_MAX} characters"
        )
    return value


@lru_cache(maxsize=CIDRS_REMEMBERED_MAX)
def _cidr(value: str) -> str:
    """Remembered: each message with a spec has some, mostly ``0.0.0.0/0`` and ``::/0``."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(
            f"{brief(value)} is not a CIDR ({error}): write one like 10.0.0.0/8"
        ) from None


def _shortened(value: object) -> object:
    if isinstance(value, str) and len(value) > STATUS_LINE_CHARACTERS_MAX:
        return value[: STATUS_LINE_CHARACTERS_MAX - 3] + "..."
    return value


def _size(value: str) -> str:
    parse_bytes(value)
    return value


def _timestamp(value: str) -> str:
    try:
        aware = datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise ValueError(
            f"{brief(value)} is not a time with a zone: write one like 2027-01-01T00:00:00Z"
        )
    return value


def _length(longest: int) -> Any:
    """Bounds for the API server where the validator has a better message for them here."""
    return Field(json_schema_extra={"minLength": 1, "maxLength": longest})


def _text(pattern: str, longest: int, **more: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "maxLength": longest, **more})


# No part can be finer than a millisecond.
_DURATION = r"([0-9]{1,12}((\.[0-9]{1,3})?[smhd]|ms))+"

Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    _text(f"^{_DURATION}$", DURATION_CHARACTERS_MAX),
]
"""Seconds inside, ``5m`` outside."""

IdleTimeout = Annotated[
    float | Literal["auto"],
    PlainValidator(_idle_timeout),
    PlainSerializer(_idle_timeout_text, return_type=str),
    _text(f"^({AUTO}|{_DURATION})$", DURATION_CHARACTERS_MAX),
]
"""A duration, or ``auto``."""

ComputeUnits = Annotated[
    Decimal,
    BeforeValidator(parse_cu),
    PlainSerializer(float, return_type=float),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": CU_MAX}),
    Field(le=CU_MAX),
]
DnsLabel = Annotated[
    str,
    AfterValidator(_dns_label),
    _text(f"^{DATABASE_NAME_PATTERN}$", DATABASE_NAME_LENGTH_MAX),
]
PostgresVersion = Annotated[
    str, StringConstraints(pattern="^[0-9]{2}$"), Field(json_schema_extra={"maxLength": 2})
]
"""A major version."""

RoleName = Annotated[str, AfterValidator(role_name), _length(POSTGRES_NAME_BYTES_MAX)]
InnerDatabaseName = Annotated[
    str, AfterValidator(inner_database_name), _length(POSTGRES_NAME_BYTES_MAX)
]
Cidr = Annotated[str, AfterValidator(_cidr), _length(CIDR_CHARACTERS_MAX)]
Size = Annotated[
    str, AfterValidator(_size), _text("^[0-9]{1,12}(Ki|Mi|Gi|Ti|k|M|G|T)?$", SIZE_CHARACTERS_MAX)
]
Timestamp = Annotated[
    str,
    AfterValidator(_timestamp),
    _text("(Z|[+-][0-9]{2}:[0-9]{2})$", TIMESTAMP_CHARACTERS_MAX, format="date-time"),
]
Line = Annotated[
    str, BeforeValidator(_shortened), StringConstraints(max_length=STATUS_LINE_CHARACTERS_MAX)
]
"""For people, cut where it is too long: a status that is refused helps nobody."""
