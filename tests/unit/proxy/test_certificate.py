"""The certificate that clients are shown, while its files change."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from support.certificates import Authority
from support.tls_clients import met
from torpor_api.failures import InvalidRequest
from torpor_proxy.adapters.certificate import Certificate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Authority().folder(tmp_path / "shown", "db.example")


async def test_new_files_are_shown_to_new_clients(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(folder / "tls.crt", folder / "tls.key")
    before = await met(certificate)
    assert before == await met(certificate) and before.end_point == before.sha256
    Authority("the next").folder(folder, "db.example")
    caplog.set_level(logging.INFO)
    after = await met(certificate)
    assert after != before and after.end_point == after.sha256
    assert "certificate_renewed" in caplog.messages


async def test_in_the_middle_of_a_change_the_old_ones_are(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(folder / "tls.crt", folder / "tls.key")
    before = await met(certificate)
    (folder / "tls.key").unlink()
    assert await met(certificate) == before
    assert "certificate_unreadable" in caplog.messages


def test_files_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    other = Authority().folder(tmp_path / "other", "db.example")
    with pytest.raises(InvalidRequest, match=r"tls\.crt"):
        Certificate(folder / "tls.crt", other / "tls.key")
