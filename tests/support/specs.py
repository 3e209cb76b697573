"""Specs of a database that can't be, each with what is said of it, and specs that can be.

The models judge them on one machine and the API server on a cluster; both must come to the same.
"""

from __future__ import annotations

from typing import Any

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"idleTimeout": "soon"}, "spec.idleTimeout: 'soon' is not a duration"),
    ({"idleTimeout": 5}, "spec.idleTimeout: 5 is not a duration: write a number with a unit"),
    ({"idleTimeout": "0s"}, "spec.idleTimeout: Input should be greater than 0 (got '0s')"),
    ({"idleTimeout": "31d"}, "spec.idleTimeout: Input should be at most 30d"),
    ({"targetLatency": "0ms"}, "spec.targetLatency: Input should be greater than 0 (got '0ms')"),
    ({"targetLatency": "61s"}, "spec.targetLatency: Input should be at most 1m (got '61s')"),
    ({"targetLatency": 5}, "spec.targetLatency: 5 is not a duration: write a number with a unit"),
    ({"idleTimeout": "Auto"}, "spec.idleTimeout: 'Auto' is not a duration"),
    ({"schedules": [{"cron": "@daily"}]}, "spec.schedules.0.duration: Field required"),
    (
        {"schedules": [{"cron": "@daily", "duration": "1h"}] * 9},
        "spec.schedules: Tuple should have at most 8 items",
    ),
    (
        {"schedules": [{"cron": "0 25 * * *", "duration": "1h"}]},
        "spec.schedules.0.cron: hour '25': allowed is 0 to 23, *, ranges a-b",
    ),
    (
        {"schedules": [{"cron": "0 8 * *", "duration": "1h"}]},
        "spec.schedules.0.cron: '0 8 * *' has 4 fields: allowed are five (minute, hour,",
    ),
    (
        {"schedules": [{"cron": "@daily", "timeZone": "Mars/Base", "duration": "1h"}]},
        "spec.schedules.0.timeZone: 'Mars/Base' is no time zone: write a name of IANA's",
    ),
    (
        {"schedules": [{"cron": "@daily", "timeZone": "+02:00", "duration": "1h"}]},
        "spec.schedules.0.timeZone: '+02:00' is no time zone: write a name of IANA's",
    ),
    (
        {"schedules": [{"cron": "@daily", "timeZone": "Local", "duration": "1h"}]},
        "spec.schedules.0.timeZone: 'Local' is no time zone: write a name of IANA's",
    ),
    (
        {"schedules": [{"cron": "@daily", "duration": "7d1s"}]},
        "spec.schedules.0.duration: Input should be at most 7d (got '7d1s')",
    ),
    (
        {"schedules": [{"cron": "@daily", "duration": "0s"}]},
        "spec.schedules.0.duration: Input should be greater than 0 (got '0s')",
    ),
    (
        {"schedules": [{"cron": "@daily", "duration": "1h", "minCU": 0.3}]},
        "spec.schedules.0.minCU: 0.3 is not a number of compute units",
    ),
    (
        {"maxCU": 1, "schedules": [{"cron": "@daily", "duration": "1h", "minCU": 2}]},
        "spec: schedules.0: minCU 2 is more than maxCU 1",
    ),
    ({"idle_timeuot": "5s"}, "spec.idle_timeuot: unknown field; look for a typing mistake"),
    ({"minCU": 2, "maxCU": 1}, "spec: minCU 2 is more than maxCU 1"),
    ({"minCU": 0.3}, "spec.minCU: 0.3 is not a number of compute units"),
    (
        {"schedules": {"cron": "0 8 * * *"}},
        "spec.schedules: Input should be a list (got a mapping)",
    ),
    ({"maxCU": "65"}, "spec.maxCU: Input should be less than or equal to 64 (got '65')"),
    ({"maxCU": 0}, "spec.maxCU: Input should be greater than 0"),
    ({"maxCU": 65}, "spec.maxCU: Input should be less than or equal to 64"),
    ({"keepalives": "maybe"}, "spec.keepalives: Input should be 'answer' or 'wake' (got 'maybe')"),
    ({"keepAwake": "perhaps"}, "spec.keepAwake: Input should be a valid boolean"),
    ({"postgresVersion": "eighteen"}, "spec.postgresVersion: String should match pattern"),
    ({"postgresVersion": 18}, "spec.postgresVersion: Input should be a valid string (got 18)"),
    ({"roles": []}, "spec.roles: Tuple should have at least 1 item"),
    ({"roles": [{"name": "a"}, {"name": "a"}]}, "spec: roles: a stands twice: each name once"),
    ({"roles": [{"name": ""}]}, "spec.roles.0.name: '' is not a name for Postgres: 1 to 63 bytes"),
    ({"roles": [{"name": "ä" * 32}]}, "is not a name for Postgres: 1 to 63 bytes"),
    ({"roles": [{"name": "pg_x"}]}, "names starting with pg_ or torpor_ can't be used"),
    ({"roles": [{"name": "torpor_admin"}]}, "'torpor_admin' is reserved"),
    ({"roles": [{"name": "public"}]}, "spec.roles.0.name: 'public' is reserved: a role can't be"),
    ({"roles": [{"name": "none"}]}, "'none' is reserved"),
    ({"roles": [{"name": "current_user"}]}, "'current_user' is reserved"),
    ({"roles": [{"name": "session_user"}]}, "'session_user' is reserved"),
    ({"roles": [{"name": "current_role"}]}, "'current_role' is reserved"),
    (
        {"databases": [{"name": "postgres", "owner": "app"}]},
        "spec.databases.0.name: 'postgres' is reserved: a database can't be called postgres, temp",
    ),
    ({"databases": [{"name": "template0", "owner": "app"}]}, "'template0' is reserved"),
    ({"databases": [{"name": "template1", "owner": "app"}]}, "'template1' is reserved"),
    ({"roles": [{"name": "app", "connectionLimit": -2}]}, "spec.roles.0.connectionLimit: "),
    ({"roles": [{"name": "app", "validUntil": "2030"}]}, "'2030' is not a time with a zone"),
    ({"roles": [{"name": "app", "validUntil": "2030-01-01"}]}, "like 2027-01-01T00:00:00Z"),
    (
        {"roles": [{"name": "app"}], "databases": [{"name": "app", "owner": "no"}]},
        "owner 'no' of 'app' is not among the roles",
    ),
    (
        {"roles": [{"name": "postgres"}]},
        "spec: databases: none can be named after the first role 'postgres': write databases:",
    ),
    ({"databases": [{"name": "shop", "owner": "pg_x"}]}, "'pg_x' is reserved"),
    ({"databases": [{"name": "app"}]}, "spec.databases.0.owner: Field required"),
    ({"storage": {"size": "10GB"}}, "spec.storage.size: '10GB' is not a size"),
    ({"storage": {"mode": "ram"}}, "spec.storage.mode: Input should be 'shared' or 'dedicated'"),
    ({"access": {"allow": ["10.0.0.1/8"]}}, "spec.access.allow.0: '10.0.0.1/8' is not a CIDR"),
    ({"deletionPolicy": "Keep"}, "spec.deletionPolicy: Input should be 'Retain' or 'Delete'"),
    ({"pool": "Large"}, "spec.pool: 'Large' is not a DNS label: use lower-case letters"),
    (
        {"roles": [{"name": "app", "password": "x", "passwordSecret": {"name": "s"}}]},
        "spec.roles.0: role 'app': write password or passwordSecret, not both",
    ),
    (
        {"roles": [{"name": "app", "passwordSecret": {"name": "S"}}]},
        "spec.roles.0.passwordSecret.name: String should match pattern",
    ),
    ({"roles": [{"name": "app", "password": ""}]}, "spec.roles.0.password: must be text of 1 to"),
    ({"roles": [{"name": "x" * 64}]}, "is not a name for Postgres: 1 to 63 bytes"),
    ({"idleTimeout": "5m later"}, "spec.idleTimeout: '5m later' is not a duration"),
    (
        {"idleTimeout": "29d24h1s"},
        "spec.idleTimeout: Input should be at most 30d",
    ),
    ({"idleTimeout": "0.5ms"}, "is finer than a millisecond: write a whole number of ms"),
    ({"access": {"allow": ["::/129"]}}, "write one like 10.0.0.0/8"),
    ({"access": {"allow": ["everybody"]}}, "write one like 10.0.0.0/8"),
]
"""Each spec, and a part of the one line in which the models refuse it."""

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"idleTimeout": "250ms"},
    {"idleTimeout": "1h30m"},
    {"idleTimeout": "0.5s"},
    {"idleTimeout": "30d"},
    {"idleTimeout": "1ms0s"},
    {"idleTimeout": "auto"},
    {"schedules": []},
    {"schedules": [{"cron": "0 8 * * MON-fri", "timeZone": "Europe/Berlin", "duration": "10h"}]},
    {"schedules": [{"cron": "*/5,7 0-6/2 1 jan *", "duration": "7d", "minCU": 0.5}] * 8},
    {"targetLatency": "5ms"},
    {"targetLatency": "1m"},
    {"minCU": 0.25, "maxCU": 64},
    {"minCU": 1, "maxCU": 1, "keepAwake": True},
    {"postgresVersion": "17", "keepalives": "wake"},
    {"roles": [{"name": "ä" * 31}], "databases": [{"name": "My data", "owner": "ä" * 31}]},
    {"roles": [{"name": "postgres"}], "databases": [{"name": "public", "owner": "postgres"}]},
    {"roles": [{"name": "app", "passwordSecret": {"name": "shop-passwords"}}]},
    {"roles": [{"name": "app", "connectionLimit": 0, "validUntil": "2030-01-01T00:00:00+02:00"}]},
    {"storage": {"size": "1Ti", "mode": "dedicated"}},
    {"access": {"allow": []}},
    {"access": {"allow": ["10.0.0.0/8", "2001:db8::/32", "192.168.1.1/32", "::1/128"]}},
    {"deletionPolicy": "Delete", "pool": "large-1"},
    {"roles": [{"name": "shop"}]},
    {"roles": [{"name": "shop"}, {"name": "postgres"}]},
    {"databases": [{"name": "shop", "owner": "shop"}]},
    {"databases": [{"name": "app", "owner": "no"}]},
]
