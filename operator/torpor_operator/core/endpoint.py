"""The Service of a database: its stable name inside of the cluster. Pure.

It is an alias of the proxy's Service. Which database is meant is said by the client in its TLS
greeting, which carries the name that it looked up.
"""

from __future__ import annotations

from torpor_kube.kinds import SERVERLESS_DATABASE, SERVICE
from torpor_kube.port import Document
from torpor_operator.core.naming import Key, labels_of_child, owner_reference


def database_service(owner: Document, database: Key, proxy_host: str) -> Document:
    """``NAME.NAMESPACE.svc`` → the proxy's Service."""
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": {
            "name": database.name,
            "namespace": database.namespace,
            "labels": labels_of_child(database),
            "ownerReferences": [owner_reference(owner, SERVERLESS_DATABASE)],
        },
        "spec": {"type": "ExternalName", "externalName": proxy_host},
    }
