"""What lies inside of a cluster: directories on volumes, logs of pods, computes from within.

All of it by the person's own rights to the pods in the release's namespace: logs take ``get`` on
``pods/log`` (the Role ``…-people-logs``), what is on a volume takes ``create`` on ``pods/exec``.
Whoever has that reaches every database of the pool, so a Role for it (``…-people-shell``) is there
only where the release was told to make one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from torpor_api.failures import InvalidRequest, NotFound, Refused, Unavailable
from torpor_api.identity import endpoint_name, is_proxy_of, split_endpoint_name
from torpor_cli.client import Json
from torpor_cli.inside import LogReader
from torpor_cli.kubernetes.api_server import ApiServer
from torpor_cli.logs.lines import Told
from torpor_cli.logs.source import OfAgent, OfPostgres, OfSession, Source, is_about
from torpor_kube.documents import condition, metadata, name_of, namespace_of
from torpor_kube.kinds import POD, SERVERLESS_DATABASE
from torpor_kube.names import COMPUTE_SELECTOR, DEDICATED_LABEL, POOL_LABEL, PROXY_SELECTOR
from torpor_kube.port import Document

COMPUTE_CONTAINER, PROXY_CONTAINER = "compute", "proxy"

VOLUME_LOG_BYTES_MAX = 1 << 20
"""Of a Postgres's log, of its end, in one answer: it comes through the API server."""

RUN_DIRECTORY = "/run/torpor"
"""Of a compute's Postgres's socket."""

ADMIN = "torpor_admin"
"""Whom the agent's own user is to Postgres: the only one whom a shell in its pod can be."""

NO_FILE = 44
"""Said by the script where there is none."""

_READ = (
    's=$(wc -c <"$1") || exit 44; b=$2; [ "$b" -ge 0 ] || b=$((s - $3)); '
    '[ "$b" -ge 0 ] && [ "$b" -le "$s" ] || b=0; '
    'echo "$b"; tail -c "+$((b + 1))" "$1" | head -c "$3"'
)
"""The file's part behind an offset, or its end where that is below 0, bounded; where it begins
stands in the first line."""


class WithinCluster:
    """Of the namespaces that the person may see; ``system``: the release's own."""

    def __init__(
        self,
        api: ApiServer,
        namespace: str | None,
        system: Callable[[], str],
        kubectl: Sequence[str],
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._system = system
        self._kubectl = kubectl

    def volumes(self, name: str = "", *, measured: bool = False) -> list[Json]:
        """Those of databases that there are. What is kept of others only the operator knows, and
        how large one is nobody: it is a directory among others."""
        documents = self._api.listed(SERVERLESS_DATABASE, self._namespace or "")
        volumes = [_volume(each) for each in documents if _storage(each)]
        return [each for each in volumes if name in ("", each["name"])]

    def told_of_kept_data(self, name: str) -> str:
        return (
            "its data is kept on the volume of its pool\n"
            "apply it again to bring it back; to remove the data too, apply it again with "
            "deletionPolicy: Delete and, once it is Ready, delete it"
        )

    def log(self, source: Source, *, since_s: float | None) -> LogReader:
        match source:
            case OfPostgres(name):
                document = self._database(name)
                path = f"{_storage(document)['directory']}/log/postgres.log"
                pod = self._pod_with(document)
                return _VolumeLog(self._api, pod, namespace_of(pod), path)
            case OfAgent(compute):
                return _PodLog(self._api, compute, self._system(), COMPUTE_CONTAINER, since_s)
            case OfSession(proxy, number):
                where = (self._pod_of(proxy), self._system(), PROXY_CONTAINER)
                return _OfSession(_PodLog(self._api, *where, since_s), number)

    def shell_in_compute(self, compute: Json, database: Json, argv: Sequence[str]) -> int:
        directory = f"{database['status']['storage']['directory']}/data"
        first = database["spec"]["databases"][0]
        own = {"PGHOST": RUN_DIRECTORY, "PGUSER": ADMIN, "PGDATABASE": first["name"]}
        return self._shell(compute["compute"], directory, own, argv)

    def shell_in_volume(self, volume: Json, argv: Sequence[str]) -> int:
        pod = self._pod_with(self._database(volume["database"]))
        return self._shell(name_of(pod), volume["directory"], {}, argv)

    def _shell(self, pod: str, directory: str, own: dict[str, str], argv: Sequence[str]) -> int:
        """By kubectl, which knows terminals and every way of logging in."""
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise InvalidRequest("a shell in a pod is opened by kubectl, which is not on the PATH")
        terminal = ["-it"] if sys.stdin.isatty() and sys.stdout.isatty() else ["-i"]
        # cd and exec: whatever runs is the container's own, and nothing is quoted by us.
        words = ["sh", "-c", 'cd "$0" && exec "$@"', directory, "env"]
        words += [f"{name}={value}" for name, value in own.items()]
        words += argv or ["sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"]
        where = [pod, f"--namespace={self._system()}", f"--container={COMPUTE_CONTAINER}"]
        ran = subprocess.run(
            [kubectl, *self._kubectl, "exec", *terminal, *where, "--", *words], check=False
        )
        return ran.returncode

    def _database(self, name: str) -> Document:
        own, namespace = split_endpoint_name(name)
        document = self._api.get(SERVERLESS_DATABASE, own, namespace)
        if not _storage(document):
            raise Unavailable(f"nothing is provided for {name} yet")
        return document

    def _pod_of(self, proxy: str) -> str:
        """Raises NotFound where it has ended meanwhile: its sessions, and its log, went with it."""
        pods = self._api.listed(POD, self._system(), labels=PROXY_SELECTOR)
        found = next((name for name in map(name_of, pods) if is_proxy_of(name, proxy)), None)
        if found is None:
            raise NotFound(f"the pod of {proxy} is gone, and what it has logged")
        return found

    def _pod_with(self, document: Document) -> Document:
        """One that has mounted the database's volume: its own, or another of its pool where they
        share one. Raises Refused where there is none."""
        status, system = document["status"], _storage(document)["namespace"]
        pods = self._api.listed(POD, system, labels=COMPUTE_SELECTOR)
        ready = [pod for pod in pods if _is_ready(pod)]
        for pod in ready:
            if name_of(pod) == status.get("compute"):
                return pod
        spec = document.get("spec") or {}
        is_shared = (spec.get("storage") or {}).get("mode", "shared") == "shared"
        pool = spec.get("pool", "default")
        for pod in ready:
            labels = metadata(pod).get("labels") or {}
            if is_shared and labels.get(POOL_LABEL) == pool and DEDICATED_LABEL not in labels:
                return pod
        name = endpoint_name(name_of(document), namespace_of(document))
        raise Refused(
            f"no compute has the volume of {name} mounted: it sleeps",
            hint=f"`torpor resume {name}` brings one",
        )


class _PodLog:
    """Of one container, as its kubelet keeps it."""

    def __init__(
        self, api: ApiServer, pod: str, namespace: str, container: str, since_s: float | None
    ) -> None:
        self._api = api
        self._where = (pod, namespace, container)
        self._since = {} if since_s is None else {"sinceSeconds": str(max(1, round(since_s)))}
        self._last = ""

    def read(self) -> list[Told]:
        since = {"sinceTime": self._last} if self._last else self._since
        told = list[Told]()
        for line in self._api.log(*self._where, since):
            stamp, _, text = line.partition(" ")
            if stamp > self._last:  # All have the same form and zone, and so the order of text.
                told.append((_seconds(stamp), text))
        if told:
            self._last = max(self._last, stamp)
        return told


class _OfSession:
    def __init__(self, log: _PodLog, number: int) -> None:
        self._log = log
        self._number = number

    def read(self) -> list[Told]:
        return [told for told in self._log.read() if is_about(told[1], "session", self._number)]


class _VolumeLog:
    """A file on a volume, read in a pod that has mounted it."""

    def __init__(self, api: ApiServer, pod: Document, namespace: str, path: str) -> None:
        self._api = api
        self._where = (name_of(pod), namespace, COMPUTE_CONTAINER)
        self._path = path
        self._offset = -1
        self._rest = b""

    def read(self) -> list[Told]:
        script = ["sh", "-c", _READ, "sh", self._path, str(self._offset), str(VOLUME_LOG_BYTES_MAX)]
        status, answer = self._api.run(*self._where, script)
        if status == NO_FILE:
            raise NotFound(f"there is no log {self._path} yet")
        if status:
            raise Unavailable(f"{self._path} can't be read: sh ended with {status}")
        begin, _, added = answer.partition(b"\n")
        if int(begin) != self._offset:
            self._rest = b""
        self._offset = int(begin) + len(added)
        *whole, self._rest = (self._rest + added).split(b"\n")
        return [(None, line.decode(errors="replace")) for line in whole]


def _seconds(stamp: str) -> float | None:
    """Of a kubelet's time, which has nine digits behind the point: three more than Python takes."""
    zone = stamp[29:].replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(f"{stamp[:26]}{zone}").timestamp()
    except ValueError:
        return None


def _storage(document: Document) -> dict[str, Any]:
    found: dict[str, Any] = (document.get("status") or {}).get("storage") or {}
    return found


def _volume(document: Document) -> Json:
    storage, name = _storage(document), endpoint_name(name_of(document), namespace_of(document))
    where = {"directory": storage["directory"], "claim": storage.get("claim", "")}
    return {"name": name, "database": name, **where, "bytes": None}


def _is_ready(pod: Document) -> bool:
    return condition(pod, "Ready") == "True" and "deletionTimestamp" not in metadata(pod)
