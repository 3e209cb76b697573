"""Ports of this machine for the length of a test."""

from __future__ import annotations

import socket

from torpor_channel.address import TcpAddress


def free_address() -> TcpAddress:
    """Nobody listens there, and the kernel gives it to nobody else soon."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return TcpAddress("127.0.0.1", listener.getsockname()[1])
