"""Connections over a network, which may end without a word: how soon that is noticed."""

from __future__ import annotations

import socket

KEEPALIVE_IDLE_SECONDS = 10
"""A connection over which nothing is said is asked after this long whether it still is one."""

KEEPALIVE_INTERVAL_SECONDS = 5
KEEPALIVE_PROBES = 3
"""So a quiet connection to a machine that is gone ends after 25 s, and every question on it."""

UNACKNOWLEDGED_MILLISECONDS_MAX = 20_000
"""One over which something was said ends after this long without any sign that it has come. The
kernel's own patience is a quarter of an hour. A network that is away for less harms nothing."""


def watch(connection: socket.socket) -> None:
    """Let the kernel end the connection when the other side is not there any more."""
    set_option = connection.setsockopt
    set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    set_option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)
    set_option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)
    set_option(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    set_option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS_MAX)
    set_option(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
