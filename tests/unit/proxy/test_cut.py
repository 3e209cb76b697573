"""Notifications of one session over two connections that run at different speeds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from torpor_proxy.core.cut import Ear, Notification, Stage, notification_of
from torpor_proxy.core.held import CUT_CHANNEL

STEPS_MAX = 120


def news(payload: str) -> Notification:
    return Notification(7, b"news", payload.encode())


def mark(word: str) -> Notification:
    return Notification(7, CUT_CHANNEL, word.encode())


def told(heard: list[Notification]) -> list[str]:
    return [one.payload.decode() for one in heard]


class World:
    """One order of commits, heard by two connections, each as fast as the test likes.

    The session's own backend counts from where it was attached; the listener hears from the
    beginning, and the session is a member of it from the moment when it begins to leave.
    """

    def __init__(self) -> None:
        self.log: list[Notification] = []
        self.heard: list[str] = []
        self.ear: Ear | None = None
        self.has_own = True
        self.own_at = self.common_at = 0
        self._words = count()

    # --- what may happen ----------------------------------------------------------------

    def notify(self) -> None:
        self.log.append(news(str(len(self.log))))

    def own_hears(self) -> None:
        if not self.has_own or self.own_at == len(self.log):
            return
        said = self.log[self.own_at]
        self.own_at += 1
        if self.ear is not None:
            self.heard += told(self.ear.own(said))
        elif said.channel != CUT_CHANNEL:
            self.heard += told([said])

    def common_hears(self) -> None:
        if self.common_at == len(self.log):
            return
        said = self.log[self.common_at]
        self.common_at += 1
        if self.ear is not None:
            self.heard += told(self.ear.common(said))

    def leave(self) -> None:
        if self.ear is None:
            word = f"mark{next(self._words)}"
            self.ear = Ear(word)
            self.log.append(mark(word))

    def left(self) -> None:
        if self.ear is not None and self.ear.may_leave:
            self.has_own = False
            self.heard += told(self.ear.left())

    def remain(self) -> None:
        if self.ear is not None and self.ear.stage is Stage.LEAVING:
            self.heard += told(self.ear.remained())
            self.ear = None

    def return_soon(self) -> None:
        if self.ear is not None and self.ear.stage is Stage.COMMON:
            word = f"mark{next(self._words)}"
            self.ear.return_at(word)
            self.has_own = True
            self.own_at = len(self.log)  # It listens in the transaction that sends the mark.
            self.log.append(mark(word))

    def returned(self) -> None:
        if self.ear is not None and self.ear.may_return:
            self.heard += told(self.ear.returned())
            self.ear = None

    def stay(self) -> None:
        if self.ear is not None and self.ear.stage is Stage.RETURNING:
            self.has_own = False
            self.heard += told(self.ear.stay())

    def settle(self) -> None:
        """Both hear everything that there is."""
        for _ in range(len(self.log)):
            self.own_hears()
            self.common_hears()
        self.left()
        self.returned()

    @property
    def sent(self) -> list[str]:
        return told([said for said in self.log if said.channel != CUT_CHANNEL])


STEPS = (
    World.notify,
    World.own_hears,
    World.common_hears,
    World.leave,
    World.left,
    World.remain,
    World.return_soon,
    World.returned,
    World.stay,
)


@given(st.lists(st.sampled_from(STEPS), max_size=STEPS_MAX))
def test_whatever_the_two_do_the_client_hears_each_once_and_in_order(
    steps: list[Callable[[World], None]],
) -> None:
    world = World()
    for step in steps:
        step(world)
        assert world.heard == world.sent[: len(world.heard)]
    world.settle()
    assert world.heard == world.sent


def test_a_faster_listener_waits_for_the_session_s_own_backend() -> None:
    world = World()
    world.notify()
    world.leave()
    world.notify()
    for _ in range(3):
        world.common_hears()
    assert world.heard == []
    for _ in range(2):
        world.own_hears()
    world.left()
    assert world.heard == ["0", "2"]


def test_a_session_that_does_not_leave_after_all_has_missed_nothing() -> None:
    world = World()
    world.leave()
    world.notify()
    for _ in range(2):
        world.own_hears()
        world.common_hears()
    assert world.heard == []
    world.remain()
    assert world.heard == ["1"]


def test_a_mark_that_was_lost_with_the_listener_never_counts_as_reached() -> None:
    ear = Ear()
    ear.return_at("mark")
    ear.own(mark("mark"))
    ear.listener_is_gone()
    assert not ear.may_return and not ear.awaits_listener
    assert ear.common(news("kept")) == []
    assert told(ear.stay()) == ["kept"] and ear.stage is Stage.COMMON
    ear.return_at("again")
    ear.own(mark("again"))
    ear.common(mark("again"))
    assert ear.may_return


def test_marks_of_others_and_of_clients_are_nobody_s_business() -> None:
    ear = Ear("mark")
    assert ear.own(mark("other")) == [] and ear.own(mark("")) == []
    assert not ear.may_leave
    assert ear.common(mark("other")) == [] and ear.awaits_listener


def test_as_it_is_on_the_wire() -> None:
    said = Notification(70_000, "é".encode("latin1"), b"a payload")
    assert notification_of(said.message) == said
