"""Many clients in one thread, each of which asks again as soon as it has its answer."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rig.client import CHUNK_BYTES, READY, SECONDS_MAX, ServerRefused


@dataclass(slots=True)
class Asker:
    """One of them. ``answer`` stands in each answer, and no other client is told that."""

    socket: socket.socket
    question: bytes
    answer: bytes
    readies: int = 1
    """That end an answer."""
    waits_s: list[float] = field(default_factory=list)
    """For each answer, in turn."""
    asked_at: float = 0.0
    _heard: bytes = b""

    def asks(self) -> None:
        self._heard, self.asked_at = b"", time.perf_counter()
        self.socket.sendall(self.question)

    def hears(self) -> bool:
        """Whether the answer is whole. Raises ServerRefused where it is another's, or an error."""
        data = self.socket.recv(CHUNK_BYTES)
        self._heard += data
        if not data or self._heard.startswith(b"E"):
            raise ServerRefused(f"no answer but {self._heard!r}")
        if self._heard.count(READY) < self.readies:
            return False
        self.waits_s.append(time.perf_counter() - self.asked_at)
        if self.answer not in self._heard:
            raise ServerRefused(f"not the session of {self.answer!r}: {self._heard!r}")
        return True


def keep_asking(askers: Sequence[Asker], seconds: float) -> int:
    """For so long, and then until all have their last answer. How many came in that time."""
    with selectors.DefaultSelector() as selector:
        for asker in askers:
            asker.waits_s.clear()
            selector.register(asker.socket, selectors.EVENT_READ, asker)
            asker.asks()
        in_time, until = 0, time.perf_counter() + seconds
        while selector.get_map():
            ready = selector.select(SECONDS_MAX)
            if not ready:
                raise ServerRefused(f"{len(selector.get_map())} clients got no answer")
            for key, _ in ready:
                if not key.data.hears():
                    continue
                if time.perf_counter() < until:
                    in_time += 1
                    key.data.asks()
                else:
                    selector.unregister(key.fileobj)
        return in_time
