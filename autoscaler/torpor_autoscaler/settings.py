"""The command line, read and judged once."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torpor_api.failures import InvalidRequest
from torpor_api.prices import WAITING_PRICE, WAITING_PRICE_MAX
from torpor_api.resource import Endpoint
from torpor_api.values import WARM_MAX
from torpor_channel.address import Address, TcpAddress, parse_address, parse_tcp

WAKE_DEADLINE_S = 55.0
"""Less than the minute for which a proxy waits, so that its clients hear the reason."""

SUSPEND_DEADLINE_S = 60.0
"""For a person's wish: reports of all proxies, a checkpoint and a stop."""

KUBERNETES = "kubernetes"
"""In place of a socket's path: the cluster is that of an API server."""

SYSTEM_NAMESPACE = "torpor-system"
POOL = "default"


@dataclass(frozen=True, slots=True)
class OnKubernetes:
    """Which API server, and what on it is ours."""

    system_namespace: str
    """Where computes, warm pools and the system's Secrets are."""
    pool: str
    """The WarmPool in which ``warm`` agents wait. Those of others wait as these say themselves."""
    kubeconfig: Path | None
    """None: the ServiceAccount of the pod, or what kubectl would take."""
    namespaces: tuple[str, ...] = ()
    """Whose databases are ours; none: all of them."""
    lease: str = ""
    """By which one of several leads, and the others stand by; empty: there is no other one."""
    identity: str = ""
    """This process among the candidates: the name of its pod."""


@dataclass(frozen=True, slots=True)
class OfDashboard:
    """Where the dashboard is served, and to whom."""

    listen: TcpAddress
    key: Path | None = None
    """A file that others can't read: by it a browser that was let in is known again, also by the
    next autoscaler. None: until this process ends."""
    hosts: tuple[str, ...] = ()
    """Names under which it is reached, beside addresses and ``localhost``; through TLS."""


@dataclass(frozen=True, slots=True)
class Settings:
    cluster: Path | OnKubernetes
    """Where the cluster listens, or how Kubernetes is asked."""
    listen: Address
    warm: int
    """How many agents wait for a database, at least."""
    endpoint: Endpoint
    """Where clients reach the proxy, as the resources say it; a ``*`` in the host is the database's
    own NAME.NAMESPACE."""
    wake_deadline_s: float
    suspend_deadline_s: float
    warm_max: int | None = None
    """And at most, when many wake; None: as many as at least. On Kubernetes pools say both."""
    waiting_price: float = WAITING_PRICE
    """CU-seconds that a second of a client's waiting is worth to ``idleTimeout: auto``."""
    health: TcpAddress | None = None
    """Where a kubelet's probes are answered."""
    tls: Path | None = None
    """The folder with its certificate, where it and agents are on a network."""
    dashboard: OfDashboard | None = None


def from_arguments(arguments: Sequence[str]) -> Settings:
    """Exits with a line that names the option, its value and what is allowed."""
    parser = argparse.ArgumentParser(
        prog="torpor_autoscaler", description="Decides which databases sleep and which wake."
    )
    parser.add_argument("--cluster", required=True, metavar=f"SOCKET|{KUBERNETES}")
    parser.add_argument("--system-namespace", default=SYSTEM_NAMESPACE, metavar="NAMESPACE")
    parser.add_argument("--pool", default=POOL, metavar="NAME")
    parser.add_argument("--kubeconfig", type=Path, default=None, metavar="FILE")
    parser.add_argument("--watch-namespace", action="append", default=[], metavar="NAMESPACE")
    parser.add_argument("--lease", default="", metavar="NAME")
    parser.add_argument("--identity", default=socket.gethostname(), metavar="POD")
    parser.add_argument("--listen", type=_address, required=True, metavar="SOCKET|HOST:PORT")
    parser.add_argument("--tls", type=Path, default=None, metavar="FOLDER")
    parser.add_argument("--warm", type=_warm, required=True, metavar="N")
    parser.add_argument("--warm-max", type=_warm, default=None, metavar="N")
    parser.add_argument("--advertise", type=_endpoint, required=True, metavar="HOST:PORT")
    parser.add_argument("--wake-deadline", type=_seconds, default=WAKE_DEADLINE_S, metavar="S")
    parser.add_argument(
        "--suspend-deadline", type=_seconds, default=SUSPEND_DEADLINE_S, metavar="S"
    )
    parser.add_argument("--waiting-price", type=_price, default=WAITING_PRICE, metavar="CU_S")
    parser.add_argument("--health", type=_tcp, default=None, metavar="HOST:PORT")
    parser.add_argument("--dashboard", type=_tcp, default=None, metavar="HOST:PORT")
    parser.add_argument("--dashboard-key", type=Path, default=None, metavar="FILE")
    parser.add_argument("--dashboard-host", action="append", default=[], metavar="NAME")
    found = parser.parse_args(arguments)
    if isinstance(found.listen, TcpAddress) and found.tls is None:
        parser.error(f"--listen {found.listen} is on a network: give --tls FOLDER as well")
    if found.warm_max is not None and found.warm_max < found.warm:
        parser.error(f"--warm-max {found.warm_max} is less than --warm {found.warm}: give more")
    return Settings(
        cluster=_cluster(found),
        listen=found.listen,
        warm=found.warm,
        warm_max=found.warm_max,
        endpoint=found.advertise,
        wake_deadline_s=found.wake_deadline,
        suspend_deadline_s=found.suspend_deadline,
        waiting_price=found.waiting_price,
        health=found.health,
        tls=found.tls,
        dashboard=_dashboard(found),
    )


def _dashboard(found: argparse.Namespace) -> OfDashboard | None:
    if found.dashboard is None:
        return None
    return OfDashboard(found.dashboard, found.dashboard_key, tuple(found.dashboard_host))


def _cluster(found: argparse.Namespace) -> Path | OnKubernetes:
    if found.cluster == KUBERNETES:
        return OnKubernetes(
            found.system_namespace,
            found.pool,
            found.kubeconfig,
            tuple(found.watch_namespace),
            found.lease,
            found.identity,
        )
    return Path(found.cluster)


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except InvalidRequest as refused:
        raise argparse.ArgumentTypeError(refused.message) from None


def _tcp(text: str) -> TcpAddress:
    try:
        return parse_tcp(text)
    except InvalidRequest as refused:
        raise argparse.ArgumentTypeError(refused.message) from None


def _warm(text: str) -> int:
    if not text.isdigit() or int(text) > WARM_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {WARM_MAX}")
    return int(text)


def _endpoint(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, like 127.0.0.1:5432")
    return Endpoint(host=host.strip("[]"), port=int(port))


def _price(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0 <= price <= WAITING_PRICE_MAX:
        allowed = f"a number of CU-seconds from 0 to {WAITING_PRICE_MAX:g}"
        raise argparse.ArgumentTypeError(f"{text!r} is not {allowed}")
    return price


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds up to 3600")
    return seconds
