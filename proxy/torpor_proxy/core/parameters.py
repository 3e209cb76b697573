"""What a client was told about its session by ParameterStatus. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torpor_proxy.core import wire
from torpor_proxy.core.interning import Interner

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Parameters:
    """The values last told, by name."""

    pairs: Pairs = ()

    def with_one(self, name: str, value: str) -> Parameters:
        return parameters_of(tuple({**dict(self.pairs), name: value}.items()))

    def difference(self, now: Iterable[tuple[str, str]]) -> bytes:
        """The messages that bring a client from these values to those."""
        told = dict(self.pairs)
        return b"".join(
            wire.parameter_status(name, value) for name, value in now if told.get(name) != value
        )


_interner: Interner[Pairs, Parameters] = Interner()

NOTHING_TOLD = Parameters()


def parameters_of(pairs: Pairs) -> Parameters:
    """One object for equal values."""
    return _interner.one(pairs, Parameters(pairs))
