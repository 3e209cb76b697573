"""Connections to the API server: who uses them is never cut off by somebody else's new login."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.rest import RESTResponse

from torpor_kube.login import Login

Send: TypeAlias = Callable[[ApiClient], Awaitable[RESTResponse]]


class Connections:
    """One client at a time. One that the server no longer knows is replaced, and closed once the
    last question that went by it is over: the others may have been answered."""

    def __init__(self, login: Login, at_once_max: int) -> None:
        """``at_once_max``: connections of one client; 0: as many as are asked for."""
        self._login = login
        self._at_once_max = at_once_max
        self._present: ApiClient | None = None
        self._uses: dict[ApiClient, int] = {}
        """Of each client that is not closed: how many questions are under way."""
        self._logging_in = asyncio.Lock()

    async def close(self) -> None:
        clients, self._present = list(self._uses), None
        self._uses.clear()
        for client in clients:
            await client.close()

    @contextlib.asynccontextmanager
    async def answer(self, send: Send) -> AsyncIterator[RESTResponse]:
        """To what ``send`` asks by a client; asked once more by a new login after a 401."""
        async with self._client(None) as client:
            response = await send(client)
            with contextlib.closing(response.response):
                if response.status != 401:
                    yield response
                    return
        async with self._client(client) as another:
            response = await send(another)
            with contextlib.closing(response.response):
                yield response

    @contextlib.asynccontextmanager
    async def _client(self, refused: ApiClient | None) -> AsyncIterator[ApiClient]:
        client = await self._logged_in(refused)
        try:
            yield client
        finally:
            if client in self._uses:
                self._uses[client] -= 1
                await self._close_unused()

    async def _logged_in(self, refused: ApiClient | None) -> ApiClient:
        """The client, counted as used; a new one where the present one was refused."""
        async with self._logging_in:
            if self._present is None or self._present is refused:
                configuration = await self._login()
                configuration.connection_pool_maxsize = self._at_once_max
                self._present = ApiClient(configuration)
            client = self._present
            self._uses[client] = self._uses.get(client, 0) + 1
        await self._close_unused()
        return client

    async def _close_unused(self) -> None:
        unused = [one for one, uses in self._uses.items() if not uses and one is not self._present]
        for client in unused:
            del self._uses[client]
        for client in unused:
            await client.close()
