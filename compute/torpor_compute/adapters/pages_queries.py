"""SQL for what is kept of shared buffers; ``search_path`` is ``pg_catalog`` and nothing else."""

from __future__ import annotations

SUMMARY = "SELECT buffers_used, buffers_unused FROM {schema}.pg_buffercache_summary()"

NO_LONGER_THAN = "SET LOCAL statement_timeout = '{seconds:g}s'"

PAGES = """
SELECT reldatabase::int8, reltablespace::int8, relfilenode::int8, relforknumber::int4,
       usagecount >= $1 AS is_hot, array_agg(relblocknumber)
FROM {schema}.pg_buffercache
WHERE relfilenode IS NOT NULL AND relforknumber < $2
  AND reldatabase NOT IN (SELECT oid FROM pg_database WHERE datistemplate)
GROUP BY 1, 2, 3, 4, 5
"""
"""A template was read to make a database of it; and who makes the next one waits until nobody is
connected to it."""

IS_USED = """
SELECT EXISTS (SELECT FROM pg_stat_activity
               WHERE backend_type = 'client backend' AND usesysid IS DISTINCT FROM 10
                 AND state IN ('active', 'fastpath function call'))
"""

DATABASE_NAME = "SELECT datname FROM pg_database WHERE oid = $1::int8::oid AND datallowconn"

WISH = "torpor.refill"

IS_NOT_WANTED = f"SELECT lower(current_setting('{WISH}', true)) IN ('off', 'false', 'no', '0')"
"""A setting that a database's owner may give it, or a superuser all of them."""

HAS_LOADER = """
SELECT EXISTS (SELECT FROM pg_proc
               WHERE proname = 'torpor_prewarm' AND pronamespace = 'pg_catalog'::regnamespace)
"""

MAKE_LOADER = """
CREATE FUNCTION pg_catalog.torpor_prewarm(regclass, text, text, int8, int8) RETURNS int8
LANGUAGE c PARALLEL SAFE AS '$libdir/pg_prewarm', 'pg_prewarm'
"""
"""Anybody may call it who may read the table; who may not is refused by the function itself."""

AS_LOADER = "SET lock_timeout = '50ms'; SET effective_io_concurrency = 0"
"""Postgres 18 hands reads to other processes otherwise: a page that the kernel has cached takes
100 microseconds that way instead of 20."""

LOAD = """
SELECT count(pg_catalog.torpor_prewarm(
         relation.id, 'buffer', file.fork, ($6::int8[])[i], least(($7::int8[])[i], pages - 1)))
FROM unnest($1::int8[], $2::int8[], $3::text[], $4::int4[], $5::int4[])
       AS file (tablespace, number, fork, begins, ends),
     LATERAL (SELECT pg_filenode_relation(tablespace::oid, number::oid) AS id OFFSET 0) AS relation,
     LATERAL (SELECT pg_relation_size(id, fork) / current_setting('block_size')::int8 AS pages
              WHERE id NOT IN (SELECT lock.relation FROM pg_locks AS lock
                               WHERE lock.relation IS NOT NULL
                                 AND lock.mode = 'AccessExclusiveLock')
              OFFSET 0) AS size,
     LATERAL generate_series(begins, ends) AS i
WHERE ($6::int8[])[i] < pages
"""
"""One file after the other, each in the given order. Left out is what is of no relation, and what
somebody has locked for himself alone, or waits to: he shall not wait for this, nor this for him."""
