"""Durations, sizes and compute units as people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api.brief import brief
from torpor_api.quantities import format_duration, parse_bytes, parse_cu, parse_duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("250ms", 0.25),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("0.5h", 1800.0),
        ("2d", 172_800.0),
        ("1m1ms", 60.001),
        ("0s", 0.0),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "soon", "5 m", " 5m", "-5m", "5m!", "m", "1,5s", "٥m", "1h30", "9" * 13 + "s"]
)
def test_what_is_no_duration_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration: .*ms, s, m, h, d.*like 30s or 5m"):
        parse_duration_s(text)


def test_a_duration_finer_than_a_millisecond_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'0\.1ms' is finer than a millisecond"):
        parse_duration_s("0.1ms")


@given(st.integers(min_value=0, max_value=10**11))
def test_a_duration_survives_being_written_and_read(ms: int) -> None:
    assert parse_duration_s(format_duration(ms / 1000)) == ms / 1000


@given(st.integers(min_value=0, max_value=10**8))
def test_two_spellings_of_a_duration_are_one(ms: int) -> None:
    assert parse_duration_s(f"{ms // 1000}.{ms % 1000:03}s") == parse_duration_s(f"{ms}ms")


@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert parse_duration_s(text) >= 0
    except ValueError as refused:
        assert brief(text) in str(refused)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (1.5, "1s500ms"), (90, "1m30s"), (3600, "1h"), (90_000, "1d1h")],
)
def test_durations_are_written_in_their_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("7", 7), ("1k", 1000), ("1Ki", 1024), ("10Gi", 10 * 2**30)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@given(st.integers(0, 10**12 - 1), st.sampled_from(["", "k", "M", "G", "T"]))
def test_decimal_units_are_powers_of_a_thousand(count: int, unit: str) -> None:
    assert parse_bytes(f"{count}{unit}") == count * 1000 ** ["", "k", "M", "G", "T"].index(unit)


@given(st.integers(0, 10**12 - 1), st.sampled_from(["Ki", "Mi", "Gi", "Ti"]))
def test_binary_units_are_powers_of_1024(count: int, unit: str) -> None:
    assert parse_bytes(f"{count}{unit}") == count * 1024 ** (
        ["Ki", "Mi", "Gi", "Ti"].index(unit) + 1
    )


@pytest.mark.parametrize("text", ["", "10GB", "ten", "-1Gi", "1.5Gi", "10 Gi", "10gi", "1" * 13])
def test_what_is_no_size_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size: .*Ki, Mi, Gi, Ti, k, M, G, T.*like 10Gi"):
        parse_bytes(text)


@pytest.mark.parametrize("value", [0, 0.25, "0.5", 1, Decimal("63.75"), "2.00"])
def test_compute_units_come_in_quarters(value: object) -> None:
    assert parse_cu(value) == Decimal(str(value))


@pytest.mark.parametrize(
    "value", [0.3, -1, "one", None, True, "nan", "inf", "1e999999999", [], float("nan")]
)
def test_what_is_no_number_of_compute_units_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a number of compute units: .*multiple of 0\.25"):
        parse_cu(value)
