"""The gate of a database, as timelines."""

from __future__ import annotations

from torpor_api.messages import ComputeAddress, EndpointInfo
from torpor_api.phases import Phase
from torpor_proxy.core.gate import Gate, Standing

ADDRESS = ComputeAddress(socket_directory="/one")
LATER_ADDRESS = ComputeAddress(socket_directory="/two")


def awake(epoch: int, address: ComputeAddress = ADDRESS) -> EndpointInfo:
    return EndpointInfo(name="shop", phase=Phase.ACTIVE, epoch=epoch, address=address)


def asleep(epoch: int) -> EndpointInfo:
    return EndpointInfo(name="shop", phase=Phase.SUSPENDED, epoch=epoch)


def test_a_life_from_sleep_to_sleep() -> None:
    gate = Gate()
    assert gate.standing(0.0) is Standing.ASLEEP
    assert gate.told(asleep(1))
    assert gate.standing(1.0) is Standing.ASLEEP
    assert gate.told(awake(2))
    assert gate.standing(2.0) is Standing.OPEN
    assert gate.close(2, until=13.0)
    assert gate.standing(3.0) is Standing.CLOSED
    assert gate.told(asleep(2))
    assert gate.standing(4.0) is Standing.ASLEEP


def test_a_suspend_that_was_given_up() -> None:
    gate = Gate()
    gate.told(awake(2))
    gate.close(2, until=13.0)
    gate.open(2)
    assert gate.standing(3.0) is Standing.OPEN


def test_it_opens_by_itself_when_nothing_more_is_heard() -> None:
    gate = Gate()
    gate.told(awake(2))
    gate.close(2, until=13.0)
    assert gate.standing(12.99) is Standing.CLOSED
    assert gate.standing(13.0) is Standing.OPEN


def test_word_of_an_earlier_epoch_changes_nothing() -> None:
    gate = Gate()
    gate.told(awake(5))
    assert not gate.told(asleep(4))
    assert not gate.close(4, until=99.0)
    assert gate.standing(1.0) is Standing.OPEN and gate.epoch == 5
    gate.close(5, until=99.0)
    gate.open(4)
    assert gate.standing(1.0) is Standing.CLOSED


def test_it_stays_closed_for_news_of_the_same_compute() -> None:
    gate = Gate()
    gate.told(awake(2))
    gate.close(2, until=13.0)
    assert gate.told(awake(2))
    assert gate.standing(3.0) is Standing.CLOSED


def test_it_is_closed_for_a_compute_whose_address_is_still_on_the_way() -> None:
    gate = Gate()
    gate.told(awake(2))
    assert gate.close(3, until=13.0)
    assert gate.standing(3.0) is Standing.CLOSED
    gate.told(awake(3, LATER_ADDRESS))
    assert gate.standing(3.0) is Standing.CLOSED
    gate.open(3)
    assert gate.standing(3.0) is Standing.OPEN and gate.address == LATER_ADDRESS


def test_a_new_compute_does_not_wait_for_the_closing_of_the_old_one() -> None:
    gate = Gate()
    gate.told(awake(2))
    gate.close(2, until=13.0)
    gate.told(awake(3, LATER_ADDRESS))
    assert gate.standing(3.0) is Standing.OPEN


def test_one_that_falls_back_is_asleep_until_more_is_told() -> None:
    gate = Gate()
    gate.told(awake(5))
    gate.close(5, until=99.0)
    gate.fall_back(3)
    assert gate.standing(1.0) is Standing.ASLEEP
    assert gate.told(awake(4, LATER_ADDRESS))
    assert gate.standing(1.0) is Standing.OPEN and gate.address == LATER_ADDRESS
