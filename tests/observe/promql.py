"""The selectors in a query of Prometheus: what it reads, whatever it makes of it."""

from __future__ import annotations

import re

_WORDS = frozenset(
    {"and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset", "inf", "nan"}
    | {"group_left", "group_right"}
)

_LABEL_LISTS = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", re.IGNORECASE
)

_SELECTOR = re.compile(
    r"""(?P<metric>[a-zA-Z_:][a-zA-Z0-9_:]*)
        (?P<call>\s*\()?
        (?P<labels>\s*\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\})?""",
    re.VERBOSE,
)

_THRESHOLD = re.compile(r"\s*[<>]=?\s*[\d.]+$")


def selectors(query: str) -> list[str]:
    """Each with its labels, in the order in which they stand there."""
    bare = _LABEL_LISTS.sub(" ", query)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    return [
        found["metric"] + (found["labels"] or "").strip()
        for found in _SELECTOR.finditer(bare)
        if not found["call"] and found["metric"].lower() not in _WORDS
    ]


def without_threshold(query: str) -> str:
    """What an alert looks at, whether it fires or not; the same where it compares no number."""
    return _THRESHOLD.sub("", query.strip())
