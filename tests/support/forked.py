"""Components of Torpor as processes of their own, forked from one that has imported them already.

Tests start agents and proxies by the hundred, and each would import for a third of a second of a
processor's time what does not change. What is forked then runs as ``python -m torpor_…`` does,
under the same options and environment. That the command itself works is for tests that use it.

One process forks for all tests of a worker, see :data:`LASTING`. It ends when the worker does.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

COMPONENTS = ("torpor_compute", "torpor_proxy")
"""What can be started so."""

LASTING: set[int] = set()
"""Process ids: what a test may leave behind, for the next ones."""

ORDER_BYTES_MAX = 128 << 10
"""Options and an environment are some kilobytes; a datagram of a socket can't be much larger."""

IMPORT_SECONDS_MAX = 90.0
"""For the imports of all of them, where others have the processor."""

READY = b"ready"


class Process(Protocol):
    """What tests need of one, as of :class:`subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Forked:
    """One that was forked. Its end is told by who waits for it: see :func:`_look_after`."""

    def __init__(self, teller: socket.socket) -> None:
        self._teller = teller
        self._status: int | None = None
        self.pid = self._heard(IMPORT_SECONDS_MAX)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, or the negative number of a signal. Raises TimeoutExpired."""
        if self._status is None:
            self._status = self._heard(timeout)
            self._teller.close()
        return self._status

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _heard(self, timeout: float | None) -> int:
        readable, _, _ = select.select([self._teller], [], [], timeout)
        if not readable:
            raise subprocess.TimeoutExpired("a forked component", timeout or 0)
        said = self._teller.recv(32)
        assert said, "whoever looks after it has ended"
        return int(said)


def start(
    component: str, options: Sequence[str], environment: Mapping[str, str], errors: int
) -> Forked:
    """``errors``: the file descriptor of its standard error."""
    assert component in COMPONENTS, component
    order = json.dumps([component, list(options), dict(environment)]).encode()
    teller, its_teller = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its_teller:
        socket.send_fds(_orders(), [order], [its_teller.fileno(), errors])
    return Forked(teller)


@functools.cache
def _orders() -> socket.socket:
    """To the process that forks; begun at the first order."""
    orders, its_orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [sys.executable, "-m", "support.forked"]
    path = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        argv, stdin=its_orders.fileno(), cwd="/", env={**os.environ, "PYTHONPATH": path}
    )
    LASTING.add(process.pid)
    its_orders.close()
    orders.settimeout(IMPORT_SECONDS_MAX)
    assert orders.recv(len(READY)) == READY, f"it has ended: {process.poll()}"
    orders.settimeout(None)
    atexit.register(_end, orders, process)
    return orders


def _end(orders: socket.socket, process: subprocess.Popen[bytes]) -> None:
    orders.close()
    process.wait()


# --- in the process that forks ------------------------------------------------------------------


def main() -> None:
    gc.disable()
    for component in COMPONENTS:
        importlib.import_module(f"{component}.main")
    gc.freeze()
    # Who looks after one ends with it, and nobody waits for that.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    orders = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    orders.send(READY)
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, ORDER_BYTES_MAX, 2)
        if not order:
            return
        if os.fork() == 0:
            orders.close()
            _look_after(order, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _look_after(order: bytes, teller: int, errors: int) -> NoReturn:
    """Tells its process id, and when it has ended its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(teller)
        _become(order, errors)
    os.write(teller, str(pid).encode())
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # The tests have ended before it.
        os.write(teller, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(order: bytes, errors: int) -> NoReturn:
    component, options, environment = json.loads(order)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, sys.stdin.fileno())
    os.dup2(errors, sys.stderr.fileno())
    os.closerange(sys.stderr.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(Path(component) / "__main__.py"), *options]
    status: object = 0
    try:
        runpy.run_module(component, run_name="__main__", alter_sys=False)
    except SystemExit as end:
        status = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    main()
