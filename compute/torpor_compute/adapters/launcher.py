"""The process that becomes Postgres. Run by its path, with the standard library only.

Started together with the agent and waiting on its standard input, so that a claim costs one write
and one ``exec``: starting a process from a large one would take longer than that. It gives up every
right that it does not need, and asks the kernel to end it when the agent ends, in this order: a
change of user id clears the wish for the parent's death signal.

Writes one line when it is warm. Then reads a dictionary, packed by ``marshal``, to its input's end:
``{"argv", "environment", "data", "log", "user_id", "agent"}``.

After a death of Postgres clients wait until the next one of these is warm. So it imports little:
with ``json``, ``signal`` and ``typing`` it would take 31 ms of a processor, and not 15.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import stat
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522

_SIGQUIT, _SIGPIPE, _SIGXFSZ = 3, 13, 25
"""Of Linux."""

_SIG_DFL = ctypes.c_void_p(0)

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    # A shell's background job ignores it, and so would Postgres until it has its own handlers.
    _libc.signal(_SIGQUIT, _SIG_DFL)
    sys.stdout.write("warm\n")
    sys.stdout.flush()
    packed = sys.stdin.buffer.read()
    if not packed:
        return  # The agent has ended without being claimed.
    plan = marshal.loads(packed)
    try:
        _redirect(plan["log"])
        if plan["user_id"] is not None:
            _give_up_rights(plan["user_id"])
        _die_with(plan["agent"])
        os.chdir(plan["data"])
        os.umask(0o077)
        # Python ignores these, and an ignored signal stays ignored after exec.
        _libc.signal(_SIGPIPE, _SIG_DFL)
        _libc.signal(_SIGXFSZ, _SIG_DFL)
        os.execve(plan["argv"][0], plan["argv"], plan["environment"])
    except OSError as error:
        os.write(2, f"can't run {plan['argv'][0]} in {plan['data']}: {error}\n".encode())
        os._exit(127)


def _redirect(log: str) -> None:
    """Opened with the agent's rights, so no link is followed and nothing but a file will do."""
    folder = os.open(os.path.dirname(log), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    output = os.open(os.path.basename(log), flags, 0o600, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(output).st_mode):
        raise OSError(f"{log} is no regular file")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for descriptor in (null, output, folder):
        os.close(descriptor)


def _give_up_rights(user_id: int) -> None:
    os.setgroups([])
    os.setresgid(user_id, user_id, user_id)
    os.setresuid(user_id, user_id, user_id)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _checked(_libc.capset(header, nothing), "capset")


def _die_with(agent: int) -> None:
    """An immediate shutdown when the agent ends; also if it has ended already."""
    zero = ctypes.c_ulong(0)
    one = ctypes.c_ulong(1)
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, one, zero, zero, zero), "prctl")
    quit_signal = ctypes.c_ulong(_SIGQUIT)
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, quit_signal, zero, zero, zero), "prctl")
    if os.getppid() != agent:
        os._exit(1)


def _checked(result: int, name: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
