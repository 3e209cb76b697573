"""SQL that speaks of sessions by the process ids that their clients were told. Pure.

A park gives a session another backend, and with it another process id: this is documented. Some of
PostgreSQL's tests identify their own sessions by process id, as nobody but a test does; for them,
functions and views of the same names translate. What they ask is still answered by Postgres.
"""

from __future__ import annotations

SCHEMA = "told"

TRIES = 500
PAUSE_SECONDS = 0.01
"""Until a session that has just got its backend stands in the file: five seconds at most."""


def schema(dbname: str) -> tuple[str, str]:
    """Where the translations lie: found before Postgres's own, and nothing is created there."""
    return (
        f"CREATE SCHEMA {SCHEMA}",
        f'ALTER DATABASE {dbname} SET search_path = "$user", public, {SCHEMA}, pg_catalog',
    )


def ids(file: str) -> str:
    """A view of the file that :mod:`suites.present_ids` keeps."""
    return f"""
        CREATE VIEW {SCHEMA}.ids AS
        SELECT told::integer, present::integer
        FROM jsonb_each_text(pg_catalog.pg_read_file('{file}')::jsonb) AS file (told, present)
    """


def blocked_sessions() -> tuple[str, str]:
    """What the isolation suite's driver asks, by a qualified name. A parked session blocks nobody.

    An id that is a moment old only denies once too often that a session is blocked: the driver asks
    again every few milliseconds until the step ends or is found to be blocked.
    """
    name, renamed = "pg_isolation_test_session_is_blocked", "pg_isolation_test_process_is_blocked"
    return (
        f"ALTER FUNCTION pg_catalog.{name}(integer, integer[]) RENAME TO {renamed}",
        f"""
        CREATE FUNCTION pg_catalog.{name}(session integer, others integer[]) RETURNS boolean
        LANGUAGE sql VOLATILE AS $$
            SELECT coalesce(
                pg_catalog.{renamed}(
                    (SELECT present FROM {SCHEMA}.ids WHERE told = session),
                    ARRAY(SELECT present FROM {SCHEMA}.ids WHERE told = ANY (others))
                ),
                false
            )
        $$
        """,
    )


def own_id() -> str:
    """For a test that writes down the id of its own session."""
    return f"""
        CREATE FUNCTION {SCHEMA}.pg_backend_pid() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
        DECLARE
            found integer;
        BEGIN
            FOR attempt IN 1..{TRIES} LOOP
                SELECT told INTO found FROM {SCHEMA}.ids
                WHERE present = pg_catalog.pg_backend_pid();
                EXIT WHEN found IS NOT NULL;
                PERFORM pg_catalog.pg_sleep({PAUSE_SECONDS});
            END LOOP;
            RETURN found;
        END
        $$
    """


def cancel_by_id() -> str:
    """For a test that cancels the session whose id was written down.

    One that is parked at this moment runs nothing: as straight, to cancel it is no error.
    """
    return f"""
        CREATE FUNCTION {SCHEMA}.pg_cancel_backend(session integer) RETURNS boolean
        LANGUAGE sql VOLATILE AS $$
            SELECT coalesce(
                (
                    SELECT pg_catalog.pg_cancel_backend(pid)
                    FROM {SCHEMA}.ids JOIN pg_catalog.pg_stat_activity ON pid = present
                    WHERE told = session
                ),
                true
            )
        $$
    """


def end_by_id() -> str:
    """For a test that ends its own session by its id."""
    return f"""
        CREATE FUNCTION {SCHEMA}.pg_terminate_backend(session integer) RETURNS boolean
        LANGUAGE sql VOLATILE AS $$
            SELECT pg_catalog.pg_terminate_backend(present) FROM {SCHEMA}.ids WHERE told = session
        $$
    """


def activity() -> str:
    """For a test that looks for a session in ``pg_stat_activity``: only what it looks for."""
    return f"""
        CREATE VIEW {SCHEMA}.pg_stat_activity AS
        SELECT coalesce(told, pid) AS pid, state, wait_event_type, wait_event, query
        FROM pg_catalog.pg_stat_activity LEFT JOIN {SCHEMA}.ids ON present = pid
    """
