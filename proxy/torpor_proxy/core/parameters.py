"""What a client was told about its session by ParameterStatus. Pure.

Kept as bytes: every session has fifteen of them, and as objects they would be the largest part of
what is held for one that is parked.
"""

from __future__ import annotations

from dataclasses import dataclass

from torpor_proxy.core import wire
from torpor_proxy.core.interning import Interner

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Parameters:
    """The values last told, by name."""

    packed: bytes = b""
    """Names and values in turn, each with the zero byte that ends it on the wire."""

    @property
    def pairs(self) -> Pairs:
        texts = iter(self.packed.decode().split("\0")[:-1])
        return tuple(zip(texts, texts, strict=True))

    def with_one(self, name: str, value: str) -> Parameters:
        return parameters_of(tuple({**dict(self.pairs), name: value}.items()))

    def difference(self, now: Pairs) -> bytes:
        """The messages that bring a client from these values to those."""
        pairs = self.pairs
        if now == pairs:
            return b""  # Nearly always, and a thousand times where a herd comes back.
        told = dict(pairs)
        return b"".join(
            wire.parameter_status(name, value)
            for name, value in now
            if not _is_same(told.get(name), value)
        )


def _is_same(told: str | None, now: str) -> bool:
    """Other than ASCII looks different where the client's encoding has changed since it was told;
    it is put back as it was, and Postgres does not tell it again either."""
    return told == now or not (told is None or told.isascii() or now.isascii())


_interner: Interner[bytes, Parameters] = Interner()

NOTHING_TOLD = Parameters()


def parameters_of(pairs: Pairs) -> Parameters:
    """One object for equal values."""
    packed = "".join([f"{name}\0{value}\0" for name, value in pairs]).encode(errors="replace")
    return _interner.one(packed, Parameters(packed))
