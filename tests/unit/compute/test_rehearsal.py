"""The way of an order to start, before there is one."""

from __future__ import annotations

import logging

import pytest

from torpor_api.messages import ComputeAddress, StartCompute, Started
from torpor_channel import wire
from torpor_compute.rehearsal import rehearse

ADDRESS = ComputeAddress(socket_directory="/run/c1")


def test_an_order_comes_and_is_answered_and_nobody_hears_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    decode, encode_answer = wire.decode, wire.encode_answer
    seen = list[object]()

    def decoded(line: bytes) -> wire.Line:
        seen.append(decode(line))
        return seen[-1]  # type: ignore[return-value]

    def encoded(id: int, reply: Started) -> bytes:
        seen.append(reply)
        return encode_answer(id, reply)

    monkeypatch.setattr(wire, "decode", decoded)
    monkeypatch.setattr(wire, "encode_answer", encoded)
    with caplog.at_level(logging.DEBUG):
        rehearse(ADDRESS)
    asked, answered, *_ = seen
    assert isinstance(asked, wire.Ask) and isinstance(asked.request, StartCompute)
    assert isinstance(answered, Started) and answered.address == ADDRESS
    assert not caplog.records
