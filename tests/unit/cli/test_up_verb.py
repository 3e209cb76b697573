"""What `torpor up` refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from torpor_cli.main import torpor


def test_a_price_is_a_number(tmp_path: Path) -> None:
    state = tmp_path / "state"
    refused = CliRunner().invoke(torpor, ["up", "--state", str(state), "--waiting-price", "nan"])
    assert refused.exit_code == 2 and "nan is not in the range 0<=x<=1000000.0" in refused.output
    assert not state.exists()


def test_it_can_not_wait_with_fewer_agents_than_at_least(tmp_path: Path) -> None:
    state = tmp_path / "state"
    arguments = ["up", "--state", str(state), "--warm", "3", "--warm-max", "2"]
    refused = CliRunner().invoke(torpor, arguments)
    assert refused.exit_code == 2 and "--warm-max 2 is less than --warm 3" in refused.output
    assert not state.exists()
