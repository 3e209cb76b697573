"""Parameters as Postgres logs them: ``$1 = 'it''s', $2 = NULL``. Pure."""

from __future__ import annotations

import re
from typing import Final

Parameters = tuple[str | None, ...]

PARAMETERS_MAX: Final = 65_535
"""The protocol counts them in two bytes."""

_PREFIX = re.compile(r"parameters: ", re.IGNORECASE)
"""A capital letter since Postgres 16."""

_ONE = re.compile(r"\$(\d+) = (?:(NULL)|'([^']*(?:''[^']*)*)')(?:, |\Z)")

_IN_CONTEXT = re.compile(r"portal.* with parameters: ")
"""``log_parameter_max_length_on_error`` writes them into an error's context."""


def in_detail(detail: str) -> Parameters | None:
    """None: it tells none. Raises ValueError where they can't be read."""
    found = _PREFIX.match(detail)
    return None if found is None else _parsed(detail[found.end() :])


def in_context(context: str) -> Parameters | None:
    """Of a statement that failed; None where they are not told, or cut off."""
    found = _IN_CONTEXT.search(context)
    if found is None:
        return None
    try:
        return _parsed(context[found.end() :])
    except ValueError:
        return None


def _parsed(text: str) -> Parameters:
    values: list[str | None] = []
    position = 0
    while position < len(text):
        found = _ONE.match(text, position)
        if found is None or int(found[1]) != len(values) + 1 or len(values) >= PARAMETERS_MAX:
            # Not the text itself: values may be secrets.
            raise ValueError(f"its parameters can't be read behind ${len(values)}")
        values.append(None if found[2] else found[3].replace("''", "'"))
        position = found.end()
    return tuple(values)
