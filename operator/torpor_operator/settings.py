"""The command line, read and judged once."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torpor_api.failures import InvalidRequest
from torpor_channel.address import TcpAddress, parse_tcp
from torpor_kube.names import AUTOSCALER_PORT

WORKERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an installation decides."""

    namespace: str
    """Torpor's own: pods, volumes, certificates and the Lease are there."""
    watched: tuple[str, ...]
    """Namespaces whose databases are ours; none: all of them."""
    instance: str
    """The release, as a label says it."""
    domains: tuple[str, ...]
    """Databases are reached at NAME.NAMESPACE.DOMAIN."""
    cluster_domain: str
    proxy_service: str
    """The name of the proxy's Service in the namespace."""
    autoscaler: TcpAddress
    compute_image: str
    image_pull_policy: str
    compute_service_account: str
    compute_log_level: str
    run_dir: Path
    """For the operator's own certificate; in memory."""
    health: TcpAddress
    lease: str
    identity: str
    """This process among the candidates."""
    workers: int
    """Targets that are looked at together."""
    kubeconfig: Path | None
    has_console: bool = True
    """Whether proxies serve the operator console, which has roles of its own."""

    @property
    def tls_folder(self) -> Path:
        """Where the operator puts its own certificate."""
        return self.run_dir / "tls"


def from_arguments(arguments: Sequence[str]) -> Settings:
    """Exits with a line that names the option, its value and what is allowed."""
    parser = argparse.ArgumentParser(
        prog="torpor_operator", description="Makes what ServerlessDatabases and WarmPools declare."
    )
    parser.add_argument("--namespace", default="torpor-system")
    parser.add_argument("--watch-namespace", action="append", default=[], metavar="NAMESPACE")
    parser.add_argument("--instance", default="torpor")
    parser.add_argument("--domain", action="append", default=[], metavar="DOMAIN")
    parser.add_argument("--cluster-domain", default="cluster.local")
    parser.add_argument("--proxy-service", default="torpor-proxy", metavar="NAME")
    parser.add_argument("--autoscaler", type=_address, metavar="HOST:PORT")
    parser.add_argument("--compute-image", required=True, metavar="IMAGE")
    parser.add_argument("--image-pull-policy", default="IfNotPresent")
    parser.add_argument("--compute-service-account", default="torpor-compute", metavar="NAME")
    parser.add_argument("--compute-log-level", default="", metavar="LEVEL")
    parser.add_argument("--run-dir", type=Path, default=Path("/run/torpor"), metavar="DIR")
    parser.add_argument("--health", type=_address, default=TcpAddress("0.0.0.0", 8080))
    parser.add_argument("--lease", default="torpor-operator", metavar="NAME")
    parser.add_argument("--identity", default=socket.gethostname(), metavar="NAME")
    parser.add_argument("--workers", type=_workers, default=8, metavar="N")
    parser.add_argument("--no-console", action="store_true", help="make no roles for it")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE")
    found = parser.parse_args(arguments)
    return Settings(
        namespace=found.namespace,
        watched=tuple(found.watch_namespace),
        instance=found.instance,
        domains=tuple(found.domain),
        cluster_domain=found.cluster_domain,
        proxy_service=found.proxy_service,
        autoscaler=found.autoscaler or _usual_autoscaler(found.namespace),
        compute_image=found.compute_image,
        image_pull_policy=found.image_pull_policy,
        compute_service_account=found.compute_service_account,
        compute_log_level=found.compute_log_level,
        run_dir=found.run_dir,
        health=found.health,
        lease=found.lease,
        identity=found.identity,
        workers=found.workers,
        kubeconfig=found.kubeconfig,
        has_console=not found.no_console,
    )


def _usual_autoscaler(namespace: str) -> TcpAddress:
    return TcpAddress(f"torpor-autoscaler.{namespace}.svc", AUTOSCALER_PORT)


def _address(text: str) -> TcpAddress:
    try:
        return parse_tcp(text)
    except InvalidRequest as invalid:
        raise argparse.ArgumentTypeError(invalid.message) from None


def _workers(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= WORKERS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {WORKERS_MAX}")
    return int(text)
