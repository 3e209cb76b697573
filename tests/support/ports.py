"""Ports of this machine for the length of a test."""

from __future__ import annotations

import os
import socket
from itertools import count

from torpor_channel.address import TcpAddress

LOWEST, EACH, WORKERS_MAX = 20_000, 750, 16
"""Each worker has ports of its own, all below 32768: from there on the kernel gives them to whoever
asks for any, also to one who comes before the test has begun to listen."""

# The workers of another run on this machine begin elsewhere.
_numbers = count(os.getpid())


def free_address() -> TcpAddress:
    """Nobody listens there, and nobody else is given it soon."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = LOWEST + worker % WORKERS_MAX * EACH
    for _ in range(EACH):
        port = first + next(_numbers) % EACH
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return TcpAddress("127.0.0.1", port)
    raise OSError(f"no port from {first} to {first + EACH - 1} of 127.0.0.1 is free")
