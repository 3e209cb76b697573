"""SQL by what it is about. A conversation takes a few of the subjects, so that they meet often.

Left out is what is different in any two sessions (process ids, times, plan counters, ``currval``),
what Torpor documents as lost, and what makes one client wait for the other. Left out as well:

- ``pg_settings`` of a transaction: outside of one they mean nothing;
- ``pg_settings.source``: a default of the role comes with the startup packet of the next backend;
- ``pg_temp.x`` where nothing temporary is left: Postgres says that there is no ``x``, or, in a
  session that never had a temporary object, that there is no ``pg_temp``.
"""

from __future__ import annotations

PLAIN = (
    "select 1",
    "SELECT 1;",
    "",
    ";",
    "select n, word from numbers order by n",
    "select * from generate_series(1, 50)",
    "select 1/0",
    "select nonsense",
    "selec 1",
    "select 'ä€', null, true, 1.5::float8, '\\x00ff'::bytea",
    "select 'bad'::mood",
    "values (1, 'a'), (2, 'b')",
    "select tell('hello')",
    "select fail('no')",
    "select nextval('counter')",
    "show server_version_num",
)

DATA = (
    "insert into numbers values (7, 'seven')",
    "insert into numbers values (8, 'eight') returning *",
    "insert into numbers values (1, 'again')",
    "update numbers set word = upper(word) where n < 3 returning n",
    "delete from numbers where n > 6",
    "select count(*) from numbers",
    "truncate numbers; insert into numbers select n, 'new' from generate_series(1, 3) n",
)

TRANSACTIONS = (
    "begin",
    "begin",
    "commit",
    "commit",
    "rollback",
    "end and chain",
    "savepoint a",
    "rollback to a",
    "release a",
    "begin isolation level serializable, read only",
    "begin; select 1/0",
    "begin; insert into numbers values (9, 'nine'); commit; begin",
    "set transaction read only",
    "set session characteristics as transaction read only",
    "set session characteristics as transaction read write",
    "show transaction_read_only",
    "show transaction_isolation",
    "set default_transaction_isolation to serializable",
    "reset default_transaction_isolation",
    "select 1; select 1/0; select 3",
    "select 1; commit; select 2",
)

SETTINGS = (
    "set work_mem to '7MB'",
    "set work_mem to default",
    "show work_mem",
    "reset work_mem",
    "set datestyle to 'ISO, DMY'",
    "set datestyle to default",
    "reset datestyle",
    "select date '2024-02-01'",
    "set timezone to 'Asia/Tokyo'",
    "set time zone local",
    "set intervalstyle to iso_8601",
    "set bytea_output to escape",
    "set extra_float_digits to 0",
    "set application_name to 'ä fuzz'",
    "set application_name to 'fuzz; two'",
    "set local work_mem to '9MB'",
    "begin; set local datestyle to 'SQL'; set timezone to 'UTC'",
    "set search_path to other, public",
    'set search_path to "$user", public',
    "reset search_path",
    "show search_path",
    "reset all",
    "set nonsense to 1",
    "set work_mem to 'lots'",
    "set client_min_messages to warning",
    "set client_min_messages to debug1; reset client_min_messages",
    "set enable_seqscan to off; set geqo_threshold to 3",
    "set temp_buffers to '2MB'",
    "set xmloption to document",
    "alter system set work_mem to '1MB'",
    "set default_transaction_read_only to on",
    "set default_transaction_read_only to off",
    "set default_transaction_deferrable to on; set default_transaction_isolation to serializable",
    "set search_path to ''",
    'set search_path to "we""ird, name", "Ä", public',
    "set plan_cache_mode to force_generic_plan",
    "set array_nulls to off; set transform_null_equals to on; select null = null",
    "set row_security to off; set session_replication_role to replica",
    "set random_page_cost to 1.23456789; set seq_page_cost to 0.1",
    "set jit to off; set local_preload_libraries to 'none'",
    "set session work_mem from current",
    "set default_text_search_config to 'pg_catalog.german'",
    "set lc_numeric to 'C'; set default_tablespace to ''",
    "set timezone to -3.5",
    "set timezone to '<+02>-02'",
)

CUSTOM = (
    "set app.user_id to '42'",
    "set app.user_id to ''",
    "reset app.user_id",
    "set app.user_id to 'it''s \\ ü', 'two'",
    "set app.user_id = 7.50",
    'set "App"."Quoted" to \'x\'',
    "set local app.user_id to 'local'",
    "show app.user_id",
    "select current_setting('app.user_id', true), current_setting('app.tenant', true)",
    "select current_setting('app.origin', true)",
    "set app.origin to 'session'",
    "reset app.origin",
    "select set_config('app.tenant', 'blue', false)",
    "select set_config('app.tenant', 'local', true)",
    "select set_config('app.' || 'computed', 'c', false)",
    "select current_setting('app.computed', true)",
    "select be_tenant('green')",
    "select inside()",
    "do $$ begin perform set_config('app.tenant', 'done', false); end $$",
    "select set_config('work_mem', '6MB', false), set_config('role', 'none', false)",
)

PREPARED = (
    "prepare p as select * from changing",
    "prepare q as select b from changing where a > 0",
    "prepare p(int) as select $1 + 1",
    "prepare p as insert into numbers values (6, 'six') returning n",
    "prepare q(text) as select $1, current_setting('search_path')",
    "prepare q as select 'back\\slash'",
    'prepare "A ""b" as select 1; select 2',
    "/* a comment; */ prepare r as select 'a;b'  ;",
    "prepare r as values (1), (2)",
    "prepare r(mood, int[]) as select $1, $2",
    "execute r('good', '{1,2}')",
    "prepare r as select be_tenant($1), tell($2)",
    "execute r('by statement', 'and told')",
    "prepare r as select 'ü' as \"ü\" -- ;",
    "create or replace function tell(words text) returns int language sql as 'select 7'",
    "execute p",
    "execute p(41)",
    "execute q('x')",
    'execute "A ""b"',
    "execute r",
    "explain (costs off) execute p",
    "create temp table made as execute p; drop table made",
    "deallocate p",
    "deallocate prepare q",
    "deallocate all",
)

CHANGING = (
    "select * from changing",
    "alter table changing add column c int",
    "alter table changing drop column if exists c",
    "alter table changing alter column b type varchar(20)",
    "alter table changing alter column b type text",
    "alter table changing alter column b type varchar(30)",
    "alter table changing rename column a to other",
    "alter table changing rename column other to a",
    "alter table changing rename column b to B2; alter table changing rename column b2 to b",
    "drop table if exists changing; create table changing (a int, b text)",
    "drop table if exists changing",
    "create table if not exists changing (a int, b text)",
    "begin; lock table changing",
    "begin; set local search_path to other",
    "select b, a from changing",
    "insert into changing values (3, 'three')",
    "begin; drop table if exists changing; rollback",
    "set search_path to other",
    "set search_path to public",
    "set search_path to nowhere",
    "create table if not exists public.changing (a int, b text)",
    "alter table changing rename to changed",
    "drop function if exists tell(text)",
    "create view seen as select * from changing",
    "select * from seen",
    "drop view if exists seen",
    "alter table if exists changed rename to changing",
)

TEMPORARY = (
    "create temp table tt (a int)",
    "create temp table tt (a int) on commit drop",
    "insert into tt values (1)",
    "select * from tt",
    "drop table if exists tt",
    "create temp table numbers as select 0 as n, 'hides'::text as word",
    "create temp view tv as select 1 as one",
    "select * from tv",
    "discard temp",
    "create function pg_temp.f() returns int language sql return 5",
    "drop function f()",
)

DISCARDING = ("discard all", "discard plans", "discard temp", "discard sequences", "reset all")

LOCKS = (
    "select pg_try_advisory_lock(1)",
    "select pg_try_advisory_lock(1, 2)",
    "select pg_try_advisory_lock_shared(3)",
    "select pg_try_advisory_xact_lock(1)",
    "select pg_advisory_unlock(1)",
    "select pg_advisory_unlock(1, 2)",
    "select pg_advisory_unlock_shared(3)",
    "select pg_advisory_unlock_all()",
)

CURSORS = (
    "declare c cursor for select n from numbers order by n",
    "begin; declare c cursor for select n from numbers order by n",
    "declare c scroll cursor with hold for select * from generate_series(1, 9)",
    "fetch 2 from c",
    "fetch backward 1 from c",
    "move 1 in c",
    "fetch all from c",
    "close c",
    "close all",
    "select name, statement, is_holdable, is_scrollable from pg_cursors order by name",
)

NOTIFYING = (
    "listen news",
    'listen "Ümlaut"',
    "unlisten news",
    "unlisten *",
    "notify news",
    "notify news, 'x'",
    "notify \"Ümlaut\", 'ü'",
    "select pg_notify('news', n::text) from generate_series(1, 3) n",
    "begin; notify news, 'never'; rollback",
    "begin; listen other; notify other, 'mine'; commit",
    "begin; notify news, 'late'",
    "begin; listen undone; rollback",
    "begin; unlisten *; listen news; savepoint a; listen gone; rollback to a; commit",
    "listen news; listen news; unlisten nothing",
    "notify news, 'one'; notify news, 'one'; notify news, 'two'",
    "select pg_listening_channels()",
    "do $$ begin perform pg_notify('news', 'done'); end $$",
)

ROLES = (
    "set role reader",
    "set role writer",
    "set role none",
    "reset role",
    "set local role reader",
    "set session authorization reader",
    "set session authorization default",
    "reset session authorization",
    "select current_user, session_user",
    "select current_setting('is_superuser')",
    "delete from numbers where n = 5",
    "select has_table_privilege('numbers', 'delete')",
    "set role nobody",
)

ENCODINGS: tuple[str | bytes, ...] = (
    "set client_encoding to latin1",
    "set client_encoding to utf8",
    "set names 'win1252'",
    "set client_encoding to sql_ascii",
    "reset client_encoding",
    "select 'é', '€', chr(8364), length('é')",
    b"select '\xe9', length('\xe9')",
    b"select '\x80'",
    b"prepare latin as select '\xe9' as \"\xe9\"",
    "execute latin",
    b"set application_name to '\xe9'",
    b"set app.tenant to '\xe9'",
    b'listen "\xe9"',
    b"notify \"\xe9\", '\xe8'",
    "set standard_conforming_strings to off",
    "set standard_conforming_strings to on",
    "select 'a\\nb', E'a\\nb'",
    "prepare s as select 'a\\nb'",
    "execute s",
    "set escape_string_warning to off",
    "set backslash_quote to on",
    "select 'a\\'b'",
)

DOING = (
    "do $$ begin raise notice 'one'; raise warning 'two'; end $$",
    "do $$ begin raise exception 'three'; end $$",
    "do $$ begin for i in 1..3 loop raise notice 'n %', i; commit; end loop; end $$",
    "select tell(word) from numbers order by n limit 3",
    "set client_min_messages to error",
    "reset client_min_messages",
    "set client_min_messages to log",
    "drop table if exists nothing_there",
)

LARGE = (
    "select repeat('x', 300000)",
    "select n, repeat('y', 100) from generate_series(1, 3000) n",
    "insert into numbers values (100, repeat('z', 200000))",
    "select length(word), word from numbers where n = 100",
)

TIMEOUTS = (
    "set statement_timeout to '150ms'; select pg_sleep(10)",
    "set statement_timeout to 0",
    "begin; set local statement_timeout to '100ms'; select pg_sleep(10)",
    "show statement_timeout",
    "set idle_session_timeout to '1h'",
    "show idle_session_timeout",
    "set idle_in_transaction_session_timeout to '1h'",
    "set lock_timeout to '2s'",
    "reset statement_timeout",
)

SUBJECTS: dict[str, tuple[str | bytes, ...]] = {
    "plain": PLAIN,
    "data": DATA,
    "transactions": TRANSACTIONS,
    "settings": SETTINGS,
    "custom": CUSTOM,
    "prepared": PREPARED,
    "changing": CHANGING,
    "temporary": TEMPORARY,
    "discarding": DISCARDING,
    "locks": LOCKS,
    "cursors": CURSORS,
    "notifying": NOTIFYING,
    "roles": ROLES,
    "encodings": ENCODINGS,
    "doing": DOING,
    "large": LARGE,
    "timeouts": TIMEOUTS,
}

STATEMENTS = (
    "select name, statement, parameter_types::text, from_sql,"
    " case when statement !~* '^execute' then result_types::text end"
    " from pg_prepared_statements order by name"
)
"""The result of a prepared EXECUTE is listed as it was when that was parsed."""

MAY_BREAK_STATEMENTS = frozenset({"changing", "settings", "temporary"})
"""Subjects in which something goes away that a statement uses. One that can't be prepared again is
kept by the proxy and its use answered right, but no backend can list it: nobody asks for the list.
"""

LAST = (
    "select name, setting, reset_val from pg_settings where source = any"
    " ('{session,client,user,database}') and name !~ '^transaction_' order by name",
    "select * from pg_listening_channels() order by 1",
    "select current_user, session_user, current_schemas(false)",
    "select current_setting('app.' || name, true) from unnest(array['user_id', 'tenant', 'origin',"
    " 'computed', 'called', 'bound', 'Quoted', 'inside']) name",
)
"""Asked of each client at the end: what is left of everything."""
