"""Many clients in one thread that all ask in the same moment; each is timed to its first row."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence

from rig.client import CHUNK_BYTES, READY, SECONDS_MAX, ServerRefused


def first_rows_s(sockets: Sequence[socket.socket], packet: bytes, began: float) -> list[float]:
    """Send the packet on every socket; seconds from ``began`` to each one's first row.

    The answers are read to their end, so that the sessions may ask again.
    """
    with selectors.DefaultSelector() as selector:
        received = {each: bytearray() for each in sockets}
        for each in sockets:
            selector.register(each, selectors.EVENT_READ, each)
            each.sendall(packet)
        rows: dict[socket.socket, float] = {}
        deadline = time.monotonic() + SECONDS_MAX
        open_ones = len(sockets)
        while open_ones:
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise ServerRefused(f"{open_ones} of {len(sockets)} clients got no answer")
            for key, _ in ready:
                each = key.data
                _read(each, received[each])
                if each not in rows and _has_row(received[each]):
                    rows[each] = time.perf_counter() - began
                if received[each].endswith(READY) and each in rows:
                    selector.unregister(each)
                    open_ones -= 1
    return list(rows.values())


def _read(each: socket.socket, into: bytearray) -> None:
    data = each.recv(CHUNK_BYTES)
    if not data:
        raise ServerRefused(f"the connection was lost: {bytes(into[-200:])!r}")
    into += data


def _has_row(data: bytearray) -> bool:
    place = 0
    while len(data) >= place + 5:
        if data[place : place + 1] == b"D":
            return True
        if data[place : place + 1] == b"E":
            raise ServerRefused(repr(bytes(data[place:])))
        place += 1 + int.from_bytes(data[place + 1 : place + 5], "big")
    return False
