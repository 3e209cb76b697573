"""What is asked, and the tables that it is asked of. All in a schema of its own."""

from __future__ import annotations

SCHEMA = "torpor_load"

ACCOUNTS = 10_000
TELLERS = 10
THINGS = 1000

_OF_SERVER = (
    "extract(epoch FROM pg_postmaster_start_time())::float8, "
    "extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8"
)
"""When the Postgres that answers was started, and how old it is."""

ASK = (
    f"SELECT current_setting('app.load', true), {_OF_SERVER} "
    f"FROM {SCHEMA}.thing WHERE id = %(thing)s"
)

REMEMBER = "SELECT set_config('app.load', %s, false)"
"""The state of a session that must not change."""

TPCB = (
    f"UPDATE {SCHEMA}.account SET balance = balance + %(delta)s WHERE id = %(account)s",
    f"SELECT balance, {_OF_SERVER} FROM {SCHEMA}.account WHERE id = %(account)s",
    f"UPDATE {SCHEMA}.teller SET balance = balance + %(delta)s WHERE id = %(teller)s",
    f"UPDATE {SCHEMA}.branch SET balance = balance + %(delta)s WHERE id = 1",
    f"INSERT INTO {SCHEMA}.history VALUES (%(teller)s, %(account)s, %(delta)s)",
)
"""As pgbench does it, in one transaction; one branch, so that its row is fought for."""

BALANCES = f"""
SELECT (SELECT count(*) FROM {SCHEMA}.history),
       (SELECT coalesce(sum(delta), 0) FROM {SCHEMA}.history),
       (SELECT sum(balance) FROM {SCHEMA}.account),
       (SELECT sum(balance) FROM {SCHEMA}.teller),
       (SELECT sum(balance) FROM {SCHEMA}.branch)
"""
"""Transactions, and four sums that are one number."""

NOTIFY = f"SELECT pg_notify('load', %s), {_OF_SERVER}"
LISTEN = "LISTEN load"

TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
DROP TABLE IF EXISTS {SCHEMA}.thing, {SCHEMA}.account, {SCHEMA}.teller, {SCHEMA}.branch,
  {SCHEMA}.history;
CREATE TABLE {SCHEMA}.thing (id int PRIMARY KEY, n int);
INSERT INTO {SCHEMA}.thing SELECT i, i FROM generate_series(1, {THINGS}) i;
CREATE TABLE {SCHEMA}.account (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0);
INSERT INTO {SCHEMA}.account SELECT i FROM generate_series(1, {ACCOUNTS}) i;
CREATE TABLE {SCHEMA}.teller (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0);
INSERT INTO {SCHEMA}.teller SELECT i FROM generate_series(1, {TELLERS}) i;
CREATE TABLE {SCHEMA}.branch (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0);
INSERT INTO {SCHEMA}.branch VALUES (1);
CREATE TABLE {SCHEMA}.history (teller int, account int, delta int);
"""

NO_TABLES = f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"
