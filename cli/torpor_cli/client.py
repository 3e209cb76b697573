"""Asks one question, of a running `torpor up`. Standard library only: verbs start at once.

Importing the vocabulary's models takes longer than everything else that `torpor list` does, and a
verb only shows what it is answered. What stands on the wire is `torpor_channel.wire`'s.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from torpor_api.failures import Unavailable, failure_of
from torpor_cli.local.state_folder import StateFolder

Json = dict[str, Any]

QUICK_SECONDS_MAX = 10.0
"""For questions that need no database."""

SLOW_SECONDS_MAX = 120.0
"""For those that wait for a start, a stop or a copy."""


def ask_cluster(
    folder: StateFolder, request: str, *, timeout_s: float = QUICK_SECONDS_MAX, **body: Any
) -> Json:
    """Ask about resources."""
    return _ask(folder, folder.cluster_socket, request, body, timeout_s)


def ask_autoscaler(
    folder: StateFolder, request: str, *, timeout_s: float = SLOW_SECONDS_MAX, **body: Any
) -> Json:
    """Ask for a wake, a suspend or a reason, or until something is known."""
    return _ask(folder, folder.autoscaler_socket, request, body, timeout_s)


def _ask(folder: StateFolder, path: Path, request: str, body: Json, timeout_s: float) -> Json:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise _not_running(folder, error) from None
        return ask_over(connection, "`torpor up`", request, body, timeout_s)


def ask_over(
    connection: socket.socket, whom: str, request: str, body: Json, timeout_s: float
) -> Json:
    """One question over a new connection to whoever answers it; ``whom``: for people."""
    line = json.dumps({"ask": request, "id": 1, "body": body}) + "\n"
    connection.settimeout(timeout_s)
    try:
        connection.sendall(line.encode())
        with connection.makefile("rb") as answers:
            answer = answers.readline()
    except TimeoutError:
        raise Unavailable(f"no answer to {request} in {timeout_s:g} s") from None
    except OSError as error:
        raise Unavailable(f"{whom} hung up: {error}") from None
    if not answer:
        raise Unavailable(f"{whom} ended while it was asked")
    return _content(json.loads(answer))


def _content(answer: Json) -> Json:
    if "failure" in answer:
        failure = answer["failure"]
        raise failure_of(failure["kind"], failure["message"], failure.get("hint", ""))
    content: Json = answer["answer"]
    return content


def _not_running(folder: StateFolder, error: OSError) -> Unavailable:
    if isinstance(error, PermissionError):
        return Unavailable(f"the state folder {folder.root} is another user's: {error.strerror}")
    return Unavailable(
        f"no `torpor up` is running on the state folder {folder.root}",
        hint="start it with `torpor up`, or name its folder with --state DIR",
    )
