"""The statements of a capture. How they travel: :mod:`torpor_proxy.core.capture`.

Every row begins with a letter that says what it is; texts are in UTF-8, as ``bytea``. Custom
settings can't be listed, so everything in the database that may set one is looked through
(``CATALOG``): sources of functions by their text, and what is stored as a tree (views, rules,
defaults, policies, checks, new-style functions) for a call of ``set_config``, whose object id is
2078 in every release.
"""

from __future__ import annotations

import re

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY NOT DEFERRABLE"

TEXT_LENGTH_MAX = 256 << 10
"""Of a prepared statement or the value of a setting: it is cut there, in letters. A session with
one that has so many bytes keeps its compute."""

TIMEOUTS = "statement_timeout", "transaction_timeout"

# Only after the settings were read: they would be seen as the session's own.
NO_TIMEOUTS = tuple(f"SET LOCAL {name} = 0" for name in TIMEOUTS)

HURRIED = tuple(words for name in TIMEOUTS for words in (f"SHOW {name}", f"SET LOCAL {name} = 0"))
"""Before the settings, where reading them takes longer than the session's own timeout allows. What
each timeout was is one row of one column."""


def _expanded(sql: str) -> str:
    """``«x»`` is the text ``x`` as UTF-8, and ``==`` stands for the qualified operator."""
    sql = re.sub(r"«(.*?)»", r"pg_catalog.convert_to(\1, 'UTF8')", sql, flags=re.DOTALL)
    sql = sql.replace("==", "OPERATOR(pg_catalog.=)").replace("~~", "OPERATOR(pg_catalog.~~)")
    sql = sql.replace("GAP", '(?:[[:space:]]+|(?="))')  # A quote needs no space before it.
    sql = sql.replace("TEXT_LENGTH_MAX", str(TEXT_LENGTH_MAX))
    return sql.replace("≠", "OPERATOR(pg_catalog.<>)").replace("≥", "OPERATOR(pg_catalog.>=)")


# Each as plain as it can be: a fresh backend has to learn of every function, operator and type that
# stands in it, and that takes longer than to carry it out. So what is read is judged by the proxy.
# Functions and not the views on them, which it would have to learn as well.

# One pass: listing the settings is the most expensive part. Those of extensions (``a.b``) are told
# from custom ones by it, whoever has set them.
SETTINGS = _expanded("""
SELECT 's', «s.name», «pg_catalog.left(s.setting, TEXT_LENGTH_MAX)», «s.reset_val», s.source,
 s.context, s.context == 'user' OR pg_catalog.has_parameter_privilege(SESSION_USER, s.name, 'SET')
FROM pg_catalog.pg_show_all_settings() s
WHERE s.name == 'idle_session_timeout' OR s.source == ANY (
 ARRAY['session', 'database', 'user', 'database user']::pg_catalog.text[]) OR s.name ~~ '%.%'
""")

STATEMENTS = _expanded("""
SELECT 'p', «p.name», «pg_catalog.left(p.statement, TEXT_LENGTH_MAX)», p.from_sql,
 p.parameter_types, p.result_types, p.prepare_time FROM pg_catalog.pg_prepared_statement() p
""")

SESSION = _expanded("""
SELECT 'o', «pg_catalog.current_setting('role')», «SESSION_USER::pg_catalog.text»,
 «pg_catalog.pg_current_snapshot()::pg_catalog.text», pg_catalog.pg_my_temp_schema()
""")

CHANNELS = _expanded("SELECT 'l', «c» FROM pg_catalog.pg_listening_channels() c")

CUSTOM = _expanded("""
SELECT 'c', h, «pg_catalog.left(
 pg_catalog.current_setting(pg_catalog.convert_from(h, 'UTF8'), true), TEXT_LENGTH_MAX)»
 FROM pg_catalog.unnest($1::pg_catalog.bytea[]) h
""")

LOCKS = _expanded("""
SELECT 'k', l.classid, l.objid, l.objsubid FROM pg_catalog.pg_lock_status() l
 WHERE l.locktype == 'advisory' AND l.pid == pg_catalog.pg_backend_pid()
""")

CURSORS = _expanded("SELECT 'u', «c.name» FROM pg_catalog.pg_cursor() c WHERE c.is_holdable")

SLOTS = _expanded("""
SELECT 'y', «r.slot_name::pg_catalog.text» FROM pg_catalog.pg_get_replication_slots() r
 WHERE r.temporary AND r.active_pid == pg_catalog.pg_backend_pid()
""")

# Asked only where the session has a temporary schema.
TEMPORARY = _expanded("""
SELECT 'x', «'temporary object'», «pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)»
 FROM pg_catalog.pg_depend d WHERE d.refclassid == 2615::pg_catalog.oid
  AND d.refobjid == pg_catalog.pg_my_temp_schema()
""")

# Of the whole database: asked again only when anything was written in the cluster since.
# A UNION finds the types of its columns pair by pair: the second branch settles the third column.
CATALOG = _expanded("""
SELECT 'c', «pg_catalog.lower(m.found[1])», '', '' FROM pg_catalog.pg_proc p
 CROSS JOIN LATERAL pg_catalog.regexp_matches(p.prosrc,
  '[[:<:]]set(?:_config[[:space:]]*[(][[:space:]]*''|GAP(?:(?:session|local)GAP)?)'
  '("?[[:alnum:]_$]+"?[.]["[:alnum:]_$.]+)', 'gi') AS m(found)
 WHERE p.oid ≥ 16384::pg_catalog.oid
UNION ALL SELECT 'n', '', «pg_catalog.pg_current_snapshot()::pg_catalog.text», ''
UNION ALL SELECT 'c', «pg_catalog.lower(n.name)», '', '' FROM pg_catalog.pg_proc p
 CROSS JOIN LATERAL pg_catalog.unnest(p.proconfig) AS o(setting)
 CROSS JOIN LATERAL pg_catalog.split_part(o.setting, '=', 1) AS n(name)
 WHERE p.oid ≥ 16384::pg_catalog.oid AND n.name ~~ '%.%'
UNION ALL SELECT 'x', «v.kind», «v.name», '' FROM (
SELECT 'login trigger' AS kind, e.evtname::pg_catalog.text AS name
 FROM pg_catalog.pg_event_trigger e
 WHERE e.evtevent == 'login' AND e.evtenabled ≠ 'D'
UNION ALL SELECT 'computed setting', p.proname::pg_catalog.text FROM pg_catalog.pg_proc p
 WHERE p.oid ≥ 16384::pg_catalog.oid AND (
  p.prosrc OPERATOR(pg_catalog.~*) '[[:<:]]set_config[[:space:]]*[(][[:space:]]*[^''[:space:]]'
  OR p.prosrc OPERATOR(pg_catalog.~*) '[[:<:]]execute[[:>:]]'
   AND p.prosrc OPERATOR(pg_catalog.~*) '["''$][[:space:]]*set[[:>:]]'
  OR p.prosqlbody::pg_catalog.text ~~ '%:funcid 2078 %')
UNION ALL SELECT 'computed setting', w.ev_class::pg_catalog.regclass::pg_catalog.text
 FROM pg_catalog.pg_rewrite w WHERE w.oid ≥ 16384::pg_catalog.oid
  AND (w.ev_action::pg_catalog.text ~~ '%:funcid 2078 %'
   OR w.ev_qual::pg_catalog.text ~~ '%:funcid 2078 %')
UNION ALL SELECT 'computed setting', a.adrelid::pg_catalog.regclass::pg_catalog.text
 FROM pg_catalog.pg_attrdef a WHERE a.adbin::pg_catalog.text ~~ '%:funcid 2078 %'
UNION ALL SELECT 'computed setting', y.polrelid::pg_catalog.regclass::pg_catalog.text
 FROM pg_catalog.pg_policy y WHERE pg_catalog.concat(y.polqual, y.polwithcheck)
  ~~ '%:funcid 2078 %'
UNION ALL SELECT 'computed setting', k.conname::pg_catalog.text
 FROM pg_catalog.pg_constraint k WHERE k.conbin::pg_catalog.text ~~ '%:funcid 2078 %'
UNION ALL SELECT 'computed setting', g.tgname::pg_catalog.text
 FROM pg_catalog.pg_trigger g WHERE g.tgqual::pg_catalog.text ~~ '%:funcid 2078 %'
) v
""")
