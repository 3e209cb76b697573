"""Selectors of labels in the forms that Torpor uses, ``a=b``, ``a!=b``, ``a``, ``!a``, and of one
name. Pure."""

from __future__ import annotations

from torpor_kube.documents import labels_of, name_of
from torpor_kube.port import Document


def is_selected(document: Document, selector: str, name: str = "") -> bool:
    """``name``: the one that is meant, or empty for all."""
    labels = labels_of(document)
    return name in ("", name_of(document)) and all(
        _holds(labels, term) for term in selector.split(",") if term
    )


def _holds(labels: dict[str, str], term: str) -> bool:
    if "!=" in term:
        key, _, value = term.partition("!=")
        return labels.get(key) != value
    key, equals, value = term.partition("=")
    if term.startswith("!"):
        return term[1:] not in labels
    return labels.get(key) == value if equals else key in labels
