"""A resource between the API server and the autoscaler: nothing lost, nothing of others touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api.decided import CurrentDecision
from torpor_api.phases import Phase
from torpor_api.resource import Condition, DatabaseStatus, Endpoint, LastResume
from torpor_autoscaler.adapters.kubernetes.documents import (
    OUR_CONDITIONS,
    known_from,
    refusal_document,
    shifted,
    status_document,
)


def document(**parts: Any) -> dict[str, Any]:
    return {
        "apiVersion": "torpor.dev/v1alpha1",
        "kind": "ServerlessDatabase",
        "metadata": {
            "name": "shop",
            "namespace": "team",
            "uid": "u",
            "generation": 3,
            "resourceVersion": "41",
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {"idleTimeout": "5s"},
        **parts,
    }


def condition(type: str, **other: Any) -> dict[str, Any]:
    return {"type": type, "status": "True", "reason": "Made", "message": "", **other}


PROVIDED = {"directory": "/volumes/team.shop", "userId": 100007, "isMade": True}


def test_a_resource_is_read_with_its_name_and_version() -> None:
    known = known_from(document(status={"phase": "Active", "epoch": 4, "compute": "c"}))
    assert known.name == "shop.team" and known.version == "41" and known.refusal == ""
    assert known.resource is not None
    assert known.resource.status == DatabaseStatus(phase=Phase.ACTIVE, epoch=4, compute="c")
    assert known.resource.spec.idle_timeout == 5


def test_what_the_operator_writes_is_no_change_of_the_autoscalers_own() -> None:
    status = {"phase": "Active", "epoch": 4, "compute": "c", "conditions": [condition("Ready")]}
    bare = known_from(document(status=status))
    full = known_from(
        document(
            status={
                **status,
                "storage": PROVIDED,
                "binding": {"name": "shop-app"},
                "conditions": [condition("StorageReady"), condition("Ready")],
            }
        )
    )
    assert bare.resource is not None and full.resource is not None
    assert full.resource.status == bare.resource.status
    assert full.storage is not None and full.storage.user_id == 100007 and full.storage.is_made


@pytest.mark.parametrize(
    "storage", [None, {}, {"directory": "/v"}, {"userId": 7}, {"directory": "", "userId": 7}]
)
def test_nobody_hears_of_a_database_that_is_not_provided_for(storage: Any) -> None:
    assert not known_from(document(status={"storage": storage})).is_serveable
    assert known_from(document(status={"storage": PROVIDED})).is_serveable


def test_one_that_was_deleted_is_known_until_it_sleeps() -> None:
    leaving = document(status={"storage": PROVIDED, "phase": "Active"})
    leaving["metadata"]["deletionTimestamp"] = "2027-01-01T00:00:00Z"
    assert known_from(leaving).is_serveable
    for at_rest in ("Suspended", "Failed"):
        leaving["status"] |= {"phase": at_rest, "compute": None}
        assert not known_from(leaving).is_serveable
        leaving["status"]["compute"] = "c"  # It has not released the data.
        assert known_from(leaving).is_serveable
        erased = {"type": "StorageReady", "status": "False", "reason": "Erased", "message": ""}
        conditions = [{**erased, "lastTransitionTime": "2027-01-01T00:00:00Z"}]
        gone = {**leaving, "status": {**leaving["status"], "conditions": conditions}}
        assert not known_from(gone).is_serveable


ALWAYS = {"cron": "* * * * *", "duration": "1h"}


@pytest.mark.parametrize("kept", [{"keepAwake": True}, {"minCU": 1}, {"schedules": [ALWAYS]}])
def test_one_that_was_deleted_is_kept_awake_no_more(kept: dict[str, Any]) -> None:
    leaving = document(status={"storage": PROVIDED, "phase": "Active"}, spec=kept)
    before = known_from(leaving).resource
    assert before and (before.spec.keep_awake or before.spec.min_cu or before.spec.schedules)
    assert before.metadata.deletion_timestamp == ""
    leaving["metadata"]["deletionTimestamp"] = "2027-01-01T00:00:00Z"
    after = known_from(leaving).resource
    assert after and not (after.spec.keep_awake or after.spec.min_cu or after.spec.schedules)
    assert after.metadata.deletion_timestamp == "2027-01-01T00:00:00Z"
    assert "deletionTimestamp" not in str(after.as_json())


def test_fields_of_a_newer_release_are_passed_over() -> None:
    newer = document(
        status={"moon": "full", "lastResume": {"steps": [], "totalMs": 1, "tide": "low"}},
        extra={"a": 1},
    )
    newer["spec"] |= {"colour": "red", "roles": [{"name": "app", "mood": "good"}]}
    known = known_from(newer)
    assert known.refusal == "" and known.resource is not None
    assert known.resource.spec.roles[0].name == "app"
    assert newer["spec"]["colour"] == "red"


@pytest.mark.parametrize(
    "spec", [{"idleTimeout": 5}, {"minCU": 9}, {"roles": []}, {"roles": "app"}, [], "text", None, 3]
)
def test_a_resource_that_can_not_be_read_says_why(spec: Any) -> None:
    known = known_from(document(spec=spec))
    assert known.resource is None and known.refusal
    assert not known.is_serveable


def test_one_that_can_no_longer_be_read_goes_on_as_it_was() -> None:
    before = known_from(document(status={"storage": PROVIDED, "phase": "Active", "epoch": 2}))
    broken = document(
        spec={"idleTimeout": 5}, status={"storage": PROVIDED, "phase": "Suspended", "epoch": 2}
    )
    broken["metadata"] |= {"generation": 4, "resourceVersion": "50"}
    after = known_from(broken, before)
    assert after.refusal and after.is_serveable
    assert before.resource is not None and after.resource is not None
    assert after.resource.spec == before.resource.spec
    assert after.resource.metadata.generation == 3
    assert after.resource.metadata.resource_version == "50"
    assert after.resource.status.phase is Phase.SUSPENDED
    again = known_from(broken, after)
    assert again == after


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=8), part, max_size=3)
    ),
    max_leaves=8,
)


PARTS = ("conditions", "storage", "epoch", "phase", "lastResume")


@given(spec=JSON, status=JSON | st.dictionaries(st.sampled_from(PARTS), JSON))
def test_nothing_that_stands_in_a_resource_stops_the_others(spec: Any, status: Any) -> None:
    known = known_from(document(spec=spec, status=status))
    assert (known.resource is None) == bool(known.refusal)


STATUS = DatabaseStatus(
    phase=Phase.ACTIVE,
    epoch=5,
    compute="compute-default-abc",
    endpoint=Endpoint(host="db.example", port=5432),
    observed_generation=3,
    conditions=(
        Condition(type="Ready", status="True", reason="Active", observed_generation=3),
        Condition(type="SpecApplied", status="False", reason="Unavailable", message="no"),
        Condition(type="Sized", status="False", reason="NoRoom", message="no"),
        Condition(type="LoginFactsStored", status="False", reason="InvalidRequest", message="no"),
    ),
    last_resume=LastResume(total_ms=1.5, at="2027-01-01T00:00:00Z", cause="a session"),
    why_awake=("session 1 is busy",),
    decisions=(
        CurrentDecision(
            loop="size",
            follows="grows from 1 to 2 CU",
            metric="load",
            value=1.0,
            threshold=0.9,
            unit="CPU",
            window_seconds=60.0,
            since="2027-01-01T00:00:00Z",
        ),
    ),
)


@pytest.mark.parametrize("offset", [0, 7])
@pytest.mark.parametrize("status", [STATUS, DatabaseStatus()])
def test_what_is_written_is_what_is_read(status: DatabaseStatus, offset: int) -> None:
    """Else the autoscaler would write for ever what it believes to be different."""
    told = shifted(status, offset)
    known = known_from(document(status={"storage": {**PROVIDED, "generationOffset": offset}}))
    written = status_document(known, "41", told)
    stored = document(status=written["status"] | {"storage": known_storage(offset)})
    back = known_from(stored)
    assert back.resource is not None and back.resource.status == told
    assert back.resource.metadata.generation == 3 + offset


@pytest.mark.parametrize("offset", range(4))
@pytest.mark.parametrize("applied", range(5))
def test_so_it_is_when_passwords_have_changed_since(applied: int, offset: int) -> None:
    """Then the offset has grown beyond what was applied."""
    known = known_from(document(status={"storage": known_storage(offset)}))
    told = STATUS.model_copy(update={"observed_generation": applied})
    written = status_document(known, "41", told)["status"]
    back = known_from(document(status=written | {"storage": known_storage(offset)}))
    assert back.resource is not None and back.resource.status == told
    assert (written["observedGeneration"] == 0) == (applied == 0)
    assert (written["observedGeneration"] > 0) == (applied > offset)


def test_what_was_carried_out_before_a_password_changed_does_not_grow_with_it() -> None:
    known = known_from(document(status={"storage": known_storage(1)}))
    written = status_document(known, "41", shifted(STATUS, 1))["status"]
    changed = known_from(document(status=written | {"storage": known_storage(2)})).resource
    assert changed is not None and changed.metadata.generation == 5
    assert changed.status.observed_generation == 4
    assert changed.status.conditions[0].observed_generation == 4


def known_storage(offset: int) -> dict[str, Any]:
    return {**PROVIDED, "generationOffset": offset}


def test_a_time_that_somebody_has_cleared_is_left_out_and_not_written_as_none() -> None:
    """A server refuses the whole status for an empty one."""
    decided = {"loop": "size", "follows": "f", "metric": "load", "value": 1.0, "threshold": 2.0}
    found = {"learnedGaps": {"counts": "3:1.0"}, "decisions": [decided]}
    known = known_from(document(status=found))
    assert known.resource is not None
    written = status_document(known, "40", known.resource.status)["status"]
    assert "lastUse" not in written["learnedGaps"]
    assert "since" not in written["decisions"][0]


def test_a_write_is_bound_to_the_version_and_leaves_out_what_is_others() -> None:
    known = known_from(document(status={"storage": PROVIDED}))
    foreign = Condition(type="StorageReady", status="True", reason="Made")
    status = STATUS.model_copy(update={"conditions": (*STATUS.conditions, foreign)})
    written = status_document(known, "40", status)
    head = {"name": "shop", "namespace": "team", "resourceVersion": "40", "uid": "u"}
    assert written["metadata"] == head
    assert {one["type"] for one in written["status"]["conditions"]} == OUR_CONDITIONS
    assert not {"storage", "binding"} & set(written["status"])


def test_what_is_observed_is_said_in_the_resources_own_generations() -> None:
    known = known_from(document(status={"storage": known_storage(7)}))
    written = status_document(known, "41", shifted(STATUS, 7))["status"]
    assert written["observedGeneration"] == 3
    assert written["conditions"][0]["observedGeneration"] == 3


def test_a_refusal_is_told_once_and_withdrawn() -> None:
    known = known_from(document(spec={"idleTimeout": 5}))
    assert known.refusal != known.refusal_told
    told = refusal_document(known, "2027-01-01T00:00:00Z")["status"]
    again = known_from(document(spec={"idleTimeout": 5}, status=told))
    assert again.refusal == again.refusal_told
    mended = known_from(document(status=told))
    assert mended.refusal == "" and mended.refusal_told
    assert refusal_document(mended, "")["status"] == {"conditions": []}


def test_reading_changes_no_document() -> None:
    newer = document(status={"storage": PROVIDED, "moon": 1, "conditions": [condition("Ready")]})
    before = copy.deepcopy(newer)
    known_from(newer)
    assert newer == before


def test_of_the_operators_conditions_only_a_missing_volume_is_seen_and_none_is_written() -> None:
    missing = {**condition("StorageReady"), "status": "False", "reason": "ClaimPending"}
    others = {**condition("EndpointReady"), "status": "False"}
    known = known_from(document(status={"conditions": [missing, others, condition("Ready")]}))
    assert known.resource is not None
    status = known.resource.status
    assert [one.type for one in status.conditions] == ["Ready", "StorageReady"]
    written = status_document(known, "8", status)["status"]["conditions"]
    assert [one["type"] for one in written] == ["Ready"]
