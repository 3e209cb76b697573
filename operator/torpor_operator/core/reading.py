"""A resource as its model has it. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from torpor_api.brief import in_one_line
from torpor_api.failures import InvalidRequest
from torpor_api.resource import DatabaseSpec, DeletionPolicy, ServerlessDatabase
from torpor_kube.port import Document

_OF_ITS_END = ("deletionPolicy", "pool", "storage")
"""What decides how a database ends."""


def read_resource(document: Document) -> ServerlessDatabase:
    """What a newer release has added to the schema is passed over. Raises InvalidRequest."""
    try:
        return ServerlessDatabase.model_validate(document, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{where}: {in_one_line(first['msg'])}") from None


def read_for_its_end(document: Document) -> ServerlessDatabase:
    """Of a resource whose spec can't be read what its end takes; where a part of that can't be read
    either, its data is kept. Raises InvalidRequest where its status is at fault."""
    spec: dict[str, Any] = document.get("spec") or {}
    written = {field: spec[field] for field in _OF_ITS_END if field in spec}
    needed = {field: value for field, value in written.items() if _can_be_read(field, value)}
    kept = {} if needed == written else {"deletionPolicy": DeletionPolicy.RETAIN.value}
    return read_resource({**document, "spec": needed | kept})


def _can_be_read(field: str, value: object) -> bool:
    try:
        DatabaseSpec.model_validate({field: value}, extra="ignore")
    except ValidationError:
        return False
    return True
