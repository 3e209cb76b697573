"""The frame around each schema: names, columns, what can be selected by. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from crds import descriptions
from crds.schema import Schema, defaults_of, structural
from torpor_api.identity import CONSOLE_NAME, DATABASE_NAME_PATTERN, NAME_RESERVED
from torpor_api.resource import API_VERSION, KIND, DatabaseSpec, DatabaseStatus, ServerlessDatabase
from torpor_api.warm_pool import WARM_POOL_KIND, WarmPool, WarmPoolSpec, WarmPoolStatus

GROUP, VERSION = API_VERSION.split("/")

_SERVICE_NAME = "[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
"""A Service has the database's name, and its must begin with a letter."""


def serverless_databases() -> Schema:
    """The CustomResourceDefinition of ServerlessDatabase."""
    columns = [
        _column("Phase", ".status.phase"),
        _column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        _column("Size", ".status.currentCU", "number"),
        _column("Sessions", ".status.sessions", "integer"),
        _column("Last Resume", ".status.lastResume.at", "date"),
        _column("Why Awake", ".status.whyAwake[0]"),
        _column("Age", ".metadata.creationTimestamp", "date"),
        _column("Resume ms", ".status.lastResume.totalMs", "number", is_wide=True),
        _column("Epoch", ".status.epoch", "integer", is_wide=True),
        _column("Compute", ".status.compute", is_wide=True),
        _column("Idle Timeout", ".spec.idleTimeout", is_wide=True),
        _column("Endpoint", ".status.endpoint.host", is_wide=True),
        _column("Secret", ".status.binding.name", is_wide=True),
    ]
    return _definition(
        KIND,
        "serverlessdatabases",
        "sdb",
        schema=_whole(ServerlessDatabase, DatabaseSpec, DatabaseStatus, _SERVICE_NAME),
        columns=columns,
        selectable=[".spec.pool", ".status.phase"],
    )


_NAME_FREE = {"rule": f"self.metadata.name != '{CONSOLE_NAME}'", "message": NAME_RESERVED}


def warm_pools() -> Schema:
    """The CustomResourceDefinition of WarmPool."""
    columns = [
        _column("Postgres", ".spec.postgresVersion"),
        _column("Wanted", ".status.wanted", "integer"),
        _column("Warm", ".status.warm", "integer"),
        _column("Claimed", ".status.claimed", "integer"),
        _column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        _column("Age", ".metadata.creationTimestamp", "date"),
        _column("Min", ".spec.size.min", "integer", is_wide=True),
        _column("Max", ".spec.size.max", "integer", is_wide=True),
        _column("Reason", '.status.conditions[?(@.type=="Ready")].reason', is_wide=True),
        _column("Decision", ".status.decision", is_wide=True),
    ]
    return _definition(
        WARM_POOL_KIND,
        "warmpools",
        "wp",
        schema=_whole(WarmPool, WarmPoolSpec, WarmPoolStatus, DATABASE_NAME_PATTERN),
        columns=columns,
        selectable=[".spec.postgresVersion"],
    )


def _whole(
    model: type[BaseModel],
    spec: type[BaseModel],
    status: type[BaseModel],
    name_pattern: str,
) -> Schema:
    return {
        "description": descriptions.of_class(model),
        "type": "object",
        "properties": {
            "apiVersion": {"description": "The version of this schema.", "type": "string"},
            "kind": {"description": "What this object is.", "type": "string"},
            "metadata": {"type": "object"},
            # Whole, because rules look at it before what is missing in it is filled in.
            "spec": {**structural(spec), "default": defaults_of(spec)},
            "status": structural(status, is_status=True),
        },
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.matches('^{name_pattern}$')",
                "message": "the name must be a DNS label that begins with a letter: lower-case "
                "letters, digits and hyphens, at most 63 characters"
                if name_pattern == _SERVICE_NAME
                else "the name must be a DNS label: lower-case letters, digits and hyphens, at "
                "most 63 characters",
            },
            *([_NAME_FREE] if model is ServerlessDatabase else []),
        ],
    }


def _definition(
    kind: str,
    plural: str,
    short_name: str,
    *,
    schema: Schema,
    columns: list[dict[str, Any]],
    selectable: list[str],
) -> Schema:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"app.kubernetes.io/name": "torpor"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                # Not in "all": `kubectl delete all --all` is no way to say that data may go.
                "categories": ["torpor"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "selectableFields": [{"jsonPath": path} for path in selectable],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _column(name: str, path: str, type: str = "string", *, is_wide: bool = False) -> dict[str, Any]:
    wide = {"priority": 1} if is_wide else {}
    return {"name": name, "type": type, "jsonPath": path, **wide}
