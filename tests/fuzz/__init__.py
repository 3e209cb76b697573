"""A differential fuzzer: what clients see straight from Postgres, and from a session that is parked
at every safe point.

A seed makes a *conversation*: two clients that send messages in turns, right ones and wrong ones.
It is held twice, with one Postgres and two databases of the same content. Then every byte that each
client got is compared; what is normalised before that, and why, stands in
:mod:`fuzz.transcript`.
"""
