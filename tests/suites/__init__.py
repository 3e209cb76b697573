"""Other people's test suites, run straight to Postgres and through Torpor, and compared."""
