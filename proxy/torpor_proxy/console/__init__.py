"""The operator console: the fleet in rows, over the Postgres protocol.

Whoever connects to the reserved name ``torpor`` and has a role of the console's own asks here what
``torpor`` on a shell asks, with psql or any driver. The pure part reads statements and messages and
makes rows (``lexer``, ``verbs``, ``statements``, ``parsing``, ``extended``, ``values``, ``rows``,
``greeting``, ``faults``); the shell asks the autoscaler (``answers``), talks with one client
(``client``, ``portals``, ``session``) and counts them (``sessions``). No database is behind a
console session, and none is kept awake by it.
"""
