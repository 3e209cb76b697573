"""What the fake API server has of a pod's container: its log, and commands that are run in it."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from support.fake_kube.errors import not_found

PROTOCOL = "v4.channel.k8s.io"

STDOUT, STDERR, ERROR = b"\x01", b"\x02", b"\x03"

OUTPUT_BYTES = 1000
"""Of a frame: less than most answers, so that these come in several."""


class Containers:
    """Their logs by namespace and pod; commands are run on this machine, for they only read."""

    def __init__(self) -> None:
        self.logs: dict[tuple[str, str], list[tuple[str, str]]] = {}
        """Time and text of each line, as a kubelet keeps them."""
        self.ran: list[tuple[str, list[str]]] = []
        """In which pod, and what."""

    def add_routes(self, app: web.Application) -> None:
        path = "/api/v1/namespaces/{namespace}/pods/{pod}"
        app.router.add_get(f"{path}/log", self._log)
        app.router.add_get(f"{path}/exec", self._run)

    async def _log(self, request: web.Request) -> web.Response:
        pod, query = request.match_info["pod"], request.query
        lines = self.logs.get((request.match_info["namespace"], pod))
        if lines is None:
            raise not_found(f"pods {pod}")
        # A real one takes whole seconds, so that lines of the same second come again.
        since = query.get("sinceTime", "")[:19]
        told = [f"{at} {text}\n" for at, text in lines if at[:19] >= since]
        return web.Response(text="".join(told))

    async def _run(self, request: web.Request) -> web.WebSocketResponse:
        argv = request.query.getall("command")
        self.ran.append((request.match_info["pod"], argv))
        socket = web.WebSocketResponse(protocols=(PROTOCOL,))
        await socket.prepare(request)
        running = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, complaint = await running.communicate()
        for start in range(0, len(output), OUTPUT_BYTES):
            await socket.send_bytes(STDOUT + output[start : start + OUTPUT_BYTES])
        if complaint:
            await socket.send_bytes(STDERR + complaint)
        await socket.send_bytes(ERROR + json.dumps(_status(running.returncode or 0)).encode())
        await socket.close()
        return socket


def _status(code: int) -> dict[str, object]:
    if code == 0:
        return {"status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
