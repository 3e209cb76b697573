"""What the proxy shows to database clients: a certificate for each namespace, and one for whoever
names none. Pure.

Those of namespaces are spread over a few Secrets by a hash of the name: one Secret holds a
thousand, and a new namespace has only its own part written anew.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

from torpor_api.identity import DEFAULT_NAMESPACE
from torpor_operator.core.certificates import LeafWanted

SERVER_SECRET = "torpor-proxy-server-tls"
"""For clients that send no server name, or one of no namespace that is known."""

NAMESPACES_SECRET = "torpor-proxy-namespaces-"
"""With the number of the part behind it."""

PARTS = 16
"""A pod's volume has to name them all beforehand. Of a kilobyte for each namespace they hold some
14,000; Kubernetes itself is tested with up to 10,000."""

PART_BYTES_MAX = 900_000
"""Beyond it no certificate is added. The rest of the MiB that a Secret may have is for certificates
that turn out longer when they are made anew, because there is one more domain."""

PART_BYTES_RENEWED_MAX = 1 << 20
"""What the API server accepts."""

NAMES_MAX = 500
"""Of one certificate, some 20 KB: Java's clients refuse a greeting of more than 32 KiB."""


def server_leaves(
    domains: Sequence[str], namespaces: Sequence[str], service: str, cluster_domain: str
) -> list[LeafWanted]:
    """Every name under which clients may have looked a database up; those in one Secret follow
    upon each other."""
    inside = ("svc", f"svc.{cluster_domain}")
    names = [name for domain in domains for name in (domain, f"*.{domain}")]
    names += [service, *(f"{service}.{domain}" for domain in inside)]
    of_each = {
        namespace: [f"*.{namespace}.{domain}" for domain in (*inside, *domains)]
        for namespace in sorted(namespaces)
    }
    rest = tuple(name for of_one in of_each.values() for name in of_one)
    own = tuple(dict.fromkeys(names))
    leaves = [LeafWanted(SERVER_SECRET, own, is_client=False, rest=rest, component="proxy")]
    if DEFAULT_NAMESPACE in of_each:
        of_each[DEFAULT_NAMESPACE] += [f"*.{domain}" for domain in domains]
    leaves += [
        LeafWanted(
            part_of(namespace),
            tuple(of_one),
            is_client=False,
            component="proxy",
            namespace=namespace,
        )
        for namespace, of_one in of_each.items()
    ]
    return sorted(leaves, key=lambda leaf: leaf.secret)


def part_of(namespace: str) -> str:
    """The Secret that its certificate is in: always the same, whatever else there is."""
    return f"{NAMESPACES_SECRET}{zlib.crc32(namespace.encode()) % PARTS}"


def with_room(wanted: LeafWanted, held: Sequence[str]) -> LeafWanted:
    """With as many of the other names as one certificate has room for.

    Names that it has (``held``) stay: a new namespace takes none away from clients of an old one.
    """
    known = frozenset(held)
    by_age = sorted(wanted.rest, key=lambda name: name not in known)
    room = max(0, NAMES_MAX - len(wanted.names))
    return replace(wanted, names=(*wanted.names, *by_age[:room]), rest=())


def has_room(others_bytes: int, own_bytes: int, *, is_new: bool) -> bool:
    """Whether a Secret with so much beside it can have a certificate of this length."""
    return others_bytes + own_bytes <= (PART_BYTES_MAX if is_new else PART_BYTES_RENEWED_MAX)
