"""Who leads no more writes nothing, whatever it was just doing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.fake_kube.server import FakeKube
from support.verb_places import SYSTEM, add_namespaces
from torpor_api.failures import Unavailable
from torpor_kube.kinds import CONFIG_MAP
from torpor_kube.leading import WhileLeading
from torpor_kube.login import at
from torpor_kube.port import Kube
from torpor_kube.server import ApiServer

ONE: dict[str, Any] = {"metadata": {"name": "one", "namespace": SYSTEM}}

WRITES: dict[str, Callable[[Kube], Awaitable[object]]] = {
    "create": lambda kube: kube.create(CONFIG_MAP, ONE),
    "apply": lambda kube: kube.apply(CONFIG_MAP, {**ONE, "data": {"a": "c"}}, manager="me"),
    "patch": lambda kube: kube.patch(CONFIG_MAP, "one", SYSTEM, {"data": {"a": "b"}}),
    "delete": lambda kube: kube.delete(CONFIG_MAP, "one", SYSTEM),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_only_who_leads_writes_and_everybody_reads(
    write: Callable[[Kube], Awaitable[object]],
) -> None:
    async with FakeKube().serving() as fake:
        add_namespaces(fake, SYSTEM)
        server = ApiServer(at(fake.url))
        leads = False
        kube = WhileLeading(server, lambda: leads)
        if write is not WRITES["create"]:
            fake.objects.create(CONFIG_MAP, dict(ONE))
        before = fake.objects.version
        with pytest.raises(Unavailable, match="another one leads"):
            await write(kube)
        assert fake.objects.version == before
        assert len((await kube.page(CONFIG_MAP, SYSTEM)).items) == (write is not WRITES["create"])
        leads = True
        await write(kube)
        assert fake.objects.version > before
        await server.close()
