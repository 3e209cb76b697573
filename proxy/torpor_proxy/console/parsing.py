"""Reads statements. Pure. Whatever is wrong with one is said before any of them is carried out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from torpor_api.identity import CONSOLE_NAME, canonical_endpoint_name
from torpor_proxy.console import verbs
from torpor_proxy.console.faults import (
    HELP,
    NO_SQL,
    EncodingFault,
    NameFault,
    ParameterUnknown,
    SyntaxFault,
    ValueFault,
)
from torpor_proxy.console.greeting import SHOWN
from torpor_proxy.console.lexer import Kind, Token, statements
from torpor_proxy.console.statements import (
    Command,
    Constant,
    Forget,
    Ignored,
    Parameter,
    Setting,
    Statement,
    Transaction,
    parameters_of,
)
from torpor_proxy.console.values import Column, Type
from torpor_proxy.console.verbs import Takes, Verb
from torpor_proxy.core.refusals import Refused

PARAMETER_NUMBER_MAX = 8
"""No command takes more than two."""

_SIZES = "Write one like 2 or 0.25."

_SIZE = re.compile(r"[0-9]{0,6}(\.[0-9]{1,6})?")

_CONSTANTS = {
    "SELECT 1": Constant((Column("?column?", Type.INT4),), (1,)),
    "SELECT CURRENT_DATABASE ( )": Constant(
        (Column("current_database", Type.TEXT),), (str(CONSOLE_NAME),)
    ),
    # asyncpg's pools ask so when they take a connection back.
    "SELECT PG_ADVISORY_UNLOCK_ALL ( )": Constant(
        (Column("pg_advisory_unlock_all", Type.VOID),), ("",)
    ),
}

_TRANSACTIONS = {
    "BEGIN": Transaction.BEGIN,
    "START": Transaction.BEGIN,
    "COMMIT": Transaction.COMMIT,
    "END": Transaction.COMMIT,
    "ROLLBACK": Transaction.ROLLBACK,
    "ABORT": Transaction.ROLLBACK,
}

_IGNORED = {"RESET": "RESET", "UNLISTEN": "UNLISTEN", "CLOSE": "CLOSE CURSOR"}

_DISCARDED = tuple(f"DISCARD {each}" for each in ("PLANS", "SEQUENCES", "TEMP", "TEMPORARY"))
"""There are none of these; with ``DISCARD ALL`` prepared statements are forgotten."""

_UTF8 = ("utf8", "unicode", "default")


def parse(sql: bytes) -> tuple[Statement, ...]:
    """The statements of one query; none for an empty one. Raises Refused."""
    try:
        text = sql.decode()
    except UnicodeDecodeError:
        raise Refused(EncodingFault()) from None
    return tuple(_statement(tokens) for tokens in statements(text))


def parse_simple(sql: bytes) -> tuple[Statement, ...]:
    """As :func:`parse`, of a query that comes alone: nothing can stand in a parameter's place."""
    found = parse(sql)
    for statement in found:
        if parameters := parameters_of(statement):
            raise Refused(ParameterUnknown(len(parameters)))
    return found


def name_of(text: str) -> str:
    """The one spelling of an endpoint name. Raises Refused."""
    name = canonical_endpoint_name(text)
    if name is None:
        raise Refused(NameFault(text))
    return name


def size_of(text: str) -> Decimal:
    """Compute units; whether the database may have them is the autoscaler's to say."""
    if not text or not _SIZE.fullmatch(text):
        raise Refused(SyntaxFault(f'"{text}" is no number of compute units', _SIZES))
    return Decimal(text)


def _statement(tokens: Sequence[Token]) -> Statement:
    first = tokens[0]
    word = first.text.upper() if first.kind is Kind.WORD else ""
    for length in (2, 1):
        verb = verbs.BY_WORDS.get(_words(tokens[:length]))
        if verb is not None and len(tokens) >= length:
            return _command(verb, tokens[length:])
    if word == "SHOW":
        return _setting(tokens)
    constant = _CONSTANTS.get(_words(tokens))
    return constant or _of_drivers(word, tokens)


def _words(tokens: Sequence[Token]) -> str:
    """As keywords; what is quoted is none."""
    is_plain = all(token.kind in (Kind.WORD, Kind.SYMBOL) for token in tokens)
    return " ".join(token.text.upper() for token in tokens) if is_plain else ""


# --- the console's own ----------------------------------------------------------------


def _command(verb: Verb, rest: Sequence[Token]) -> Command:
    match verb.takes:
        case Takes.NOTHING:
            _refuse_more(verb, rest)
            return Command(verb)
        case Takes.MAY_NAME | Takes.NAME:
            return Command(verb, _name(verb, rest))
        case Takes.NAME_AND_SIZE:
            at = next((i for i, token in enumerate(rest) if i and token.is_word("TO")), None)
            if at is None:
                raise Refused(SyntaxFault(f"{verb.words}: TO is missing", _usage(verb)))
            return Command(verb, _name(verb, rest[:at]), _size(rest[at + 1 :]))


def _name(verb: Verb, tokens: Sequence[Token]) -> str | Parameter | None:
    """``shop``, ``shop.prod``, ``"shop"."prod"``, ``'shop.prod'`` or ``$1``."""
    if not tokens and verb.takes is Takes.MAY_NAME:
        return None
    if not tokens:
        raise Refused(SyntaxFault(f"{verb.words}: the database is not named", _usage(verb)))
    first = tokens[0]
    is_qualified = len(tokens) >= 3 and tokens[1].is_symbol(".")
    _refuse_more(verb, tokens[3 if is_qualified else 1 :])
    if first.kind is Kind.PARAMETER and not is_qualified:
        return _parameter(first)
    parts = [first, tokens[2]] if is_qualified else [first]
    if any(part.kind not in (Kind.WORD, Kind.QUOTED, Kind.STRING) for part in parts):
        raise Refused(SyntaxFault(f'syntax error at or near "{first.text}"', _usage(verb)))
    return name_of(".".join(_folded(part) for part in parts))


def _folded(token: Token) -> str:
    """What is not quoted is of lower case, whatever it looks like."""
    return token.text.lower() if token.kind is Kind.WORD else token.text


def _size(tokens: Sequence[Token]) -> Decimal | Parameter:
    if len(tokens) == 1 and tokens[0].kind is Kind.PARAMETER:
        return _parameter(tokens[0])
    is_sign = [token.kind is Kind.SYMBOL for token in tokens]
    if (False, False) in pairwise(is_sign):
        # `1 0` is not ten.
        raise Refused(SyntaxFault(f'syntax error at or near "{tokens[-1].text}"', _SIZES))
    return size_of("".join(token.text for token in tokens))


def _parameter(token: Token) -> Parameter:
    number = int(token.text)
    if not 1 <= number <= PARAMETER_NUMBER_MAX:
        raise Refused(ParameterUnknown(number))
    return Parameter(number)


def _refuse_more(verb: Verb, rest: Sequence[Token]) -> None:
    if rest:
        raise Refused(SyntaxFault(f'syntax error at or near "{rest[0].text}"', _usage(verb)))


def _usage(verb: Verb) -> str:
    return f"Write {verb.spelling}. {HELP}"


# --- what drivers send of themselves ----------------------------------------------------


def _setting(tokens: Sequence[Token]) -> Setting:
    words = _words(tokens)
    if words == "SHOW TRANSACTION ISOLATION LEVEL":
        return Setting("transaction_isolation")
    name = tokens[1].text.lower() if len(tokens) == 2 else ""
    if name in SHOWN:
        return Setting(name)
    raise _unknown(tokens)


def _of_drivers(word: str, tokens: Sequence[Token]) -> Statement:
    # Of a savepoint or of a prepared transaction: there are none.
    is_another_s = any(token.is_word("TO") or token.is_word("PREPARED") for token in tokens)
    if word in _TRANSACTIONS and not is_another_s:
        return _TRANSACTIONS[word]
    match word:
        case "SET":
            return _set(tokens)
        case "DISCARD" if _words(tokens) == "DISCARD ALL":
            return Forget("DISCARD ALL")
        case "DISCARD" if _words(tokens) in _DISCARDED:
            return Ignored(_words(tokens))
        case "DEALLOCATE" if 2 <= len(tokens) <= 3:
            return _deallocate(tokens)
        case "RESET" | "UNLISTEN" | "CLOSE" if len(tokens) == 2:
            return Ignored(_IGNORED[word])
    raise _unknown(tokens)


def _set(tokens: Sequence[Token]) -> Ignored:
    """Sessions of the console have no settings; only what would garble its words is refused."""
    words = [token.text.lower() for token in tokens if not token.is_symbol("=")]
    if len(words) < 3:
        raise Refused(SyntaxFault("SET: a name and a value are missing"))
    if "client_encoding" in words or words[1] == "names":
        encoding = re.sub(r"[^a-z0-9]", "", words[-1])
        if encoding not in _UTF8:
            raise Refused(
                ValueFault(
                    f'invalid value for parameter "client_encoding": "{tokens[-1].text}"',
                    "The console speaks UTF8 only.",
                )
            )
    return Ignored("SET")


def _deallocate(tokens: Sequence[Token]) -> Forget:
    last = tokens[-1]
    is_all = last.is_word("ALL")
    return Forget("DEALLOCATE ALL" if is_all else "DEALLOCATE", None if is_all else _folded(last))


def _unknown(tokens: Sequence[Token]) -> Refused:
    """With what comes nearest, for those who know PgBouncer's console."""
    for length in (2, 1):
        words = _words(tokens[:length])
        nearest = verbs.OF_PGBOUNCER.get(words)
        if nearest is not None:
            hint = f"PgBouncer's {words} comes nearest to {nearest.spelling} here. {HELP}"
            return Refused(SyntaxFault(f"{words} is no command of this console", hint))
    if tokens[0].is_word("SHOW") and len(tokens) > 1:
        return Refused(SyntaxFault(f'syntax error at or near "{tokens[1].text}"'))
    return Refused(SyntaxFault(f'syntax error at or near "{tokens[0].text}"', NO_SQL))
