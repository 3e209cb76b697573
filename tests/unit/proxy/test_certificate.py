"""The certificate that clients are shown, while its files change."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from pathlib import Path

import pytest

from support.certificates import Authority
from support.connections import ANSWER_S_MAX
from torpor_api.failures import InvalidRequest
from torpor_proxy.adapters.certificate import Certificate
from torpor_proxy.adapters.streams import PlainStream
from torpor_proxy.adapters.tls import TlsStream


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Authority().folder(tmp_path / "shown", "db.example")


async def shown(certificate: Certificate) -> tuple[bytes, str]:
    """What a client sees, and what its login would be bound to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    streams = list[TlsStream]()

    async def accept(plain: PlainStream) -> None:
        streams.append(certificate.new_stream())
        await streams[0].take_over(plain, b"")

    class Accepted(PlainStream):
        __slots__ = ()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            tasks.append(asyncio.create_task(accept(self)))

    tasks = list[asyncio.Task[None]]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Accepted, "127.0.0.1", 0)
    async with asyncio.timeout(ANSWER_S_MAX):
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        await asyncio.gather(*tasks)
    writer.transport.abort()
    streams[0].abort()
    server.close()
    await server.wait_closed()
    return streams[0].end_point, hashlib.sha256(found).hexdigest()


async def test_new_files_are_shown_to_new_clients(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(folder / "tls.crt", folder / "tls.key")
    before = await shown(certificate)
    assert before == await shown(certificate) and before[0].hex() == before[1]
    Authority("the next").folder(folder, "db.example")
    caplog.set_level(logging.INFO)
    after = await shown(certificate)
    assert after != before and after[0].hex() == after[1]
    assert "certificate_renewed" in caplog.messages


async def test_in_the_middle_of_a_change_the_old_ones_are(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(folder / "tls.crt", folder / "tls.key")
    before = await shown(certificate)
    (folder / "tls.key").unlink()
    assert await shown(certificate) == before
    assert "certificate_unreadable" in caplog.messages


def test_files_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    other = Authority().folder(tmp_path / "other", "db.example")
    with pytest.raises(InvalidRequest, match=r"tls\.crt"):
        Certificate(folder / "tls.crt", other / "tls.key")
