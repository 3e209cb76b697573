-- One of every kind of object that a dump has to carry over, each with some content.
-- Everything here is the same at each run: no clock, no randomness.

CREATE SCHEMA "Odd ""name""";
CREATE EXTENSION pg_trgm;
CREATE EXTENSION hstore;

CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy');
CREATE TYPE point_3d AS (x double precision, y double precision, z double precision);
CREATE TYPE span AS RANGE (subtype = numeric, multirange_type_name = multispan);
CREATE DOMAIN positive AS integer CHECK (VALUE > 0) NOT NULL;
CREATE COLLATION plain_order (provider = builtin, locale = 'C.UTF-8');

CREATE TABLE people (
    id integer GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5) PRIMARY KEY,
    name text COLLATE "C" NOT NULL DEFAULT 'nobody',
    mood mood,
    place point_3d,
    spans multispan[],
    age positive DEFAULT 1,
    shown text GENERATED ALWAYS AS (upper(name)) STORED,
    tags hstore,
    photo bytea,
    facts jsonb,
    UNIQUE NULLS NOT DISTINCT (name, mood)
) WITH (fillfactor = 70);

INSERT INTO people (name, mood, place, spans, age, tags, photo, facts)
SELECT
    'person ' || n || E' \t\\ ü €\n',
    (enum_range(NULL::mood))[n % 3 + 1],
    ROW (n, n / 3.0, 'NaN')::point_3d,
    ARRAY[multispan(span(n, n + 1), span(n + 2, NULL))],
    n,
    hstore('n', n::text),
    decode(md5(n::text), 'hex'),
    jsonb_build_object('n', n, 'list', ARRAY[n, n + 1])
FROM generate_series(1, 1000) AS n;

CREATE INDEX people_trigrams ON people USING gin (name gin_trgm_ops);
CREATE INDEX people_adult ON people (lower(name), age DESC NULLS LAST) INCLUDE (mood) WHERE age > 17;
CREATE STATISTICS people_statistics (dependencies) ON name, age FROM people;

CREATE TABLE "Odd ""name"""."Events" (
    at timestamptz NOT NULL,
    kind text NOT NULL,
    person integer REFERENCES people ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
) PARTITION BY RANGE (at);
CREATE TABLE events_old PARTITION OF "Odd ""name"""."Events" FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE events_new PARTITION OF "Odd ""name"""."Events" FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)
    PARTITION BY LIST (kind);
CREATE TABLE events_other PARTITION OF events_new DEFAULT;
INSERT INTO "Odd ""name"""."Events"
SELECT timestamptz '2025-12-01 00:00Z' + n * interval '1 day', 'kind ' || n % 4, 10 + 5 * (n % 1000)
FROM generate_series(1, 100) AS n;

CREATE SEQUENCE counter AS smallint START 7 INCREMENT -3 MINVALUE -100 MAXVALUE 100 CYCLE CACHE 4;
SELECT nextval('counter') FROM generate_series(1, 20);

CREATE FUNCTION describe(who people, VARIADIC words text[]) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 7 SET work_mem = '8MB' AS $_$
BEGIN
    RETURN format($f$%s: %s$f$, who.name, array_to_string(words, ', '));
END
$_$;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_notify(''people'', NEW.id::text); RETURN NEW; END';
CREATE PROCEDURE forget(INOUT n integer) LANGUAGE sql BEGIN ATOMIC DELETE FROM people WHERE id = n; SELECT n; END;
CREATE AGGREGATE longest(text) (SFUNC = textcat, STYPE = text, INITCOND = '');
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq, COMMUTATOR = ===);
CREATE FUNCTION mood_number(mood) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT length($1::text)';
CREATE CAST (mood AS integer) WITH FUNCTION mood_number(mood) AS ASSIGNMENT;

CREATE TRIGGER people_tell AFTER INSERT OR UPDATE OF name ON people
    FOR EACH ROW WHEN (NEW.age > 3) EXECUTE FUNCTION tell();
CREATE RULE keep AS ON DELETE TO pgbench_history DO INSTEAD NOTHING;

CREATE VIEW adults WITH (security_barrier) AS
    SELECT id, name FROM people WHERE age >= 18 WITH CASCADED CHECK OPTION;
CREATE MATERIALIZED VIEW moods AS SELECT mood, count(*) FROM people GROUP BY mood ORDER BY mood;
CREATE MATERIALIZED VIEW later AS SELECT 1 AS one WITH NO DATA;

CREATE ROLE dump_reader;
GRANT SELECT (name, age) ON people TO dump_reader;
GRANT USAGE ON SCHEMA "Odd ""name""" TO dump_reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO dump_reader;
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON people FOR SELECT TO dump_reader USING (name = CURRENT_USER);
COMMENT ON TABLE people IS 'a comment with ''quotes'' and
a second line';
COMMENT ON COLUMN people.mood IS 'ü';

SELECT lo_from_bytea(4711, convert_to(repeat('large ', 10000), 'UTF8'));
COMMENT ON LARGE OBJECT 4711 IS 'a large object';

CREATE PUBLICATION people_some FOR TABLE people (id, name) WHERE (id > 3);
CREATE TEXT SEARCH CONFIGURATION own_words (COPY = simple);
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing OPTIONS (host 'nowhere');
CREATE FOREIGN TABLE far_away (id integer OPTIONS (column_name 'ID')) SERVER nowhere;
CREATE FUNCTION tell_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER note ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
    EXECUTE FUNCTION tell_ddl();
