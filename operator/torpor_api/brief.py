"""Values in the messages of refusals: short, in one line, and nothing that was not asked about."""

from __future__ import annotations

LINE_CHARACTERS_MAX = 200
"""Enough to recognize a value by; a message is for a person."""


def brief(value: object) -> str:
    """What was found. Of a list or a mapping only that: there may be passwords in it, or aliases
    of aliases that would be a gigabyte of text."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    return in_one_line(repr(value))


def in_one_line(text: str) -> str:
    """The text without line ends, and its end cut off where it is long."""
    line = " ".join(text[: LINE_CHARACTERS_MAX * 2].split())
    return line if len(line) <= LINE_CHARACTERS_MAX else line[: LINE_CHARACTERS_MAX - 3] + "..."
