"""An address is a socket's path or host and port, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from torpor_api.failures import InvalidRequest
from torpor_channel.address import Address, TcpAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/run/torpor/agent.sock", Path("/run/torpor/agent.sock")),
        ("./a:7433", Path("a:7433")),
        ("10.0.0.7:7433", TcpAddress("10.0.0.7", 7433)),
        (
            "torpor-autoscaler.torpor-system.svc:7434",
            TcpAddress("torpor-autoscaler.torpor-system.svc", 7434),
        ),
        ("localhost:1", TcpAddress("localhost", 1)),
        ("[fd00::7]:7433", TcpAddress("fd00::7", 7433)),
    ],
)
def test_what_an_address_is(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address) if isinstance(address, TcpAddress) else text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "agent.sock", "host", "host:", ":7433", "host:0", "host:65536", "host:7a", "host:٣"),
        *("fd00::7:7433", "[]:7433", "a b:7433", "-a:7433", "host:-1", "host:7433 "),
    ],
)
def test_what_it_is_not(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is no address: write"):
        parse_address(text)
