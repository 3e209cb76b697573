"""Who has notified, as the clients of this proxy know each other. Pure.

A NotificationResponse carries the process id of its sender's backend, which is another one after
each park. Clients pass over what they have sent themselves by comparing it with the one that they
were told at their login, so that is what they are told here.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from struct import Struct

from torpor_proxy.core.wire import HEAD_BYTES

_head = Struct(">BI").unpack_from
_process_id = Struct(">I")
_NOTIFICATION = ord("A")
_ID_END = HEAD_BYTES + _process_id.size

BACKENDS_MAX = 4096
"""The last ones: a notification may come after its sender was parked."""

_STRANGER_MAX = (1 << 31) - 1
"""Counted down from here: neither the kernel nor a session that is born parked comes so far."""


class ToldAs(Mapping[int, int]):
    """By the process id of a backend: the one by which the clients of this proxy know it.

    Of backends of others only those that would be taken for one of these clients.
    """

    def __init__(self, of_clients: Container[int]) -> None:
        """``of_clients``: the ids that open clients of this proxy were told."""
        self._of_clients = of_clients
        self._by_backend: dict[int, int] = {}

    def remember(self, backend: int, told: int) -> None:
        """The session of that backend is known by this id."""
        self._by_backend.pop(backend, None)
        self._by_backend[backend] = told
        if len(self._by_backend) > BACKENDS_MAX:
            del self._by_backend[next(iter(self._by_backend))]

    def __getitem__(self, backend: int) -> int:
        known = self._by_backend.get(backend)
        if known is not None:
            return known
        if backend in self._of_clients:
            return _STRANGER_MAX - backend
        raise KeyError(backend)

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_backend)

    def __len__(self) -> int:
        return len(self._by_backend)


def may_notify(data: bytes) -> bool:
    """Whether a notification may be in the bytes; cheap."""
    return b"A\0\0" in data


def as_told(data: bytes, begin: int, told_as: Mapping[int, int]) -> bytes:
    """The bytes with the senders' ids as their clients were told them.

    ``begin``: where the first message begins. One whose id is cut off at the end stays as it is.
    """
    position, size, told = begin, len(data), None
    while position + _ID_END <= size:
        kind, length = _head(data, position)
        if kind == _NOTIFICATION:
            (sender,) = _process_id.unpack_from(data, position + HEAD_BYTES)
            if sender in told_as:
                told = bytearray(data) if told is None else told
                _process_id.pack_into(told, position + HEAD_BYTES, told_as[sender])
        position += 1 + max(length, 4)
    return data if told is None else bytes(told)
