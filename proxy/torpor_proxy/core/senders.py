"""Who has notified, as the clients of this proxy know each other. Pure.

A NotificationResponse carries the process id of its sender's backend, which is another one after
each park. Clients pass over what they have sent themselves by comparing it with the one that they
were told at their login, so that is what they are told here.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from torpor_proxy.core.wire import HEAD_BYTES

_head = Struct(">BI").unpack_from
_process_id = Struct(">I")
_NOTIFICATION = ord("A")
_ID_END = HEAD_BYTES + _process_id.size


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
