"""The kinds of object that Torpor reads or writes, and where the API server keeps them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource of the API."""

    group: str
    """Empty: the core group."""
    version: str
    plural: str
    kind: str
    is_namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Of the collection (all namespaces, where none is named), of an object, of a part of it.

        Every name is quoted: one that came from outside can't lead to another object.
        """
        assert self.is_namespaced or not namespace, f"{self.kind} has no namespace"
        assert namespace or not name or not self.is_namespaced, f"{self.kind} {name}: which one?"
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        parts += ["namespaces", namespace] if namespace else []
        parts += [self.plural]
        parts += [part for part in (name, subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)


POD = Kind("", "v1", "pods", "Pod")
NODE = Kind("", "v1", "nodes", "Node", is_namespaced=False)
NAMESPACE = Kind("", "v1", "namespaces", "Namespace", is_namespaced=False)
SECRET = Kind("", "v1", "secrets", "Secret")
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
SERVICE = Kind("", "v1", "services", "Service")
VOLUME_CLAIM = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
EVENT = Kind("events.k8s.io", "v1", "events", "Event")
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")
SERVERLESS_DATABASE = Kind("torpor.dev", "v1alpha1", "serverlessdatabases", "ServerlessDatabase")
WARM_POOL = Kind("torpor.dev", "v1alpha1", "warmpools", "WarmPool")
