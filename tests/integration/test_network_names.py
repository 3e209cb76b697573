"""Clients in several namespaces of one proxy, each of which verifies the name that it looked up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.certificates import Authority
from support.network_town import PASSWORD, NetworkTown, opened_network_town

DOMAINS = ("db.example", "svc", "svc.cluster.local")

NAMESPACES = ("default", "team")

TEXT = "x" * (1 << 20)


class Names:
    """A town whose proxy has a certificate for each namespace."""

    def __init__(self, town: NetworkTown, folder: Path) -> None:
        self.town = town
        self._folder = folder

    async def connect(self, host: str, **more: Any) -> psycopg.AsyncConnection[Any]:
        """As libpq does it who trusts nobody but the operator's authority."""
        address = self.town.proxies[0].address
        return await psycopg.AsyncConnection.connect(
            hostaddr=address.host,
            host=host,
            port=address.port,
            user="app",
            dbname="app",
            password=PASSWORD,
            sslmode="verify-full",
            sslrootcert=str(self._folder / "own" / "ca.crt"),
            channel_binding="require",
            **more,
        )


@pytest.fixture
async def names(tmp_path: Path) -> AsyncIterator[Names]:
    authority, namespaces = Authority(), tmp_path / "namespaces"
    own = authority.folder(tmp_path / "own", "db.example")
    namespaces.mkdir()
    for namespace in NAMESPACES:
        of_it = [f"*.{namespace}.{domain}" for domain in DOMAINS]
        authority.one_file(namespaces / f"{namespace}.pem", *of_it)
    options = [
        *("--tls-cert", str(own / "tls.crt"), "--tls-key", str(own / "tls.key")),
        *("--tls-namespaces", str(namespaces)),
        *(word for domain in DOMAINS for word in ("--domain", domain)),
    ]
    async with opened_network_town(proxy_options=options) as town:
        town.cluster.apply({"metadata": {"name": "shop", "namespace": "team"}, "spec": {}})
        yield Names(town, tmp_path)


async def test_each_namespace_has_a_certificate_of_its_own(names: Names) -> None:
    for negotiation, version in product(("postgres", "direct"), ("TLSv1.2", "TLSv1.3")):
        tls = {"sslnegotiation": negotiation, "ssl_max_protocol_version": version}
        for domain in DOMAINS:
            async with await names.connect(f"shop.default.{domain}", **tls) as client:
                row = await (await client.execute("select %s::text", [TEXT])).fetchone()
                assert row == (TEXT,), "as much as it likes goes over it, both ways"
        async with await names.connect("shop.team.svc", **tls):
            pass  # A login wakes nobody.
        with pytest.raises(psycopg.OperationalError, match="does not match host name"):
            await names.connect("shop.nobody.svc", **tls)
