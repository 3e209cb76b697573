"""The samples for a cluster are what they say they are; those for both are tested by `torpor`'s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from torpor_api.resource import ServerlessDatabase
from torpor_api.warm_pool import WarmPool

SAMPLES = Path(__file__).parents[2] / "manifests/samples"


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((SAMPLES / name).read_text()))


def leaves_of(model: type[ServerlessDatabase] | type[WarmPool], document: Any) -> set[str]:
    """What of its spec a document does not say."""
    made = model.model_validate(document)
    whole = made.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return set(whole) - set(document["spec"])


def test_the_pool_shows_every_field() -> None:
    (pool,) = documents("cluster/warm-pool.yaml")
    assert leaves_of(WarmPool, pool) == set()
    assert "# image:" in (SAMPLES / "cluster/warm-pool.yaml").read_text()


def test_the_full_database_shows_every_field() -> None:
    (database,) = documents("full.yaml")
    assert leaves_of(ServerlessDatabase, database) == set()
    assert "# postgresVersion:" in (SAMPLES / "full.yaml").read_text()


def test_a_given_password_is_where_the_database_looks_for_it() -> None:
    secret, database = documents("cluster/given-password.yaml")
    (role,) = ServerlessDatabase.model_validate(database).spec.roles
    assert role.password_secret is not None
    assert role.password_secret.name == secret["metadata"]["name"]
    assert role.password_secret.key in secret["stringData"]
    assert secret["metadata"]["labels"] == {"torpor.dev/database": database["metadata"]["name"]}


def test_the_dedicated_database_is_the_hello_of_the_docs() -> None:
    (database,) = documents("cluster/dedicated.yaml")
    made = ServerlessDatabase.model_validate(database)
    (minimal,) = documents("minimal.yaml")
    assert made.spec.storage.mode == "dedicated"
    assert made.metadata.name == minimal["metadata"]["name"]
