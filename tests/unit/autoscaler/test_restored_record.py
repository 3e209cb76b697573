"""A record that is older than its volume: an API server that was restored from a snapshot, a status
that somebody has lost or edited. The core's plan, against a real volume.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.failures import Failure, Holder, NotFenced, StaleEpoch
from torpor_api.identity import ComputeId, Epoch
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_api.values import FENCED_MAX
from torpor_autoscaler.lifecycle import facts
from torpor_autoscaler.lifecycle.actions import AskAgent, Wait
from torpor_compute.adapters.volume import FileVolume
from torpor_compute.core.ownership import Hold, Record, file_name, record_text
from unit.autoscaler.story import Story

STEPS_MAX = 200
"""More than any of these stories has."""


class Place:
    """A volume on disk, and a fencer who can say something of some computes only."""

    def __init__(self, folder: Path, epoch: int, state: Hold) -> None:
        (folder / "ownership").mkdir()
        (folder / "data").mkdir()
        (folder / "data" / "PG_VERSION").write_text("18\n")
        self._folder = folder
        self.note(epoch, "X", state)
        self.unfenceable = {"X"}
        self.taken: list[tuple[str, int]] = []
        self.refused: list[Failure] = []

    def note(self, epoch: int, compute: str, state: Hold) -> None:
        path = self._folder / "ownership" / file_name(Epoch(epoch))
        path.write_text(record_text(Record(Epoch(epoch), ComputeId(compute), state)))

    def outcome(self, story: Story) -> Any:
        """What comes of the present action; None: what comes in a good world."""
        request = story.request
        if isinstance(request, m.ConfirmGone) and request.compute in self.unfenceable:
            return NotFenced(f"nobody says that {request.compute} has ended", "taint its node")
        if not isinstance(request, m.StartCompute):
            return None
        assert isinstance(story.action, AskAgent)
        volume = FileVolume(self._folder, ComputeId(story.action.agent.compute), "18")
        try:
            asyncio.run(volume.take(Epoch(request.epoch), request.fenced))
        except Failure as failure:
            self.refused.append(failure)
            return failure
        self.taken.append((story.action.agent.compute, request.epoch))
        return None

    def go_on(self, story: Story, turns: int = 10) -> None:
        """Until it is at rest for good, or has waited so often."""
        for _ in range(STEPS_MAX):
            if not isinstance(story.action, Wait):
                story.answer(self.outcome(story))
            elif story.action.until is None or not (turns := turns - 1):
                return
            else:
                story.at(story.action.until)
        raise AssertionError("goes in circles")


def asleep(epoch: int, **more: Any) -> DatabaseStatus:
    return DatabaseStatus(epoch=epoch, observed_generation=1, **more)


@pytest.fixture
def held(tmp_path: Path) -> Place:
    """By X, under epoch 7."""
    return Place(tmp_path, 7, Hold.HELD)


def test_whom_the_volume_names_is_confirmed_gone_before_anybody_starts(held: Place) -> None:
    story = Story(asleep(5), agents=5)
    story.wake()
    held.go_on(story)
    assert held.taken == [] and not story.answers()
    assert len(held.refused) == 1, "no compute is used up by waiting"
    ready = story.record.status.conditions[0]
    assert (ready.type, ready.status, ready.reason) == ("Ready", "False", "NotFenced")
    assert "held by compute X, under epoch 7" in ready.message and "taint" in ready.message
    held.unfenceable.clear()
    held.go_on(story)
    assert held.taken == [("c2", 8)]
    assert [type(answer) for answer in story.answers()] == [m.Awake]
    assert "X" in story.all(m.StartCompute)[-1].fenced
    (active,) = [status for status in story.written if status.phase is Phase.ACTIVE][:1]
    assert (active.epoch, active.compute, active.fenced) == (8, "c2", ())


def test_a_holder_of_an_epoch_that_the_record_has_passed_is_asked_for_as_well(held: Place) -> None:
    story = Story(asleep(9), agents=5)
    story.wake()
    held.go_on(story)
    assert held.taken == [] and [type(one) for one in held.refused] == [NotFenced]
    held.unfenceable.clear()
    held.go_on(story)
    assert held.taken == [("c2", 11)]


def test_a_claim_under_the_very_epoch_of_the_volume_believes_it_as_well(held: Place) -> None:
    held.unfenceable.clear()
    story = Story(asleep(6), agents=5)
    story.wake()
    held.go_on(story)
    assert [one.compute for one in story.all(m.ConfirmGone)] == ["c1", "X"]
    assert held.taken == [("c2", 8)]


def test_a_released_volume_is_taken_above_its_epoch_and_nobody_is_asked_for(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path, 41, Hold.RELEASED)
    story = Story(asleep(5), agents=5)
    story.wake()
    place.go_on(story)
    assert place.taken == [("c2", 42)]
    assert [one.compute for one in story.all(m.ConfirmGone)] == ["c1"]
    assert story.answers() and story.database.trouble is None


def test_one_that_the_record_still_names_is_fenced_too(held: Place) -> None:
    held.unfenceable.clear()
    story = Story(asleep(5, compute="W"), agents=5)
    story.wake()
    held.go_on(story)
    assert [one.compute for one in story.all(m.ConfirmGone)] == ["W", "c1", "X"]
    assert held.taken == [("c2", 8)]


def test_a_holder_that_is_told_to_be_gone_is_not_asked_for_again(held: Place) -> None:
    story = Story(asleep(5), agents=5)
    story.wake()
    held.go_on(story)
    asked = len(story.all(m.ConfirmGone))
    story.fact(facts.agent_gone, "X", story.world.now)
    held.go_on(story)
    assert held.taken == [("c2", 8)]
    assert len(story.all(m.ConfirmGone)) == asked


def test_somebody_elses_newer_claim_is_no_holder_to_be_ended() -> None:
    story = Story(asleep(5), agents=5)
    story.wake()
    story.until(m.StartCompute)
    newer = asleep(7, phase=Phase.ACTIVE, compute="X")
    story.store(story.record.model_copy(update={"status": newer}))
    story.fail(StaleEpoch("epoch 6 is over", holder=Holder(7, "X")))
    story.rest()
    assert story.database.holder is None
    assert "X" not in {one.compute for one in story.all(m.ConfirmGone)}


def test_the_facts_of_an_older_record_are_not_taken_for_exact(held: Place) -> None:
    story = Story(asleep(5), agents=5)
    assert story.database.facts_are_exact
    story.wake()
    held.go_on(story)
    assert not story.database.facts_are_exact


def test_what_was_confirmed_gone_outlives_the_autoscaler(held: Place) -> None:
    """The pods of whoever was lost are kept for a while only: nobody could say it once more."""
    held.unfenceable.clear()
    story = Story(asleep(7, compute="X"), agents=5)
    story.wake()
    story.until(m.StartCompute)
    assert story.record.status.fenced == ("X",)
    held.unfenceable.add("X")
    # The claimed compute was lost, too, before it had the volume.
    again = Story(story.record.status.model_copy(update={"compute": "Y"}), agents=5)
    again.wake()
    held.go_on(again)
    assert [one.compute for one in again.all(m.ConfirmGone)] == ["Y"]
    assert held.taken == [("c1", 9)]


def test_of_many_lost_ones_the_last_that_served_is_remembered(held: Place) -> None:
    story = Story(asleep(7, compute="X"))
    for number in range(2 * FENCED_MAX):
        story.database.fenced or story.fact(facts.agent_gone, "X", 1.0)
        story.database.holder = Holder(number, f"lost{number}")
        story.fact(facts.agent_gone, f"lost{number}", 1.0)
    fenced = story.database.fenced
    assert len(fenced) == FENCED_MAX
    assert (fenced[0], fenced[-1]) == ("X", f"lost{2 * FENCED_MAX - 1}")


def test_a_claimed_compute_is_not_among_the_gone_ones() -> None:
    """Objects that were restored run again under the names that they had."""
    story = Story(asleep(7, fenced=("X", "c1")))
    story.wake()
    assert story.until(m.StartCompute).fenced == ("X",)
    assert story.record.status.fenced == ("X",)


def test_a_record_that_falls_back_under_a_compute_that_serves_is_mended() -> None:
    story = Story(asleep(6))
    story.wake()
    story.rest()
    assert story.record.status.epoch == 7
    story.store(story.record.model_copy(update={"status": asleep(3, phase=Phase.ACTIVE)}))
    story.fact(facts.observe, story.record).rest()
    status = story.record.status
    assert (status.phase, status.epoch, status.compute) == (Phase.ACTIVE, 7, "c1")
    assert not story.all(m.ConfirmGone)


def test_a_record_that_falls_asleep_by_falling_back_has_its_compute_ended_first() -> None:
    story = Story(asleep(6))
    story.wake()
    story.rest()
    story.store(story.record.model_copy(update={"status": asleep(3)}))
    story.fact(facts.observe, story.record)
    story.wake()
    story.rest()
    assert [one.compute for one in story.all(m.ConfirmGone)] == ["c1"]
    start = story.all(m.StartCompute)[-1]
    assert (start.epoch, start.fenced) == (8, ("c1",))


def test_a_record_that_falls_back_during_a_start_does_not_change_the_claim() -> None:
    story = Story(asleep(6))
    story.wake()
    assert story.until(m.StartCompute).epoch == 7
    older = asleep(3, phase=Phase.RESUMING, compute="W")
    story.store(story.record.model_copy(update={"status": older}))
    story.fact(facts.observe, story.record).rest()
    assert story.database.run is not None and story.database.run.epoch == 7
    status = story.record.status
    assert (status.phase, status.epoch, status.compute) == (Phase.ACTIVE, 7, "c1")


def test_a_start_that_somebody_elses_claim_has_overtaken_serves_nobody() -> None:
    story = Story(asleep(6))
    story.wake()
    story.until(m.StartCompute)
    newer = asleep(8, phase=Phase.RESUMING, compute="X")
    story.store(story.record.model_copy(update={"status": newer}))
    story.fact(facts.observe, story.record).answer().rest()
    assert story.database.run is None and not story.answers()
    assert (story.record.status.epoch, story.record.status.compute) == (8, "X")


@pytest.mark.parametrize("epoch", [2, 3])
def test_no_epoch_that_proxies_have_heard_of_is_claimed_again(epoch: int) -> None:
    """Not only where the volume knows it: of a claim whose start has failed that knows nothing."""
    story = Story(status=asleep(9))
    story.rest()
    older = story.record.model_copy(update={"status": asleep(epoch)})
    story.store(older)
    story.fact(facts.observe, story.record)
    story.wake()
    assert story.until(m.StartCompute).epoch == 10
