"""What is in both databases when a conversation begins."""

from __future__ import annotations

ONCE = """
DO $$ BEGIN
 CREATE ROLE reader; CREATE ROLE writer; GRANT reader, writer TO app;
 ALTER ROLE app SET work_mem = '5MB';
 ALTER ROLE app SET app.origin = 'role';
 ALTER ROLE app SET "DateStyle" = 'German';
END $$
"""

CONTENT = """
SET client_min_messages = error;
DROP SCHEMA IF EXISTS public CASCADE;
DROP SCHEMA IF EXISTS other CASCADE;
CREATE SCHEMA public;
CREATE SCHEMA other;
GRANT ALL ON SCHEMA public, other TO app, writer;
GRANT USAGE ON SCHEMA public, other TO reader;
CREATE TABLE numbers (n int PRIMARY KEY, word text);
INSERT INTO numbers SELECT n, 'word ' || n FROM generate_series(1, 5) n;
CREATE TABLE changing (a int, b text);
INSERT INTO changing VALUES (1, 'one'), (2, NULL);
CREATE TABLE other.changing (a text);
INSERT INTO other.changing VALUES ('elsewhere');
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE SEQUENCE counter;
CREATE FUNCTION be_tenant(name text) RETURNS text LANGUAGE sql
 AS $$ SELECT set_config('app.tenant', name, false) $$;
CREATE FUNCTION inside() RETURNS text LANGUAGE sql SET app.inside = 'within'
 AS $$ SELECT current_setting('app.inside') $$;
CREATE FUNCTION tell(words text) RETURNS int LANGUAGE plpgsql
 AS $$ BEGIN RAISE NOTICE '%', words; RETURN length(words); END $$;
CREATE FUNCTION fail(words text) RETURNS int LANGUAGE plpgsql
 AS $$ BEGIN RAISE EXCEPTION '%', words USING ERRCODE = 'UE001', HINT = 'None.'; END $$;
ALTER TABLE numbers OWNER TO app;
ALTER TABLE changing OWNER TO app;
ALTER TABLE other.changing OWNER TO app;
ALTER SEQUENCE counter OWNER TO app;
GRANT SELECT ON ALL TABLES IN SCHEMA public, other TO reader;
GRANT ALL ON ALL TABLES IN SCHEMA public, other TO writer;
"""
