"""A role's Secret: everything a client needs, under the names of servicebinding.io. Pure.

Well-known names keep their meaning (type, provider, host, port, uri, username, password, database);
the others are those that users of other Postgres operators look for.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import quote

from torpor_api.resource import DatabaseSpec
from torpor_kube.kinds import SECRET, SERVERLESS_DATABASE
from torpor_kube.port import Document
from torpor_operator.core.naming import (
    Key,
    credentials_secret,
    labels_of_child,
    owner_reference,
)

SECRET_TYPE = "servicebinding.io/postgresql"

PORT = 5432

PASSWORD = "password"


@dataclass(frozen=True, slots=True)
class Address:
    """How clients inside of the cluster reach the database, and what they may trust."""

    host: str
    fqdn: str
    ca_certificate: str = ""
    """PEM; empty while there is none yet."""


def address_of(database: Key, cluster_domain: str, ca_certificate: str) -> Address:
    host = f"{database.name}.{database.namespace}.svc"
    return Address(host, f"{host}.{cluster_domain}", ca_certificate)


def inner_database(spec: DatabaseSpec, role: str) -> str:
    """The first one that the role owns, else the first there is."""
    owned = (database.name for database in spec.databases if database.owner == role)
    return next(owned, spec.databases[0].name)


def binding_secret(
    owner: Document, database: Key, role: str, password: str, inner: str, address: Address
) -> Document:
    """As it shall be in the cluster."""
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": credentials_secret(database.name, role),
            "namespace": database.namespace,
            "labels": labels_of_child(database),
            "ownerReferences": [owner_reference(owner, SERVERLESS_DATABASE)],
        },
        "type": SECRET_TYPE,
        "data": {
            key: base64.b64encode(value.encode()).decode()
            for key, value in _entries_of(role, password, inner, address).items()
        },
    }


def entries(role: str, password: str, inner: str, host: str) -> dict[str, str]:
    """What a client needs that reaches the database by this name."""
    return {
        "type": "postgresql",
        "provider": "torpor",
        "host": host,
        "port": str(PORT),
        "username": role,
        "user": role,
        PASSWORD: password,
        "database": inner,
        "dbname": inner,
        "uri": _uri(host, role, password, inner),
        "jdbc-uri": _jdbc_uri(host, role, password, inner),
        "pgpass": _pgpass(host, role, password, inner),
    }


def _entries_of(role: str, password: str, inner: str, address: Address) -> dict[str, str]:
    return {
        **entries(role, password, inner, address.host),
        "fqdn-uri": _uri(address.fqdn, role, password, inner),
        **({"ca.crt": address.ca_certificate} if address.ca_certificate else {}),
    }


def _uri(host: str, role: str, password: str, inner: str) -> str:
    """``require``: the name in the TLS greeting says which database is meant."""
    user = f"{quote(role, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{user}@{host}:{PORT}/{quote(inner, safe='')}?sslmode=require"


def _jdbc_uri(host: str, role: str, password: str, inner: str) -> str:
    query = f"user={quote(role, safe='')}&password={quote(password, safe='')}&sslmode=require"
    return f"jdbc:postgresql://{host}:{PORT}/{quote(inner, safe='')}?{query}"


def _pgpass(host: str, role: str, password: str, inner: str) -> str:
    fields = (host, str(PORT), inner, role, password)
    return ":".join(field.replace("\\", "\\\\").replace(":", "\\:") for field in fields) + "\n"
