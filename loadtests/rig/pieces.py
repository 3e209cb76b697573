"""The proxy's own questions on a backend of a bare Postgres, without the proxy around them.

So that capture and restore can be timed apart; what they say and how it is read is the proxy's.
"""

from __future__ import annotations

import time

from rig.client import Client
from rig.state import Load
from torpor_proxy.core import capture, custom_settings
from torpor_proxy.core.capture import UNKNOWN
from torpor_proxy.core.held import Held
from torpor_proxy.core.restore import Restore


def capture_of(client: Client, user: str, load: Load) -> tuple[float, Held]:
    """Milliseconds of one question, and what it found. It must find that nothing pins."""
    custom = custom_settings.NONE
    for sql in load.setting_words(salt=0):
        custom = custom.with_those_of(sql.encode())
    question = capture.question(custom, UNKNOWN)
    began = time.perf_counter()
    messages = client.answers(question, capture.answers())
    milliseconds = (time.perf_counter() - began) * 1000
    found = capture.read(messages, user, custom, UNKNOWN)
    assert not found.pins, found.pins.reasons
    return milliseconds, found.held


def restore_of(client: Client, held: Held) -> float:
    """Milliseconds to put all of it on a fresh backend."""
    wanted = Restore(held)
    began = time.perf_counter()
    script = wanted.first()
    if script:
        is_done = wanted.read_first(script, client.answers(script.data, len(script.parts)))
        assert is_done and not wanted.broken
    return (time.perf_counter() - began) * 1000
