"""What a Markdown file promises: links, files, commands. Pure text in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_IMAGE_SOURCE = re.compile(r"""<(?:img|source)[^>]*\ssrc(?:set)?=["']([^"'\s]+)""")
_HEADING = re.compile(r"^#+\s+(.*?)\s*$", re.MULTILINE)

_COMMAND_END = re.compile(r"\s+#|[;|&]|\s{2,}(?=\S)")
"""A comment, another command, or the column beside it that explains the command."""

_TORPOR = re.compile(r"(?:^|[\s/$])torpor\s+([a-z][a-z-]*)(.*)")
_MAKE = re.compile(r"(?:^|[\s$(])make\s+([a-z][a-z0-9-]*)")
_OPTION = re.compile(r"(?<=\s)(--[a-z][a-z-]*|-[a-zA-Z])(?=[\s=\]]|$)")


@dataclass(frozen=True, slots=True)
class TorporCommand:
    """``torpor VERB`` with the options that stand behind it."""

    verb: str
    options: tuple[str, ...]


def links(text: str) -> list[str]:
    """Targets of links and pictures, code left out."""
    prose = _INLINE.sub("", _FENCED.sub("", text))
    return _LINK.findall(prose) + _IMAGE_SOURCE.findall(prose)


def anchors(text: str) -> frozenset[str]:
    """The fragments that headings make, in the spelling of the usual forges."""
    headings = _HEADING.findall(_FENCED.sub("", text))
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
    )


def code_lines(text: str) -> Iterator[str]:
    """Code in the line and in blocks, except pictures made of characters."""
    for language, block in _FENCED.findall(text):
        if language != "mermaid":
            yield from (line for line in block.splitlines() if not set(line) & set("│┌└┐┘─"))
    yield from _INLINE.findall(_FENCED.sub("", text))


def torpor_commands(text: str) -> list[TorporCommand]:
    """Every use of the command."""
    found = []
    for line in code_lines(text):
        for part in _COMMAND_END.split(line):
            if match := _TORPOR.search(part):
                found.append(TorporCommand(match[1], tuple(_OPTION.findall(match[2]))))
    return found


def make_targets(text: str) -> list[str]:
    """Every target that a reader is told to make."""
    return [target for line in code_lines(text) for target in _MAKE.findall(line)]


def mermaid_diagrams(text: str) -> list[str]:
    return [block.strip() for language, block in _FENCED.findall(text) if language == "mermaid"]
