"""From the text of a YAML file to resources, with one readable line for each fault."""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from pydantic import ValidationError

from torpor_api.failures import InvalidRequest
from torpor_api.resource import KIND, ServerlessDatabase

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
    except yaml.YAMLError as error:
        raise InvalidRequest(f"{source}: not YAML: {_in_one_line(str(error))}") from None
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


def parse_resource(document: object) -> ServerlessDatabase:
    """One resource from plain data. Raises InvalidRequest with one line per fault."""
    try:
        return ServerlessDatabase.model_validate(document)
    except ValidationError as error:
        raise InvalidRequest("\n".join(_fault_lines(document, error))) from None


def _fault_lines(document: object, error: ValidationError) -> Iterator[str]:
    name = "?"
    if isinstance(document, dict) and isinstance(document.get("metadata"), dict):
        name = str(document["metadata"].get("name", "?"))
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"]) or KIND
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "unknown field; look for a typing mistake"
        elif fault["type"] != "value_error" and fault["type"] != "missing":
            message = f"{message} (got {_in_one_line(repr(fault['input']))})"
        if "password" in where:
            message = "must be text of 1 to 1024 characters"
        yield f"{name}: {where}: {message}"


def _in_one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:197] + "..."
