"""Files that verbs are given: those of ``-f`` are all read before anything is done with one, and
one that shall be written is looked at before there is anything to write."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from torpor_api.failures import InvalidRequest
from torpor_api.manifest import MANIFEST_BYTES_MAX, parse_manifest
from torpor_api.resource import ServerlessDatabase

RECORDED_SUFFIXES = (".jsonl", ".jsonl.gz")
"""By which a recorded trace is known."""


def read_manifests(files: Iterable[Path]) -> tuple[ServerlessDatabase, ...]:
    """Every resource in every file. Raises InvalidRequest with one line per fault of any."""
    resources: list[ServerlessDatabase] = []
    faults: list[str] = []
    for file in files:
        try:
            resources += parse_manifest(_text_of(file), str(file))
        except InvalidRequest as refused:
            faults.append(refused.message)
    names = [resource.name for resource in resources]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults += [f"{name} is declared in two files" for name in twice]
    if faults:
        raise InvalidRequest("\n".join(faults))
    return tuple(resources)


def _text_of(file: Path) -> str:
    try:
        if str(file) == "-":
            return sys.stdin.read(MANIFEST_BYTES_MAX + 1)
        with file.open(encoding="utf-8") as opened:
            return opened.read(MANIFEST_BYTES_MAX + 1)
    except OSError as error:
        raise InvalidRequest(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{file}: not text in UTF-8") from None


def refuse_unwritable(file: Path, *suffixes: str) -> None:
    """Raises InvalidRequest that says what is wrong with its folder, or with its name."""
    folder = file.absolute().parent
    if suffixes and not file.name.endswith(suffixes):
        raise InvalidRequest(f"{file}: the file's name has to end with {' or '.join(suffixes)}")
    if not folder.is_dir():
        raise InvalidRequest(f"{file}: there is no folder {folder}")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise InvalidRequest(f"{file}: you may not write it")


def document_of(resource: ServerlessDatabase) -> dict[str, object]:
    """As its file says it: with the given passwords, without status, and without any default, of
    which a cluster has its own."""
    return resource.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"status"})
