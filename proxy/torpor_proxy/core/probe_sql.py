"""The statements of a probe, in their order. How they travel: :mod:`torpor_proxy.core.probe`.

Every row has a kind and a name in hexadecimal UTF-8. Custom settings can't be listed, so everything
in the database that may set one is looked through: sources of functions by their text, and what is
stored as a tree (views, rules, defaults, policies, checks, new-style functions) for a call of
``set_config``, whose object id is 2078 in every release.
"""

from __future__ import annotations

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY NOT DEFERRABLE"

SETTINGS = """
SELECT 'setting', pg_catalog.encode(pg_catalog.convert_to(s.name, 'UTF8'), 'hex')
FROM pg_catalog.pg_settings s
WHERE s.source OPERATOR(pg_catalog.=) 'session' AND s.name OPERATOR(pg_catalog.<>) ALL (
  ARRAY['transaction_isolation', 'transaction_read_only', 'transaction_deferrable'
  ]::pg_catalog.text[])
 AND NOT pg_catalog.starts_with(s.name, 'tcp_')
UNION ALL
SELECT 'default', pg_catalog.encode(pg_catalog.convert_to(
  pg_catalog.concat(s.name, '=', s.reset_val), 'UTF8'), 'hex')
FROM pg_catalog.pg_settings s WHERE s.context OPERATOR(pg_catalog.=) 'user'
 AND s.source OPERATOR(pg_catalog.=) ANY (
  ARRAY['database', 'user', 'database user']::pg_catalog.text[])
UNION ALL
SELECT 'idle_session_timeout', ''
WHERE pg_catalog.current_setting('idle_session_timeout') OPERATOR(pg_catalog.<>) '0'
"""

# Only after the settings were read: they would be seen as the session's own.
NO_TIMEOUTS = ("SET LOCAL statement_timeout = 0", "SET LOCAL transaction_timeout = 0")

STATE = """
SELECT v.kind, pg_catalog.encode(pg_catalog.convert_to(v.name, 'UTF8'), 'hex') FROM (
SELECT 'prepared statement' AS kind, p.name AS name
 FROM pg_catalog.pg_prepared_statements p WHERE NOT pg_catalog.starts_with(p.name, '_torpor_')
UNION ALL SELECT 'channel', c FROM pg_catalog.pg_listening_channels() c
UNION ALL SELECT 'role', pg_catalog.current_setting('role')
 WHERE pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) 'none'
UNION ALL SELECT 'session authorization', SESSION_USER::pg_catalog.text
 WHERE SESSION_USER::pg_catalog.text OPERATOR(pg_catalog.<>)
  pg_catalog.convert_from(pg_catalog.decode($2::pg_catalog.text, 'hex'), 'UTF8')
UNION ALL SELECT 'advisory lock', CASE l.objsubid
  WHEN 1 THEN ((l.classid::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32)
   OPERATOR(pg_catalog.|) l.objid::pg_catalog.int8)::pg_catalog.text
  ELSE pg_catalog.concat(l.classid::pg_catalog.text, ', ', l.objid::pg_catalog.text) END
 FROM pg_catalog.pg_locks l WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
  AND l.locktype OPERATOR(pg_catalog.=) 'advisory'
UNION ALL SELECT 'cursor', c.name FROM pg_catalog.pg_cursors c WHERE c.is_holdable
UNION ALL SELECT 'temporary object', pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
 FROM pg_catalog.pg_depend d WHERE d.refclassid OPERATOR(pg_catalog.=) 2615::pg_catalog.oid
  AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
  AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
UNION ALL SELECT 'login trigger', e.evtname::pg_catalog.text FROM pg_catalog.pg_event_trigger e
 WHERE e.evtevent OPERATOR(pg_catalog.=) 'login' AND e.evtenabled OPERATOR(pg_catalog.<>) 'D'
UNION ALL SELECT 'custom setting', n.name FROM (
  SELECT pg_catalog.convert_from(pg_catalog.decode(h, 'hex'), 'UTF8') AS name
   FROM pg_catalog.unnest($1::pg_catalog.text[]) h
  UNION SELECT pg_catalog.lower(m.found[1]) FROM pg_catalog.pg_proc p
   CROSS JOIN LATERAL pg_catalog.regexp_matches(p.prosrc,
    '[[:<:]]set(?:_config[[:space:]]*[(][[:space:]]*''|[[:space:]]+(?:session[[:space:]]+|local'
    '[[:space:]]+)?)([[:alnum:]_$]+[.][[:alnum:]_$.]+)', 'gi') AS m(found)
   WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid) n
 WHERE pg_catalog.strpos(n.name, '.') OPERATOR(pg_catalog.>) 0
  AND pg_catalog.current_setting(n.name, true) OPERATOR(pg_catalog.<>) ''
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) n.name)
UNION ALL SELECT 'replication slot', r.slot_name::pg_catalog.text
 FROM pg_catalog.pg_replication_slots r
 WHERE r.temporary AND r.active_pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
UNION ALL SELECT 'computed setting', p.proname::pg_catalog.text FROM pg_catalog.pg_proc p
 WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND (
  p.prosrc OPERATOR(pg_catalog.~*) '[[:<:]]set_config[[:space:]]*[(][[:space:]]*[^''[:space:]]'
  OR p.prosrc OPERATOR(pg_catalog.~*) '[[:<:]]execute[[:>:]]'
   AND p.prosrc OPERATOR(pg_catalog.~*) '["''$][[:space:]]*set[[:>:]]'
  OR p.prosqlbody::pg_catalog.text OPERATOR(pg_catalog.~~) '%:funcid 2078 %')
UNION ALL SELECT 'computed setting', w.ev_class::pg_catalog.regclass::pg_catalog.text
 FROM pg_catalog.pg_rewrite w WHERE w.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
  AND (w.ev_action::pg_catalog.text OPERATOR(pg_catalog.~~) '%:funcid 2078 %'
   OR w.ev_qual::pg_catalog.text OPERATOR(pg_catalog.~~) '%:funcid 2078 %')
UNION ALL SELECT 'computed setting', a.adrelid::pg_catalog.regclass::pg_catalog.text
 FROM pg_catalog.pg_attrdef a WHERE a.adbin::pg_catalog.text OPERATOR(pg_catalog.~~)
  '%:funcid 2078 %'
UNION ALL SELECT 'computed setting', y.polrelid::pg_catalog.regclass::pg_catalog.text
 FROM pg_catalog.pg_policy y WHERE pg_catalog.concat(y.polqual, y.polwithcheck)
  OPERATOR(pg_catalog.~~) '%:funcid 2078 %'
UNION ALL SELECT 'computed setting', k.conname::pg_catalog.text
 FROM pg_catalog.pg_constraint k WHERE k.conbin::pg_catalog.text OPERATOR(pg_catalog.~~)
  '%:funcid 2078 %'
UNION ALL SELECT 'computed setting', g.tgname::pg_catalog.text
 FROM pg_catalog.pg_trigger g WHERE g.tgqual::pg_catalog.text OPERATOR(pg_catalog.~~)
  '%:funcid 2078 %'
) v
"""
