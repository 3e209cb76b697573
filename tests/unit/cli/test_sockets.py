"""Addresses: read, checked, chosen."""

from __future__ import annotations

import socket

import pytest

from torpor_api.failures import InvalidRequest, Refused
from torpor_cli.local.sockets import Address, free_address, is_listening, parse_address


def test_addresses_are_read_and_written_back() -> None:
    assert parse_address("127.0.0.1:6432") == Address("127.0.0.1", 6432)
    assert parse_address("[::1]:6432") == Address("::1", 6432)
    assert str(parse_address("[::1]:6432")) == "[::1]:6432"


@pytest.mark.parametrize("text", ["", "6432", "host:", ":6432", "host:65536", "host:x", "host:-1"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"127\.0\.0\.1:6432"):
        parse_address(text)


def test_a_port_in_use_is_named_with_another_to_take() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert is_listening(Address("127.0.0.1", port))
        with pytest.raises(Refused, match=rf"127\.0\.0\.1:{port}.*--listen HOST:PORT"):
            free_address(Address("127.0.0.1", port))
    assert not is_listening(Address("127.0.0.1", port))


def test_whoever_asks_for_a_port_in_another_way_is_advised_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(Refused, match=r"another with --metrics PORT$"):
            free_address(address, "choose another with --metrics PORT")


def test_port_zero_takes_a_free_one() -> None:
    assert free_address(Address("127.0.0.1", 0)).port != 0


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(Refused, match=r"192\.0\.2\.1:6432"):
        free_address(Address("192.0.2.1", 6432))


def test_clients_are_told_an_address_they_can_connect_to() -> None:
    assert Address("0.0.0.0", 1).for_clients == Address("127.0.0.1", 1)
    assert Address("::", 1).for_clients == Address("::1", 1)
    assert Address("10.0.0.7", 1).for_clients == Address("10.0.0.7", 1)
