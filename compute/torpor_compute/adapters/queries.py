"""The SQL of the agent's questions; ``search_path`` is ``pg_catalog`` and nothing else."""

from __future__ import annotations

ROLE = """
SELECT r.rolname, r.rolpassword, r.rolcanlogin, r.rolsuper, r.rolconnlimit,
       extract(epoch FROM r.rolvaliduntil)::float8 AS valid_until_s,
       EXISTS (SELECT FROM pg_auth_members m JOIN pg_authid g ON g.oid = m.roleid
               WHERE m.member = r.oid AND g.rolname = 'torpor_login') AS is_member
FROM pg_authid r
"""

ONE_ROLE = ROLE + "WHERE r.rolname = $1::text"

ALL_ROLES = (
    ROLE
    + """WHERE r.oid >= 16384 AND r.rolname <> 'torpor_login'
ORDER BY r.rolcanlogin DESC, r.oid LIMIT $1"""
)
"""Those that people have made (FirstNormalObjectId and on); who may log in comes first, the oldest
first of all."""

DATABASES = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname"

OWNERS = "SELECT datname, pg_get_userbyid(datdba) AS owner FROM pg_database"

ROLE_NAMES = "SELECT rolname FROM pg_roles"

ADMITTED_SUPERUSERS = """
SELECT r.rolname FROM pg_authid r JOIN pg_auth_members m ON m.member = r.oid
JOIN pg_authid g ON g.oid = m.roleid WHERE g.rolname = 'torpor_login' AND r.rolsuper
"""

PROCESSES = """
SELECT a.pid, a.backend_type, coalesce(a.usename, '') AS usename,
       coalesce(a.application_name, '') AS application_name,
       coalesce(a.state, 'connecting') AS state, coalesce(a.datname, '') AS datname,
       coalesce(
         (SELECT 'an index build' FROM pg_stat_progress_create_index p WHERE p.pid = a.pid LIMIT 1),
         (SELECT 'a vacuum' FROM pg_stat_progress_vacuum p WHERE p.pid = a.pid LIMIT 1),
         (SELECT lower(p.command) FROM pg_stat_progress_cluster p WHERE p.pid = a.pid LIMIT 1),
         (SELECT 'a base backup' FROM pg_stat_progress_basebackup p WHERE p.pid = a.pid LIMIT 1),
         (SELECT 'a copy' FROM pg_stat_progress_copy p WHERE p.pid = a.pid LIMIT 1),
         '') AS command
FROM pg_stat_activity a
WHERE NOT (a.backend_type = 'client backend' AND a.usesysid IS NOT DISTINCT FROM 10)
"""
"""10 is the bootstrap superuser: the agent's own connections; nobody else comes in as that."""

CLIENTS = """
SELECT a.pid, a.backend_type, coalesce(a.usename, '') AS usename,
       coalesce(a.application_name, '') AS application_name,
       coalesce(a.state, 'connecting') AS state, coalesce(a.datname, '') AS datname,
       '' AS command, a.usesysid IS NOT DISTINCT FROM 10 AS is_own,
       extract(epoch FROM current_setting('authentication_timeout')::interval)::float8
         AS authentication_s
FROM pg_stat_activity a
"""

COUNTERS = """
SELECT sum(xact_commit + xact_rollback)::float8 AS transactions,
       coalesce(sum(blks_read), 0)::bigint AS blocks_read,
       current_setting('block_size')::int AS block_bytes,
       (SELECT setting::int FROM pg_settings WHERE name = 'shared_buffers') AS shared_buffers,
       (SELECT array_agg(subname::text) FROM pg_subscription WHERE subenabled) AS subscriptions,
       (SELECT bit_xor(one) FROM (
          SELECT hash_record_extended(r, 1) FROM pg_authid r
          UNION ALL
          SELECT hash_record_extended((m.roleid, m.member), 2) FROM pg_auth_members m
          UNION ALL
          SELECT hash_record_extended((d.datname, d.datallowconn), 3) FROM pg_database d
        ) AS every (one)) AS changes,
       (SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_extension e
          ON e.extname = 'pg_buffercache' AND e.extnamespace = p.pronamespace
        WHERE p.proname = 'pg_buffercache_summary') AS buffercache,
       current_setting('cron.database_name', true) AS cron_database,
       current_setting('cron.timezone', true) AS cron_time_zone,
       pg_current_snapshot()::text AS snapshot
FROM pg_stat_database
"""
"""``changes`` is of the rows themselves: Postgres's statistics of them lag by up to a minute."""

CRON_JOB_TABLE = """
SELECT c.oid::regclass::text FROM pg_extension e
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE e.extname = 'pg_cron' AND d.deptype = 'e' AND c.relkind = 'r'
  AND n.nspname = 'cron' AND c.relname = 'job'
"""
"""The extension's own: a view of that name would run its maker's functions as us."""

CRON_JOBS = """
SELECT left(schedule, $1) AS schedule FROM {table}
WHERE active GROUP BY schedule ORDER BY min(jobid) LIMIT $2
"""

PG_STAT_IO_SINCE = 16

BYTES_IN_PG_STAT_IO_SINCE = 18


def use(major: int) -> str:
    """Totals and sessions, in one row. ``major``: the server's."""
    read, written = "reads * op_bytes", "(coalesce(writes, 0) + coalesce(extends, 0)) * op_bytes"
    if major >= BYTES_IN_PG_STAT_IO_SINCE:
        read, written = "read_bytes", "coalesce(write_bytes, 0) + coalesce(extend_bytes, 0)"
    return f"""
SELECT d.*, i.*, w.wal_bytes::int8, a.*
FROM (SELECT sum(xact_commit + xact_rollback)::float8 AS transactions,
             sum(blks_hit)::int8 AS blocks_hit, sum(blks_read)::int8 AS blocks_read,
             sum(temp_bytes)::int8 AS temporary_bytes FROM pg_stat_database) d,
     (SELECT coalesce(sum({read}), 0)::int8 AS read_bytes,
             coalesce(sum({written}), 0)::int8 AS written_bytes,
             coalesce(sum(evictions), 0)::int8 AS evictions
      FROM pg_stat_io WHERE object <> 'wal') i,
     pg_stat_wal w,
     (SELECT count(*)::int4 AS backends,
             count(*) FILTER (WHERE state IN ('active', 'fastpath function call'))::int4
               AS active_backends,
             coalesce(array_agg(wait_event_type) FILTER (
               WHERE state IN ('active', 'fastpath function call')
                 AND wait_event_type IS NOT NULL), '{{}}') AS waits
      FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND usesysid IS DISTINCT FROM 10) a
"""


STATEMENTS_SCHEMA = """
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'
  AND current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%'
"""

STATEMENTS = """
SELECT coalesce(sum(calls), 0)::int8 AS statements,
       coalesce(sum(total_exec_time) / 1000, 0)::float8 AS statement_seconds
FROM {schema}.pg_stat_statements(false)
"""

EVICTING_SCHEMA = """
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_buffercache' AND EXISTS (
  SELECT FROM pg_proc p WHERE p.pronamespace = n.oid AND p.proname = 'pg_buffercache_evict')
"""
"""Postgres 17 and later have it."""

IS_MISSING = """
SELECT FROM pg_available_extensions WHERE name = 'pg_buffercache' AND installed_version IS NULL
"""

MAKE_BUFFERCACHE = """
CREATE SCHEMA IF NOT EXISTS torpor;
CREATE EXTENSION pg_buffercache WITH SCHEMA torpor;
"""

SHARED_BUFFERS = """
SELECT setting::int AS count, current_setting('block_size')::int AS block_bytes
FROM pg_settings WHERE name = 'shared_buffers'
"""

_KEY = """hashint8extended((relfilenode::int8 << 32) | relblocknumber,
                          reldatabase::int8 * 8 + relforknumber)"""

FOLLOWED_PAGES = f"""
WITH followed AS MATERIALIZED (
  SELECT bufferid, {_KEY} AS key, usagecount, isdirty, pinning_backends > 0 AS is_pinned
  FROM {{schema}}.pg_buffercache
  WHERE {_KEY} & $1::int8 = 0)
SELECT key, usagecount, isdirty, is_pinned,
       CASE WHEN NOT isdirty AND NOT is_pinned
            THEN {{schema}}.pg_buffercache_evict(bufferid) IS NULL END
FROM followed
"""
"""``$1``: a power of two less one. What Postgres does not let go of was in use just then."""
