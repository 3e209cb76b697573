"""`torpor replay`: a log of statements, or a pgbench script, against an endpoint."""
