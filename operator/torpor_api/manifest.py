"""From the text of a YAML file to resources, with one readable line for each fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from torpor_api.brief import brief, in_one_line
from torpor_api.failures import InvalidRequest
from torpor_api.identity import CONSOLE_NAME, NAME_RESERVED
from torpor_api.quantities import format_duration
from torpor_api.resource import KIND, ServerlessDatabase

Loc = tuple[int | str, ...]

MANIFEST_BYTES_MAX = 1 << 20
"""etcd refuses larger objects; a file with more than this is no manifest."""


def parse_manifest(text: str, source: str) -> list[ServerlessDatabase]:
    """Every ``ServerlessDatabase`` in the YAML text, in its order.

    Raises InvalidRequest with one line per fault, each starting with ``source``.
    """
    if len(text.encode()) > MANIFEST_BYTES_MAX:
        raise InvalidRequest(f"{source}: larger than {MANIFEST_BYTES_MAX} bytes")
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except (yaml.YAMLError, ValueError) as error:
        # ValueError: a date or a number that looks like one and is none.
        raise InvalidRequest(f"{source}: not YAML: {in_one_line(str(error))}") from None
    except RecursionError:
        raise InvalidRequest(f"{source}: nested too deeply to be a manifest") from None
    if not documents:
        raise InvalidRequest(f"{source}: holds no resource; expected kind {KIND}")
    resources: list[ServerlessDatabase] = []
    faults: list[str] = []
    for document in documents:
        try:
            resources.append(parse_resource(document))
        except InvalidRequest as refused:
            faults += [f"{source}: {line}" for line in refused.message.splitlines()]
    twice = sorted({r.name for r in resources if [s.name for s in resources].count(r.name) > 1})
    faults += [f"{source}: {KIND} {name} stands twice" for name in twice]
    if faults:
        raise InvalidRequest("\n".join(faults))
    return resources


def parse_resource(document: object, *, knows_all: bool = True) -> ServerlessDatabase:
    """One resource from plain data. Raises InvalidRequest with one line per fault.

    ``knows_all``: it is a person's; a field that this release does not know is a fault, and so is
    the reserved name. What is stored already may have either.
    """
    try:
        extra: Literal["ignore"] | None = None if knows_all else "ignore"
        resource = ServerlessDatabase.model_validate(document, extra=extra)
    except ValidationError as error:
        raise InvalidRequest("\n".join(_fault_lines(document, error))) from None
    if knows_all and resource.metadata.name == CONSOLE_NAME:
        raise InvalidRequest(f"{CONSOLE_NAME}: metadata.name: {NAME_RESERVED}")
    return resource


def _fault_lines(document: object, error: ValidationError) -> Iterator[str]:
    name = _name_of(document)
    faults = error.errors(include_url=False)
    for fault in faults:
        if fault["type"] == "too_short" and _is_about_a_part(fault["loc"], faults):
            continue
        where = in_one_line(".".join(str(part) for part in fault["loc"])) or KIND
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "unknown field; look for a typing mistake"
        elif fault["loc"][-1:] == ("password",):
            message = "must be text of 1 to 1024 characters"
        elif fault["type"] not in ("value_error", "missing"):
            message = f"{_as_written(fault)} (got {brief(fault['input'])})"
        yield f"{name}: {where}: {message}"


def _as_written(fault: ErrorDetails) -> str:
    """The message in the words of the file: a bound with a unit where the value has one."""
    written, most = fault["input"], fault.get("ctx", {}).get("le")
    if fault["type"] == "tuple_type":
        return "Input should be a list"
    if most is not None and isinstance(written, str) and written[-1:].isalpha():
        return f"Input should be at most {format_duration(most)}"
    return fault["msg"]


def _is_about_a_part(loc: Loc, faults: list[ErrorDetails]) -> bool:
    """A list with a wrong element also counts as too short, which would be a second line."""
    return any(len(f["loc"]) > len(loc) and f["loc"][: len(loc)] == loc for f in faults)


def _name_of(document: object) -> str:
    metadata = document.get("metadata") if isinstance(document, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return in_one_line(name) if isinstance(name, str) else "?"
