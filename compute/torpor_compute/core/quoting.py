"""Names and texts as they stand in SQL, ``pg_hba.conf`` and ``pg_ident.conf``. Pure.

Everything that a user or tenant has named passes through here before it becomes a part of a
statement that a superuser runs.
"""

from __future__ import annotations


def identifier(name: str) -> str:
    """A name in SQL."""
    _refuse_zero(name)
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL, the same whatever ``standard_conforming_strings`` says."""
    _refuse_zero(text)
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def file_token(name: str) -> str:
    """A name in ``pg_hba.conf`` or ``pg_ident.conf``: never a keyword, pattern or group."""
    if "\n" in name or "\r" in name or '"' in name:
        raise ValueError(f"{name!r} can't stand in Postgres's configuration files")
    _refuse_zero(name)
    return f'"{name}"'


def _refuse_zero(text: str) -> None:
    if "\0" in text:
        raise ValueError(f"{text!r} has a zero byte, which Postgres can't store")
