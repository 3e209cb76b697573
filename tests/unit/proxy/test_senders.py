"""The process ids in notifications."""

from __future__ import annotations

import pytest

from torpor_proxy.core import senders, wire

TOLD_AS = {100: 7, 200: 4_194_305}


def notification(process_id: int) -> bytes:
    return wire.message(b"A", process_id.to_bytes(4, "big") + b"news\0hello\0")


ROW = wire.message(b"D", b"\0\1\0\0\0\1x")


def test_known_senders_are_told_as_their_clients_know_them() -> None:
    data = ROW + notification(100) + notification(300) + ROW + notification(200)
    wanted = ROW + notification(7) + notification(300) + ROW + notification(4_194_305)
    assert senders.may_notify(data) and senders.as_told(data, 0, TOLD_AS) == wanted


def test_it_begins_where_a_message_does() -> None:
    # What looks like a notification is in the middle of a row.
    begun = notification(100)[5:] + notification(100)
    data = begun + notification(100)
    assert senders.as_told(data, len(begun), TOLD_AS) == begun + notification(7)


@pytest.mark.parametrize("cut", range(1, len(notification(100))))
def test_a_message_in_parts_is_changed_only_where_its_id_is_whole(cut: int) -> None:
    data = ROW + notification(100)[:cut]
    wanted = ROW + notification(7 if cut >= 9 else 100)[:cut]
    assert senders.as_told(data, 0, TOLD_AS) == wanted


def test_what_has_no_notification_stays_the_same_object() -> None:
    assert not senders.may_notify(ROW) and senders.as_told(ROW, 0, TOLD_AS) is ROW


def test_a_sender_of_another_proxy_is_never_taken_for_a_client_of_this_one() -> None:
    """Its compute counts from the beginning again, and comes to a number that was told before."""
    told = senders.ToldAs({7, 8})
    told.remember(100, 7)
    assert senders.as_told(notification(100), 0, told) == notification(7)
    assert senders.as_told(notification(300), 0, told) == notification(300)
    stranger = senders.as_told(notification(8), 0, told)
    assert stranger == notification((1 << 31) - 1 - 8) and told.get(8) not in (7, 8, None)


def test_only_the_last_backends_are_remembered() -> None:
    told = senders.ToldAs(())
    for backend in range(senders.BACKENDS_MAX + 1):
        told.remember(backend, 1)
    assert len(told) == senders.BACKENDS_MAX and 0 not in told and next(iter(told)) == 1
