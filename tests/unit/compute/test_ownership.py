"""Who may start on a volume, as rules over records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api.failures import DataDamaged, Holder, NotFenced, StaleEpoch
from torpor_api.identity import ComputeId, Epoch
from torpor_compute.core import ownership
from torpor_compute.core.ownership import Hold, Record

records = st.builds(
    Record,
    epoch=st.integers(1, 10**10 - 1).map(Epoch),
    compute=st.text(max_size=20).map(ComputeId),
    state=st.sampled_from(Hold),
    facts_exported=st.booleans(),
)


def record(epoch: int, state: Hold) -> Record:
    return Record(Epoch(epoch), ComputeId("c1"), state)


@given(records)
def test_a_record_is_read_as_it_was_written(written: Record) -> None:
    text = ownership.record_text(written)
    assert ownership.parse_record(text, written.epoch, "f") == written


@given(st.text(max_size=200))
def test_whatever_is_no_record_is_refused_by_name(text: str) -> None:
    with pytest.raises(DataDamaged, match=r"0000000007\.json") as refused:
        ownership.parse_record(text, Epoch(7), "/v/ownership/0000000007.json")
    assert "remove the file" in refused.value.hint


@pytest.mark.parametrize(
    "text",
    [
        '{"epoch": 7, "compute": "c", "state": "lost"}',
        '{"epoch": "x", "compute": "c", "state": "held"}',
        '{"compute": "c", "state": "held"}',
        '{"epoch": 8, "compute": "c", "state": "released"}',
        "[]",
        "7",
        "null",
        "[" * 100_000,
        '{"epoch": 7, "compute": "c", "state": "rel',
    ],
)
def test_a_record_with_a_fault_lets_nobody_start(text: str) -> None:
    with pytest.raises(DataDamaged):
        ownership.parse_record(text, Epoch(7), "f")


def test_a_record_without_word_of_its_facts_has_not_exported_them() -> None:
    text = '{"epoch": 7, "compute": "c", "state": "released"}'
    assert ownership.parse_record(text, Epoch(7), "f").facts_exported is False


def test_files_of_other_names_are_passed_over() -> None:
    names = ["0000000012.json", "generation", ".7.c1", "0000000003.json", "12.json", "x.json"]
    assert ownership.epochs_in(names) == [3, 12]


@given(st.integers(0, 10**10 - 1))
def test_a_file_name_is_found_again(epoch: int) -> None:
    assert ownership.epochs_in([ownership.file_name(Epoch(epoch))]) == [epoch]


@pytest.mark.parametrize(("newest", "epoch"), [(5, 5), (6, 5), (10, 1)])
def test_an_epoch_that_is_not_higher_is_stale(newest: int, epoch: int) -> None:
    for state, holder in ((Hold.HELD, "c1"), (Hold.RELEASED, "")):
        with pytest.raises(StaleEpoch, match=f"epoch {epoch} is over.*epoch {newest}") as refused:
            ownership.refuse_later(record(newest, state), Epoch(epoch))
        assert refused.value.holder == Holder(newest, holder)


@pytest.mark.parametrize("newest", [None, record(4, Hold.HELD)])
def test_a_higher_epoch_may_go_on(newest: Record | None) -> None:
    ownership.refuse_later(newest, Epoch(5))


@pytest.mark.parametrize("fenced", [[], ["c0", "c2"]])
def test_a_held_record_needs_the_fencer_s_word_of_its_own_holder(fenced: list[str]) -> None:
    words = "compute c1 holds the volume under epoch 4"
    with pytest.raises(NotFenced, match=words) as refused:
        ownership.refuse_held(record(4, Hold.HELD), fenced)
    assert refused.value.holder == Holder(4, "c1")


def test_a_fenced_holder_does_not_hinder() -> None:
    ownership.refuse_held(record(4, Hold.HELD), ["c0", "c1"])


def test_nobody_hinders_on_a_new_or_released_volume() -> None:
    ownership.refuse_held(None, [])
    ownership.refuse_held(record(4, Hold.RELEASED), [])


@given(st.sets(st.integers(1, 1000).map(Epoch)))
def test_the_newest_records_are_kept(epochs: set[Epoch]) -> None:
    names = {ownership.file_name(epoch) for epoch in epochs}
    gone = ownership.to_prune(names, Epoch(1000))
    kept = names - set(gone)
    assert len(kept) == min(len(names), ownership.RECORDS_KEPT)
    assert not gone or max(gone) < min(kept)


def test_what_crashes_left_is_swept_and_what_is_at_work_is_not() -> None:
    names = [
        ownership.hidden_name(Epoch(6), ComputeId("c")),
        ".0000000006.json.partial",
        ownership.hidden_name(Epoch(7), ComputeId("c")),
        ownership.hidden_name(Epoch(8), ComputeId("c")),
        ".generation.partial",
    ]
    assert ownership.to_prune(names, Epoch(7)) == names[:2]
