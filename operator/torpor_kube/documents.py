"""Small questions to an object, of which some parts may be missing. Pure."""

from __future__ import annotations

from typing import Any

from torpor_kube.port import Document


def metadata(document: Document) -> dict[str, Any]:
    return document.get("metadata") or {}


def name_of(document: Document) -> str:
    return str(metadata(document).get("name", ""))


def namespace_of(document: Document) -> str:
    return str(metadata(document).get("namespace", ""))


def version_of(document: Document) -> str:
    return str(metadata(document).get("resourceVersion", ""))


def is_older(version: str, than: str) -> bool:
    """Versions of one object compare as numbers; nobody knows of those that are none."""
    return version.isdigit() and than.isdigit() and int(version) < int(than)


def labels_of(document: Document) -> dict[str, str]:
    return metadata(document).get("labels") or {}


def annotations_of(document: Document) -> dict[str, str]:
    return metadata(document).get("annotations") or {}


def without_managers(document: Document) -> Document:
    """Without ``managedFields``: about half of a small object, and nobody here reads them."""
    metadata(document).pop("managedFields", None)
    return document


def condition(document: Document, type: str) -> str:
    """The status of one condition of an object, or ``Unknown``."""
    found = [
        one
        for one in (document.get("status") or {}).get("conditions") or []
        if one.get("type") == type
    ]
    return str(found[0].get("status", "Unknown")) if found else "Unknown"
