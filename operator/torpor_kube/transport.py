"""Questions over HTTP to the API server, by the connections and logins of ``kubernetes.aio``.

Of that client none of its 700 models is used: what is sent and what comes are plain dicts, so that
a field of a newer server passes through untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.rest import RESTResponse

from torpor_api.failures import Unavailable
from torpor_kube.answers import failure_of, retry_after_s
from torpor_kube.login import Login
from torpor_kube.port import Document

REQUEST_S_MAX = 10.0
"""For one question with its repetitions; a healthy server needs milliseconds."""

CONNECT_S_MAX = 5.0

CONNECTIONS_MAX = 64
"""Watches included. A question that finds none free waits for one, within its own time: more at a
time would only wait in the server, each behind a TLS handshake of its own."""

SILENCE_S_MAX = 75.0
"""Bookmarks come once a minute: a watch that is quiet for longer is dead, whatever TCP says."""

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
        self._login = login
        self._request_s_max = request_s_max
        self._client: ApiClient | None = None
        self._logging_in = asyncio.Lock()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def ask(self, question: Question) -> Document:
        """The answer. A server that is too busy to begin is asked again when it says so."""
        with _as_unavailable(question):
            async with asyncio.timeout(self._request_s_max):
                while True:
                    response = await self._send(question, None)
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
        with _as_unavailable(question):
            response = await self._send(question, SILENCE_S_MAX)
            try:
                if response.status != 200:
                    content = await response.read()
                    raise failure_of(response.status, content, str(question))
                async for line in response.response.content:
                    yield json.loads(line)
            finally:
                response.response.close()

    async def _send(self, question: Question, silence_s_max: float | None) -> RESTResponse:
        client = await self._logged_in(None)
        response = await _send_by(client, question, silence_s_max)
        if response.status != 401:
            return response
        response.response.close()
        client = await self._logged_in(client)
        return await _send_by(client, question, silence_s_max)

    async def _logged_in(self, refused: ApiClient | None) -> ApiClient:
        """The client; a new one where the present one was refused."""
        async with self._logging_in:
            if self._client is None or self._client is refused:
                configuration = await self._login()
                configuration.connection_pool_maxsize = CONNECTIONS_MAX
                await self.close()
                self._client = ApiClient(configuration)
            return self._client


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
