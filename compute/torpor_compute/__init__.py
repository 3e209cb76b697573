"""The agent: the process beside Postgres that starts, watches and stops it."""
