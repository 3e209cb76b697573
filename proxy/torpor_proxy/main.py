"""The proxy's process: wires the adapters to the sessions, and ends in good order."""

from __future__ import annotations

import argparse
import asyncio
import hmac
import ipaddress
import logging
import os
import resource
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from torpor_api import messages as m
from torpor_api.failures import Failure, InvalidRequest, NotFound
from torpor_api.identity import proxy_name
from torpor_api.logs import log_to_stderr
from torpor_channel.address import Address, TcpAddress, parse_address, parse_tcp
from torpor_channel.health import answering
from torpor_channel.tls import Identity, are_there, files_of
from torpor_proxy.adapters.certificate import Certificate
from torpor_proxy.adapters.compute import SocketComputes
from torpor_proxy.adapters.console_roles import ConsoleRoles
from torpor_proxy.adapters.fleet import ChannelFleet
from torpor_proxy.adapters.listener import Listener
from torpor_proxy.adapters.namespace_certificates import NamespaceCertificates
from torpor_proxy.adapters.network_compute import NetworkComputes
from torpor_proxy.console.answers import Here
from torpor_proxy.console.sessions import ConsoleSessions, Entrance
from torpor_proxy.executor.cancels import Cancels
from torpor_proxy.executor.endpoint import Endpoint
from torpor_proxy.executor.host import Chaos
from torpor_proxy.executor.opening import Door, open_session
from torpor_proxy.executor.registry import Registry
from torpor_proxy.settings import Settings, from_environment

if TYPE_CHECKING:
    from torpor_channel.metrics import Metrics

log = logging.getLogger(__name__)

FLEET_SECONDS_MAX = 30.0
"""For the autoscaler to be there when the proxy starts."""


ANYWHERE = ("0.0.0.0/0", "::/0")
"""Clients' addresses."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    autoscaler: Address
    name: str
    """No other proxy's."""
    tls: Path | None
    """The folder with its certificate for autoscaler, agents and computes on a network."""
    host: str
    port: int
    certificate: Path | None
    key: Path | None
    domains: tuple[str, ...]
    chaos: Chaos
    health: TcpAddress | None = None
    namespaces: Path | None = None
    """The folder with a certificate for each namespace."""
    console: Path | None = None
    """The file with the operator console's roles; without one there is no console."""
    console_allow: tuple[str, ...] = ANYWHERE
    service: str = ""
    """NAME.NAMESPACE of the proxy's own Service, whose host name is no endpoint's."""


def parse_options(arguments: Sequence[str]) -> Options:
    """Raises InvalidRequest for an address that is none; argparse ends the process otherwise."""
    parser = argparse.ArgumentParser(prog="torpor_proxy", description=__doc__)
    parser.add_argument("--autoscaler", required=True, metavar="SOCKET|HOST:PORT")
    parser.add_argument("--tls", type=Path, metavar="FOLDER")
    parser.add_argument("--name", default=_own_name(), help="no other proxy's")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE")
    parser.add_argument("--tls-key", type=Path, metavar="FILE")
    parser.add_argument("--tls-namespaces", type=Path, metavar="FOLDER", help="of NAMESPACE.pem")
    parser.add_argument("--domain", action="append", help="NAME[.NAMESPACE].DOMAIN is an endpoint")
    parser.add_argument("--service", default="", metavar="NAME.NAMESPACE", help="the proxy's own")
    parser.add_argument("--console", type=Path, metavar="FILE", help="roles of the console")
    parser.add_argument("--console-allow", action="append", type=_cidr, metavar="CIDR")
    parser.add_argument("--health", type=parse_tcp, metavar="HOST:PORT", help="answers probes")
    parser.add_argument("--park-every-safe-point", action="store_true")
    parser.add_argument("--restart-every", type=int, default=0, metavar="PARKS")
    given = parser.parse_args(arguments)
    host, colon, port = given.listen.rpartition(":")
    if not colon or not port.isdigit():
        raise InvalidRequest(f"--listen {given.listen!r}: write HOST:PORT, like 127.0.0.1:6432")
    if (given.tls_cert is None) != (given.tls_key is None):
        raise InvalidRequest("--tls-cert and --tls-key belong together")
    if given.tls_namespaces is not None and given.tls_cert is None:
        raise InvalidRequest("--tls-namespaces FOLDER belongs to --tls-cert and --tls-key")
    if given.restart_every < 0 or (given.restart_every and not given.park_every_safe_point):
        raise InvalidRequest("--restart-every N belongs to --park-every-safe-point; N is above 0")
    autoscaler = parse_address(given.autoscaler)
    if isinstance(autoscaler, TcpAddress) and given.tls is None:
        raise InvalidRequest(f"--autoscaler {autoscaler} is on a network: give --tls FOLDER")
    host = host.removeprefix("[").removesuffix("]")
    chaos = Chaos(given.park_every_safe_point, given.restart_every)
    domains = tuple(domain.lower().strip(".") for domain in given.domain or ["localhost"])
    files = given.tls_cert, given.tls_key
    return Options(
        autoscaler,
        given.name,
        given.tls,
        host,
        int(port),
        *files,
        domains,
        chaos,
        given.health,
        given.tls_namespaces,
        given.console,
        tuple(given.console_allow or ANYWHERE),
        given.service.lower().strip("."),
    )


def _cidr(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a CIDR ({error})") from None


def _own_name() -> str:
    """In a pod it is its process 1, like every other proxy in its own."""
    return proxy_name(socket.gethostname(), os.getpid())


class Hearer:
    """What the autoscaler says, to the registry that it concerns."""

    def __init__(self, registry: Registry, cancel: Callable[[int, bytes], Awaitable[bool]]) -> None:
        self.told = registry.told
        self.listed = registry.listed
        self.removed = registry.removed
        self.keep_only = registry.keep_only
        self._cancel = cancel
        self._registry = registry

    async def cancel(self, process_id: int, secret: bytes) -> bool:
        return await self._cancel(process_id, secret)

    async def close_gate(self, asked: m.CloseGate) -> m.GateClosed:
        endpoint = self._endpoint(asked.name)
        return await endpoint.close_gate(asked)

    async def stop_listening(self, asked: m.StopListening) -> m.ListeningStopped:
        return await self._endpoint(asked.name).stop_listening(asked.epoch)

    async def start_listening(self, asked: m.StartListening) -> None:
        endpoint = self._endpoint(asked.endpoint.name)
        await endpoint.start_listening(asked.endpoint, asked.hold_s)

    def used_elsewhere(self, event: m.UsedElsewhere) -> None:
        endpoint = self._registry.endpoints.get(event.name)
        if endpoint is not None:
            endpoint.used_elsewhere(event.ago_s)

    def last_use(self, asked: m.AskLastUse) -> m.LastUse:
        return self._endpoint(asked.name).last_use()

    def list_sessions(self, asked: m.ListSessions) -> m.SessionList:
        return self._registry.list_sessions(asked)

    def end_session(self, asked: m.EndSession) -> None:
        self._registry.end_session(asked.name, asked.number)

    def _endpoint(self, name: str) -> Endpoint:
        endpoint = self._registry.endpoints.get(name)
        if endpoint is None:
            raise NotFound(f"no endpoint {name!r}")
        return endpoint

    def open_gate(self, asked: m.OpenGate) -> None:
        endpoint = self._registry.endpoints.get(asked.name)
        if endpoint is not None:
            endpoint.open_gate(asked)


def mock_secret(key: Path | None) -> bytes:
    """The same after a restart, where there is a key to derive it from."""
    if key is None:
        return secrets.token_bytes(32)
    return hmac.digest(key.read_bytes(), b"salts of roles that do not exist", "sha256")


async def serve(options: Options, settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises a Failure where it can't start."""
    listening, asked_to_end = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    metrics = _metrics(options)
    ask = None if metrics is None else metrics.told
    async with answering(options.health, lambda: _why_not_ready(listening, asked_to_end), ask):
        if await are_there(_files(options), asked_to_end):
            await _serve(options, settings, metrics, listening, asked_to_end)


def _metrics(options: Options) -> Metrics | None:
    """Where somebody may ask for them: nobody else needs their library."""
    if options.health is None:
        return None
    from torpor_channel.metrics import Metrics

    return Metrics("proxy")


def _files(options: Options) -> tuple[Path, ...]:
    """Which somebody makes while we wait, where we are on a network."""
    if options.tls is None:
        return ()
    own = (options.certificate, options.key)
    return (*files_of(options.tls), *(file for file in own if file is not None))


def _encryption(options: Options) -> Certificate | None:
    """Raises InvalidRequest where the files can't be used."""
    if options.certificate is None or options.key is None:
        return None
    folder = options.namespaces
    of_namespaces = None if folder is None else NamespaceCertificates(folder, options.domains)
    return Certificate(options.certificate, options.key, of_namespaces)


async def _serve(
    options: Options,
    settings: Settings,
    metrics: Metrics | None,
    listening: asyncio.Event,
    asked_to_end: asyncio.Event,
) -> None:
    encryption = _encryption(options)
    identity = None if options.tls is None else Identity(options.tls)
    computes = SocketComputes() if identity is None else NetworkComputes(identity)
    fleet = ChannelFleet(options.autoscaler, options.name, identity)
    registry = Registry(settings, fleet, computes, options.chaos)
    if metrics is not None:
        from torpor_proxy.adapters.metrics import ProxyMetrics

        ProxyMetrics(metrics, registry, lambda: len(registry.endpoints))
    console = _console(options, settings, registry, fleet)

    async def cancel(process_id: int, secret: bytes) -> bool:
        if await registry.cancel(process_id, secret):
            return True
        return console is not None and console.cancel(process_id, secret)

    door = Door(
        registry,
        fleet,
        Cancels(cancel, fleet),
        encryption,
        options.domains,
        mock_secret(options.key),
        console,
        options.service,
    )
    fleet.start(Hearer(registry, cancel))
    listener = Listener(settings, lambda stream, client: open_session(door, stream, client))
    watching = asyncio.create_task(_watch(registry, fleet, settings))
    try:
        await fleet.ready(timeout_s=FLEET_SECONDS_MAX)
        await listener.listen(options.host, options.port)
        listening.set()
        log.info("listening", extra={"host": options.host, "port": options.port})
        await asked_to_end.wait()
        log.info("draining", extra={"timeout_s": settings.drain_timeout_s})
        await listener.close()
        await registry.drain()
        if console is not None:
            await console.close()
        watching.cancel()  # What it reported after the last word would be a stranger's.
        await fleet.leave(registry.last_uses())
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await fleet.close()


def _console(
    options: Options, settings: Settings, registry: Registry, fleet: ChannelFleet
) -> ConsoleSessions | None:
    if options.console is None:
        return None
    entrance = Entrance(ConsoleRoles(options.console).find, options.console_allow)
    here = Here(fleet.name, version("torpor"), registry.samples)
    return ConsoleSessions(settings, entrance, fleet, here)


def _why_not_ready(listening: asyncio.Event, asked_to_end: asyncio.Event) -> str:
    """An autoscaler that is lost later is no reason: whoever is awake is served without one."""
    if asked_to_end.is_set():
        return "draining"
    if listening.is_set():
        return ""
    return "waits for its certificates, and for the autoscaler to tell of the databases"


async def _watch(registry: Registry, fleet: ChannelFleet, settings: Settings) -> None:
    """Examine idle sessions, and report: once a second, and when a database has become idle."""
    reported_at, examined = 0.0, set[str]()
    while True:
        await asyncio.sleep(settings.capture_after_s / 2)
        now = monotonic()
        try:
            registry.capture_idle(now)
            before, examined = examined, registry.examined()
            if now - reported_at >= settings.sample_every_s or examined - before:
                reported_at = now
                fleet.report(registry.samples())
        except Exception:
            log.exception("report_defect")


def run(main: Callable[[], Awaitable[None]]) -> None:
    """On uvloop where it is installed, unless TORPOR_LOOP=asyncio says otherwise."""
    factory = None
    if os.environ.get("TORPOR_LOOP", "uvloop") == "uvloop":
        try:
            import uvloop
        except ImportError:
            log.info("uvloop_missing")
        else:
            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_as_coroutine(main))


async def _as_coroutine(main: Callable[[], Awaitable[None]]) -> None:
    await main()


def raise_open_files_limit() -> None:
    """Each held session is an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """``python -m torpor_proxy``."""
    try:
        options = parse_options(sys.argv[1:])
        settings = from_environment(os.environ)
    except InvalidRequest as invalid:
        for line in invalid.message.splitlines():
            sys.stderr.write(f"torpor_proxy: {line}\n")
        sys.exit(2)
    log_to_stderr("proxy", os.environ, {"proxy": options.name})
    try:
        raise_open_files_limit()
        run(lambda: serve(options, settings))
    except Failure as failure:
        fields = {"kind": failure.kind, "reason": failure.message, "hint": failure.hint}
        log.error("not_started", extra=fields)
        sys.exit(2 if isinstance(failure, InvalidRequest) else 1)
