"""Questions over HTTP to the API server, by the connections and logins of ``kubernetes.aio``.

Of that client none of its 700 models is used: what is sent and what comes are plain dicts, so that
a field of a newer server passes through untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.rest import RESTResponse

from torpor_api.failures import Unavailable
from torpor_kube.answers import failure_of, retry_after_s
from torpor_kube.connections import Connections
from torpor_kube.login import Login
from torpor_kube.port import Document

REQUEST_S_MAX = 10.0
"""For one question with its repetitions; a healthy server needs milliseconds."""

CONNECT_S_MAX = 5.0

QUESTIONS_MAX = 64
"""At a time. One more waits for a connection, within its own time: more would only wait in the
server, each behind a TLS handshake of its own. Watches are not among them: each holds its own
connection for as long as it lasts, and there are as many as kinds and namespaces are watched."""

SILENCE_S_MAX = 75.0
"""Bookmarks come once a minute: a watch that is quiet for longer is dead, whatever TCP says."""

KEEPALIVE_IDLE_S = 10
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_PROBES = 3
"""So a watch over a network that is away ends after 25 s, and begins anew in the moment in which it
is back. What the server has sent meanwhile would come by a repetition of TCP's: after a minute
without a network, three quarters of one later."""

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Question:
    """One request; parts of the query that are empty are left out."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Document | None = None
    content_type: str = JSON

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Transport:
    """Its connections are kept open; it logs in anew when the server no longer knows it."""

    def __init__(self, login: Login, request_s_max: float) -> None:
        self._request_s_max = request_s_max
        self._questions = Connections(login, QUESTIONS_MAX)
        self._watches = Connections(login, 0)

    async def close(self) -> None:
        await self._questions.close()
        await self._watches.close()

    async def ask(self, question: Question) -> Document:
        """The answer. A server that is too busy to begin is asked again when it says so."""
        send = partial(_send_by, question=question, silence_s_max=None)
        with _as_unavailable(question):
            async with asyncio.timeout(self._request_s_max):
                while True:
                    async with self._questions.answer(send) as response:
                        content = await response.read()
                    pause_s = retry_after_s(response.status, response.headers)
                    if pause_s is None:
                        break
                    await asyncio.sleep(pause_s)
        if not 200 <= response.status < 300:
            raise failure_of(response.status, content, str(question))
        found: Document = json.loads(content)
        return found

    async def lines(self, question: Question) -> AsyncGenerator[dict[str, Any], None]:
        """One value per line of an answer that has no end, until it ends."""
        send = partial(_send_by, question=question, silence_s_max=SILENCE_S_MAX)
        with _as_unavailable(question):
            async with self._watches.answer(send) as response:
                if response.status != 200:
                    content = await response.read()
                    raise failure_of(response.status, content, str(question))
                _ask_whether_it_is_there(response.response)
                async for line in response.response.content:
                    yield json.loads(line)


async def _send_by(
    client: ApiClient, question: Question, silence_s_max: float | None
) -> RESTResponse:
    headers = {"Accept": JSON, "Content-Type": question.content_type}
    await client.update_params_for_auth(headers, [], ["BearerToken"], "", question.method, None)
    given = urlencode({key: value for key, value in question.query.items() if value})
    url = f"{client.configuration.host}{question.path}" + (f"?{given}" if given else "")
    response: RESTResponse = await client.rest_client.request(
        question.method,
        url,
        headers=headers,
        body=question.body,
        _request_timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_S_MAX, sock_read=silence_s_max
        ),
    )
    return response


def _ask_whether_it_is_there(response: aiohttp.ClientResponse) -> None:
    """The kernel does, while nothing comes: a watch itself says nothing that could be missed."""
    transport = response.connection and response.connection.transport
    connection = transport and transport.get_extra_info("socket")
    if connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


@contextlib.contextmanager
def _as_unavailable(question: Question) -> Iterator[None]:
    """Nothing of the connection passes this edge as anything else."""
    try:
        yield
    except TimeoutError:
        raise Unavailable(f"the API server did not answer {question} in time") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # ValueError: an answer that is no JSON, or a line beyond every bound.
        raise Unavailable(f"the API server can't be asked {question}: {error!r}") from error
    except (AssertionError, RuntimeError, asyncio.CancelledError) as error:
        # What aiohttp says to whoever uses a client that is closed meanwhile. Its CancelledError is
        # nobody's wish: passed on, it would end the task that has asked without a word.
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
            raise
        raise Unavailable(f"the connection for {question} was closed: {error!r}") from error
