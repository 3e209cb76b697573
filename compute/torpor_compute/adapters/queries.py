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
        WHERE p.proname = 'pg_buffercache_summary') AS buffercache
FROM pg_stat_database
"""
"""``changes`` is of the rows themselves: Postgres's statistics of them lag by up to a minute."""
