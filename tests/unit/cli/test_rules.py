"""What a write makes of a stored resource."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api.failures import Conflict, InvalidRequest, Refused, StaleEpoch
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, ServerlessDatabase
from torpor_cli.local import rules
from torpor_cli.local.rules import Birth, Kept

BIRTH = Birth(uid="u-1", at="2026-01-01T00:00:00Z")


def wanted(**spec: Any) -> ServerlessDatabase:
    return ServerlessDatabase.model_validate({"metadata": {"name": "shop"}, "spec": spec})


def stored(**spec: Any) -> ServerlessDatabase:
    return rules.created(wanted(**spec), Kept(), BIRTH, version=7)


def test_a_new_resource_starts_at_generation_one() -> None:
    new = stored()
    assert (new.metadata.generation, new.metadata.resource_version) == (1, "7")
    assert (new.metadata.uid, new.metadata.creation_timestamp) == (BIRTH.uid, BIRTH.at)
    assert new.status == DatabaseStatus()


def test_a_secret_of_a_cluster_is_refused_in_words() -> None:
    role = {"name": "app", "passwordSecret": {"name": "shop-app"}}
    with pytest.raises(InvalidRequest, match="app: passwordSecret names a Secret of a cluster"):
        rules.refuse_secret_references(wanted(roles=[role]))
    rules.refuse_secret_references(wanted(roles=[{"name": "app", "password": "x"}]))


def test_over_kept_data_epoch_and_generation_go_on() -> None:
    new = rules.created(wanted(), Kept(epoch=41, generation=5), BIRTH, version=1)
    assert new.status.epoch == 41
    assert new.metadata.generation == 6
    assert new.status.observed_generation == 5


def test_status_and_versions_in_a_file_are_ignored() -> None:
    document = {
        "metadata": {"name": "shop", "generation": 99, "resourceVersion": "99"},
        "status": {"phase": "Active", "epoch": 99},
    }
    new = rules.created(ServerlessDatabase.model_validate(document), Kept(), BIRTH, version=1)
    assert new.metadata.generation == 1
    assert new.status.phase is Phase.SUSPENDED


def test_the_generation_grows_only_when_the_spec_changes() -> None:
    before = stored(idleTimeout="5s")
    same = rules.changed(before, wanted(idleTimeout="5000ms"), new_passwords=False, version=8)
    assert same is None
    after = rules.changed(before, wanted(idleTimeout="6s"), new_passwords=False, version=8)
    assert after is not None
    assert (after.metadata.generation, after.metadata.resource_version) == (2, "8")
    assert after.metadata.uid == before.metadata.uid


def test_a_label_changes_the_version_and_not_the_generation() -> None:
    labelled = ServerlessDatabase.model_validate(
        {"metadata": {"name": "shop", "labels": {"team": "a"}}}
    )
    after = rules.changed(stored(), labelled, new_passwords=False, version=8)
    assert after is not None
    assert (after.metadata.generation, after.metadata.resource_version) == (1, "8")


def test_a_new_password_raises_the_generation_and_is_not_stored() -> None:
    with_password = wanted(roles=[{"name": "app", "password": "hunter2"}])
    after = rules.changed(stored(), with_password, new_passwords=True, version=8)
    assert after is not None and after.metadata.generation == 2
    assert "hunter2" not in after.model_dump_json()


def test_a_status_write_is_a_compare_and_swap() -> None:
    before = stored()
    claim = DatabaseStatus(phase=Phase.RESUMING, epoch=1, compute="c1")
    after = rules.with_status(before, "7", claim, version=8)
    assert after.status == claim
    assert (after.metadata.generation, after.metadata.resource_version) == (1, "8")
    with pytest.raises(Conflict, match="resourceVersion is 8, not 7"):
        rules.with_status(after, "7", claim, version=9)


def test_an_epoch_never_falls() -> None:
    before = rules.with_status(stored(), "7", DatabaseStatus(epoch=3), version=8)
    with pytest.raises(StaleEpoch):
        rules.with_status(before, "8", DatabaseStatus(epoch=2), version=9)


@pytest.mark.parametrize("phase", Phase)
def test_only_what_sleeps_or_failed_is_deleted(phase: Phase) -> None:
    resource = rules.with_status(stored(), "7", DatabaseStatus(phase=phase), version=8)
    if phase in (Phase.SUSPENDED, Phase.FAILED):
        rules.refuse_deletion_while_awake(resource)
    else:
        with pytest.raises(Refused, match=phase):
            rules.refuse_deletion_while_awake(resource)


def test_another_postgres_is_refused_with_the_installed_one() -> None:
    rules.refuse_other_versions(wanted(), "18")
    rules.refuse_other_versions(wanted(postgresVersion="18"), "18")
    with pytest.raises(InvalidRequest, match="17 is not installed here: use 18"):
        rules.refuse_other_versions(wanted(postgresVersion="17"), "18")
