"""A statement's text as words, by SQL's own rules for spaces, comments and quotes. Pure.

Beyond SQL a word may have single hyphens inside, as names of databases have: nothing is subtracted
here. Two hyphens begin a comment all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from torpor_proxy.console.faults import SyntaxFault, TooMuch
from torpor_proxy.core.refusals import Refused


class Kind(Enum):
    """Of a token."""

    WORD = "word"
    QUOTED = "quoted identifier"
    STRING = "string"
    PARAMETER = "parameter"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Token:
    """``text`` is without quotes; of a parameter without its dollar sign."""

    kind: Kind
    text: str

    def is_word(self, word: str) -> bool:
        """A keyword in any spelling."""
        return self.kind is Kind.WORD and self.text.upper() == word

    def is_symbol(self, symbol: str) -> bool:
        return self.kind is Kind.SYMBOL and self.text == symbol


_TOKEN = re.compile(
    r"""
      (?P<skipped> \s+ | --[^\n]* )
    | "(?P<quoted> (?:[^"]|"")* )"
    | '(?P<string> (?:[^']|'')* )'
    | \$(?P<parameter> \d{1,5} )
    | (?P<word> \w (?: [\w$] | -(?!-) )* )
    | (?P<symbol> . )
    """,
    re.VERBOSE | re.DOTALL,
)

PARTS_MAX = 2000
"""Words, signs, spaces and comments of one query: some hundred commands. They are read in one go,
and every client of the proxy waits for so long."""

_COMMENT = re.compile(r"/\*|\*/")


def statements(text: str) -> list[list[Token]]:
    """The statements between semicolons; those with nothing in them are left out.

    Raises Refused for a quote or comment that does not end, and for too many words.
    """
    found: list[list[Token]] = [[]]
    for token in _tokens(text):
        if token.is_symbol(";"):
            found.append([])
        else:
            found[-1].append(token)
    return [tokens for tokens in found if tokens]


def _tokens(text: str) -> Iterator[Token]:
    position = parts = 0
    while position < len(text):
        parts += 1
        if parts > PARTS_MAX:
            raise Refused(TooMuch(f"a query of more than {PARTS_MAX // 2} words"))
        if text.startswith("/*", position):
            position = _end_of_comment(text, position)
            continue
        match = _TOKEN.match(text, position)
        assert match is not None and match.lastgroup is not None, "every character is a symbol"
        position, group, part = match.end(), match.lastgroup, match[match.lastgroup]
        if group == "symbol" and part in "\"'":
            kind = Kind.QUOTED if part == '"' else Kind.STRING
            raise Refused(SyntaxFault(f"unterminated {kind.value}"))
        if group != "skipped":
            yield _token(group, part)


def _token(group: str, part: str) -> Token:
    match group:
        case "quoted":
            return Token(Kind.QUOTED, part.replace('""', '"'))
        case "string":
            return Token(Kind.STRING, part.replace("''", "'"))
        case "parameter":
            return Token(Kind.PARAMETER, part)
        case "word":
            return Token(Kind.WORD, part)
        case _:
            return Token(Kind.SYMBOL, part)


def _end_of_comment(text: str, begin: int) -> int:
    """Behind it; comments stand in comments."""
    depth = 0
    for mark in _COMMENT.finditer(text, begin):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    raise Refused(SyntaxFault("unterminated comment"))
