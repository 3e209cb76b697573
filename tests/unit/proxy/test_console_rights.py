"""What the console asks is what the autoscaler lets a proxy ask on a network, and nothing more."""

from __future__ import annotations

from support.console import FakeDesk, World, gone
from torpor_autoscaler.adapters.listener import RIGHTS
from torpor_channel.tls import PROXY
from torpor_proxy.console import verbs
from torpor_proxy.core import wire


async def test_a_proxy_has_the_right_to_ask_whatever_its_console_needs() -> None:
    world = World(FakeDesk())
    guest = world.enters()
    await guest.hears()
    for verb in verbs.VERBS:
        spelled = (
            verb.spelling.replace("[NAME]", "shop").replace("NAME", "shop").replace(" CU", " 2")
        )
        await guest.says(spelled)
    asked = {type(request) for request in world.desk.asked}
    assert len(asked) == 10 and asked <= set(RIGHTS[PROXY])
    guest.stream.sends(wire.TERMINATE)
    await gone(world)
