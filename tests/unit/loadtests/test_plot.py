"""The pictures are whole SVG, and say what was measured."""

from __future__ import annotations

from xml.etree import ElementTree

from plot import drawn
from rig import report
from rig.figures import Part

MACHINE: dict[str, object] = {"cores": 2, "processor": "any <one>", "postgres": "18"}
SVG = "{http://www.w3.org/2000/svg}"


def bars(*parts: Part) -> tuple[list[float], str]:
    picture = ElementTree.fromstring(drawn(report.as_json("resume", parts, parts[0], MACHINE)))
    text = " ".join(element.text or "" for element in picture.iter(f"{SVG}text"))
    return [float(bar.attrib["width"]) for bar in picture.iter(f"{SVG}rect")], text


def test_bars_are_as_long_as_what_they_show() -> None:
    widths, text = bars(
        Part("a", "ms", (50.0,), (25.0,), "bare"), Part("b & c", "ms", (100.0,), (), "-")
    )
    assert widths[0] == widths[1] * 2 and widths[2] == widths[0] * 2
    assert "b & c" in text and "any <one>" in text and "bare 25" in text


def test_parts_of_very_different_size_have_scales_of_their_own() -> None:
    widths, _ = bars(Part("a", "ms", (1.0,), (), "-"), Part("b", "ms", (1000.0,), (), "-"))
    assert widths[0] == widths[1]


def test_a_unit_is_told_where_it_is_not_the_picture_s() -> None:
    _, text = bars(Part("a", "ms", (7.0,), (), "-"), Part("b", "s", (8.0,), (), "-"))
    assert "resume: ms" in text and "Torpor 7 ms" not in text and "Torpor 8 s" in text


def test_what_is_nothing_has_no_bar() -> None:
    widths, text = bars(Part("a", "ms", (1.0,), (), "-"), Part("none", "bytes", (0.0,), (), "-"))
    assert len(widths) == 1 and "none" not in text
