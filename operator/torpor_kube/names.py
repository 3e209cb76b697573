"""Names that several components must agree on: labels, finalizers, managers, system objects. Pure.

Names of system objects join namespace and name by a dot, which neither may contain: with a hyphen
``a-b`` in ``c`` and ``b`` in ``c-a`` would share the verifiers of their passwords.
"""

from __future__ import annotations

OPERATOR_MANAGER = "torpor-operator"
AUTOSCALER_MANAGER = "torpor-autoscaler"
"""Field managers of server-side apply: each may only write what is its own."""
AUTOSCALER_REFUSALS_MANAGER = "torpor-autoscaler-refusals"
"""Of one condition on resources that the autoscaler can't read, and so must not touch otherwise."""

COMPONENT_LABEL = "app.kubernetes.io/component"
NAME_LABEL = "app.kubernetes.io/name"
INSTANCE_LABEL = "app.kubernetes.io/instance"
"""Of the release, as the chart names it."""
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
POOL_LABEL = "torpor.dev/pool"
POSTGRES_VERSION_LABEL = "torpor.dev/postgres-version"
"""On a compute's pod: the major version of its Postgres."""
DATABASE_LABEL = "torpor.dev/database"
DATABASE_NAMESPACE_LABEL = "torpor.dev/database-namespace"
"""On a claimed compute's pod: for people and policies. The truth is the database's status."""
DEDICATED_LABEL = "torpor.dev/dedicated"
"""On a pod that was made for the database that its labels name, with that one's own volume."""
TEMPLATE_ANNOTATION = "torpor.dev/template"
"""On a compute's pod: a hash of what it was made from."""
OUTDATED_ANNOTATION = "torpor.dev/outdated"
"""On a compute's pod that is not as its pool makes them now, where that has the updateStrategy
WhenIdle: the operator knows it, the autoscaler moves its database."""

LEADER_LABEL = "torpor.dev/leader"
"""``true`` on the pod of the autoscaler that leads; its Service chooses by it."""

AUTOSCALER = "autoscaler"
COMPUTE = "compute"
COMPUTE_SELECTOR = f"{COMPONENT_LABEL}={COMPUTE}"
PROXY_SELECTOR = f"{COMPONENT_LABEL}=proxy"

FENCE_FINALIZER = "torpor.dev/fence"
"""On compute pods: none vanishes before its container's end was confirmed."""
ENDED_POD_KEPT_S = 300
"""For which a compute's pod is kept after its end: several times as long as a watch may be behind.
Else one could be claimed that is gone already, and nobody could say any more that it has ended."""
STORAGE_FINALIZER = "torpor.dev/storage"
ERASED_REASON = "Erased"
"""Of a StorageReady that is False: the deletion has erased the data, and the object goes soon."""
GONE_COMPUTE_ANNOTATION = "torpor.dev/gone-compute"
"""On a database: the compute of which a person says that it runs nowhere any more."""

AGENT_PORT = 7433
AUTOSCALER_PORT = 7434


def verifiers_secret(namespace: str, name: str) -> str:
    """In the system namespace: the SCRAM verifier of each role of the database, by role."""
    return f"verifiers-{namespace}.{name}"


def login_facts_secret(namespace: str, name: str) -> str:
    """In the system namespace: ``facts.json`` as last exported, and the ``epoch`` they are of."""
    return f"login-facts-{namespace}.{name}"


def retained_config_map(namespace: str, name: str) -> str:
    """In the system namespace: what is kept of a deleted database whose data is kept."""
    return f"retained-{namespace}.{name}"
