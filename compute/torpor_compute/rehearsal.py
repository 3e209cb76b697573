"""What a claim will run is run while nobody waits.

The first time that a process runs some code takes several times as long as the next: its pages are
copied behind a fork, or nothing of it is in a cache, and the interpreter has not adapted to it yet.
Wakes of 70 ms take a tenth less since.
"""

from __future__ import annotations

import logging
from decimal import Decimal

from torpor_api.chain import Step
from torpor_api.facts import LoginFacts
from torpor_api.messages import ComputeAddress, StartCompute, Started, StoragePlace
from torpor_api.resource import DatabaseSpec
from torpor_channel import wire

log = logging.getLogger(__name__)

TIMES = 2
"""The second run is the first that finds what the first one has left."""


def rehearse(address: ComputeAddress) -> None:
    """The way of an order to start through the channel and back, and of a line to the log: for some
    milliseconds of a processor. Starts, sends and writes nothing."""
    order = StartCompute(
        database="rehearsal",
        epoch=1,
        storage=StoragePlace(directory="/rehearsal"),
        spec=DatabaseSpec(),
        generation=1,
        cu=Decimal(1),
    )
    step = Step(name="rehearsal", where="agent", ms=0.0)
    answer = Started(address=address, steps=(step,), facts=LoginFacts(), max_connections=1)
    line = log.makeRecord(log.name, logging.INFO, __file__, 0, "rehearsal", (), None)
    for _ in range(TIMES):
        wire.decode(wire.encode_ask(1, order))
        wire.encode_answer(1, answer)
        for handler in logging.getLogger().handlers:
            handler.format(line)
