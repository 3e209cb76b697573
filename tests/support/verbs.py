"""`torpor` in the process of the tests, for those of what a verb does and says.

As a process of its own it would import for a third of a second before it begins. Tests of signals,
of terminals and of `torpor up` start one.
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

from torpor_cli.main import main


def torpor(*arguments: object) -> CompletedProcess[str]:
    """From its command line to its exit status. Nobody is there to be asked anything."""
    argv = ["torpor", *map(str, arguments)]
    said, complained = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    status: object = 0
    with (
        patch.object(sys, "argv", argv),
        patch.object(sys, "stdin", io.StringIO()),
        redirect_stdout(said),
        redirect_stderr(complained),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code
    assert isinstance(status, int | None), status
    return CompletedProcess(argv, status or 0, _text(said), _text(complained))


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
