"""Reading `-f`: every fault of every file, one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from torpor_api.failures import InvalidRequest
from torpor_cli.files import document_of, read_manifests

GOOD = """
kind: ServerlessDatabase
metadata: {name: shop}
spec: {roles: [{name: app, password: hunter2}]}
"""
BAD = """
kind: ServerlessDatabase
metadata: {name: bad}
spec: {idleTimeout: 5 parsecs, colour: red}
"""


def written(folder: Path, **texts: str) -> list[Path]:
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def test_all_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    files = [*written(tmp_path, one=BAD, two="{"), tmp_path / "missing"]
    with pytest.raises(InvalidRequest) as refused:
        read_manifests(files)
    lines = refused.value.message.splitlines()
    assert len(lines) == 4
    assert any("bad: spec.idleTimeout" in line and "'5 parsecs'" in line for line in lines)
    assert any("bad: spec.colour: unknown field" in line for line in lines)
    assert any("two: not YAML" in line for line in lines)
    assert any("missing: No such file" in line for line in lines)


def test_a_name_in_two_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="shop is declared in two files"):
        read_manifests(written(tmp_path, one=GOOD, two=GOOD))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidRequest, match="not text in UTF-8"):
        read_manifests([tmp_path / "binary"])


def test_given_passwords_reach_the_cluster(tmp_path: Path) -> None:
    (resource,) = read_manifests(written(tmp_path, one=GOOD))
    assert "hunter2" in str(document_of(resource))
    assert "status" not in document_of(resource)


def test_every_sample_is_valid() -> None:
    samples = sorted((Path(__file__).parents[3] / "manifests" / "samples").glob("*.yaml"))
    assert samples
    for sample in samples:
        assert read_manifests([sample])
