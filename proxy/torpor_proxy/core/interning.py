"""One object for equal values: thousands of sessions of one pool differ in nothing. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class Interner(Generic[KeyT, ValueT]):
    """Gives out the object first seen for a key, for as long as anybody uses it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[KeyT, ValueT] = WeakValueDictionary()

    def one(self, key: KeyT, value: ValueT) -> ValueT:
        """``value``, or the object that was given for an equal key before."""
        return self._known.setdefault(key, value)

    def __len__(self) -> int:
        return len(self._known)
