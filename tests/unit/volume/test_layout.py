"""A volume is made whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from torpor_volume import layout


@pytest.fixture
def template(tmp_path: Path) -> Path:
    made = tmp_path / "template"
    (made / "base").mkdir(parents=True)
    (made / "base" / "1259").write_bytes(os.urandom(70_000))
    return made


def test_it_is_a_private_copy(template: Path, tmp_path: Path) -> None:
    volume, half = tmp_path / "shop", tmp_path / "shop~half"
    (half / "data").mkdir(parents=True)
    (half / "data" / "junk").write_text("of a try that was killed")
    layout.make(volume, template, None, half)
    assert not half.exists()
    assert sorted(os.listdir(volume)) == ["data", "ownership"]
    assert os.listdir(volume / "data") == ["base"]
    copied, original = (each / "base" / "1259" for each in (volume / "data", template))
    assert copied.read_bytes() == original.read_bytes()
    for path, mode in (("", 0o711), ("ownership", 0o700), ("data", 0o700), ("data/base", 0o700)):
        assert stat.S_IMODE((volume / path).stat().st_mode) == mode


def test_where_there_is_one_it_stays(template: Path, tmp_path: Path) -> None:
    volume = tmp_path / "shop"
    (volume / "data").mkdir(parents=True)
    with pytest.raises(OSError, match="not empty"):
        layout.make(volume, template, None, tmp_path / "half")
    assert os.listdir(volume) == ["data"] and not (tmp_path / "half").exists()
