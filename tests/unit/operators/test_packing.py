"""What is kept of a resource is whole, and small."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from torpor_api.resource import ServerlessDatabase
from torpor_operator.core.packing import packed, unpacked
from torpor_operator.core.seen import see_database

SMALL_BYTES = 256
"""Of a database that sleeps and says nothing unusual, whose JSON has a thousand and more."""

PACKER_BYTES_MAX = 128 << 10

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_whatever_is_in_it_it_comes_back(document: dict[str, Any]) -> None:
    assert unpacked(packed(document)) == document


def test_a_usual_one_takes_little() -> None:
    metadata = {"name": "shop", "namespace": "team", "uid": "0b1c9a52-6a0e-4c57-9d54-6f3d1b2e8f77"}
    document = ServerlessDatabase.model_validate({"metadata": metadata}).as_json()
    seen = see_database(document)
    assert seen.document()["spec"] == document["spec"]
    assert len(seen.body) < SMALL_BYTES < len(json.dumps(document))


def test_a_packer_takes_little_for_a_moment() -> None:
    """zlib's own sizes would take 256 KiB, for each database that is looked at."""
    document = {"spec": {"roles": [{"name": f"role-{number}"} for number in range(50)]}}
    packed(document)
    tracemalloc.start()
    try:
        packed(document)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < PACKER_BYTES_MAX
