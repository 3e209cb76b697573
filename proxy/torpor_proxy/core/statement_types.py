"""The types of a prepared statement's parameters and columns, as they are kept. Pure."""

from __future__ import annotations

from functools import lru_cache

from torpor_proxy.core import wire

KNOWN_MAX = 1024
"""Many statements have the same few types; at most 200 bytes each."""


@lru_cache(KNOWN_MAX)
def types_of(parameters: bytes, results: bytes) -> bytes:
    """``{23}|{25,20}``, of two arrays in binary form. Without columns the second is nothing."""
    return _shown(parameters) + b"|" + (_shown(results) if results else b"")


def parameters_of(types: bytes) -> list[int]:
    """The object ids of the parameters."""
    return [int(oid) for oid in types.split(b"|")[0].strip(b"{}").split(b",") if oid]


def _shown(array: bytes) -> bytes:
    oids = (int.from_bytes(oid, "big") for oid in wire.array(array))
    return b"{" + ",".join(map(str, oids)).encode() + b"}"
