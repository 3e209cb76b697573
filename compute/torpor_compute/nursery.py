"""``python -m torpor_compute.nursery``: agents are forked from it, and need not import anything.

Python imports for a third of a second of a processor's time before an agent can listen, and on one
machine that is most of what a warm pool costs. So `torpor up` keeps one process that has imported
what an agent needs, and has it fork one on order. It does nothing else: no event loop, no thread,
no file but the socket on which it is asked and the agents' log.

An order is a datagram on its standard input: the agent's options, parted by NUL. The answer is the
agent's process id, or :data:`NO_PROCESS`. The socket's end is its own end.

An agent is no child of this process but of who ordered it, from before its id is told: forked
twice, and the kernel gives what loses its parent to the nearest child subreaper. So it is watched,
fenced and reaped like any process that `torpor up` has started itself, and outlives the nursery.
It begins when its id has been told, and never if the nursery dies before.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn

from torpor_compute.adapters import command_line

ORDER_BYTES_MAX = 64 << 10
"""The options of an agent are some hundred bytes; what a datagram can hold is not much more."""

WARM = b"warm"
"""Said once: from now on it takes orders."""

NO_PROCESS = b"the kernel has no process left for it"

_BEGIN = b"!"

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """Of the nursery; and in each of its forks, of the agent that this has become."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # What is imported stays: nobody shall look for garbage in it, nor write to its pages.
    gc.disable()
    from torpor_compute.main import main as live_as_agent

    gc.freeze()
    options = serve(socket.socket(fileno=sys.stdin.fileno()))
    if options is None:
        return 0
    gc.enable()
    return live_as_agent(options)


def serve(orders: socket.socket) -> list[str] | None:
    """Take orders until nobody gives any: None then. In an agent it returns the agent's options."""
    supervisor = os.getppid()
    command_line.show(_command("torpor_compute.nursery"))
    orders.send(WARM)
    while order := orders.recv(ORDER_BYTES_MAX):
        if _has_become_agent(orders, supervisor):
            options = os.fsdecode(order).split("\0")
            command_line.show([*_command("torpor_compute"), *options])
            return options
    return None


def _has_become_agent(orders: socket.socket, supervisor: int) -> bool:
    """Fork one and answer the order with it. In the new one: whether that is what it is."""
    begin, tell_begin = os.pipe()
    agent = _forked_twice()
    if agent == 0:
        orders.detach()
        os.close(tell_begin)
        _begin_as_agent(begin, supervisor)
        return True
    if agent is None:
        orders.send(NO_PROCESS)
    else:
        orders.send(str(agent).encode())
        os.write(tell_begin, _BEGIN)
    os.close(begin)
    os.close(tell_begin)
    return False


def _forked_twice() -> int | None:
    """The process id of the second, which is the supervisor's child by then; in itself: 0. None
    where the kernel has no process left."""
    told, tell = os.pipe()
    with os.fdopen(told, "rb") as hearing, os.fdopen(tell, "wb") as telling:
        between = _forked()
        if between == 0:
            agent = _forked()
            if agent == 0:
                return 0
            _tell_and_end(tell, agent)
        if between is None:
            return None
        telling.close()
        process_id = hearing.read()
        os.waitpid(between, 0)
    return int(process_id) if process_id else None


def _forked() -> int | None:
    try:
        return os.fork()
    except OSError:
        return None


def _tell_and_end(tell: int, agent: int | None) -> NoReturn:
    """What is between must never get to what its parent does after the fork."""
    try:
        if agent is not None:
            os.write(tell, str(agent).encode())
    finally:
        os._exit(0)


def _begin_as_agent(begin: int, supervisor: int) -> None:
    """What `torpor up` does with a process between fork and exec, and what exec would do."""
    os.setsid()
    if os.read(begin, 1) != _BEGIN:
        os._exit(1)  # The nursery has died, and perhaps nobody has heard of this process.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:
        os._exit(1)  # It has ended before it could end us.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, sys.stdin.fileno())
    os.closerange(sys.stderr.fileno() + 1, os.sysconf("SC_OPEN_MAX"))


def _command(module: str) -> Sequence[str]:
    return (sys.executable, "-m", module)


if __name__ == "__main__":
    sys.exit(main())
