"""What is normalised, and that nothing else is."""

from __future__ import annotations

from fuzz.client import Message
from fuzz.transcript import HUNG_UP, STUCK, difference, transcript_of
from torpor_proxy.core import wire

DONE: Message = (b"C", b"SELECT 1\0")
READY: Message = (b"Z", b"I")


def heard(process_id: int, words: bytes) -> Message:
    return b"A", process_id.to_bytes(4, "big") + words


NEWS, MORE = heard(1, b"news\0\0"), heard(1, b"more\0\0")


def test_a_notification_may_come_anywhere_between_two_ready_for_query() -> None:
    assert transcript_of([READY, NEWS, DONE, READY]) == transcript_of([READY, DONE, NEWS, READY])


def test_a_notification_may_not_come_later_than_that() -> None:
    assert transcript_of([DONE, NEWS, READY, DONE]) != transcript_of([DONE, READY, NEWS, DONE])


def test_notifications_keep_their_order() -> None:
    assert transcript_of([NEWS, MORE, READY]) != transcript_of([MORE, NEWS, READY])


def test_a_sender_is_the_client_that_was_told_its_process_id() -> None:
    seven = transcript_of([heard(7, b"news\0\0")], {7: "client 0", 9: "client 1"})
    assert seven == transcript_of([heard(8, b"news\0\0")], {8: "client 0"})
    assert seven != transcript_of([heard(8, b"news\0\0")], {8: "client 1"})
    assert seven != transcript_of([heard(8, b"news\0\0")], {7: "client 0"})


def test_a_parameter_status_and_a_notice_keep_their_place() -> None:
    for other in ((b"S", b"TimeZone\0UTC\0"), (b"N", b"Mhm\0\0")):
        assert transcript_of([other, DONE, READY]) != transcript_of([DONE, other, READY])


def test_parameters_that_are_told_together_have_no_order() -> None:
    zone, style, off = (
        (b"S", each) for each in (b"TimeZone\0UTC\0", b"DateStyle\0ISO\0", b"x\0y\0")
    )
    assert transcript_of([zone, style, READY, off]) == transcript_of([style, zone, READY, off])
    assert transcript_of([zone, style, READY, off]) != transcript_of([zone, READY, style, off])


def test_keys_and_the_way_of_logging_in_are_not_compared() -> None:
    scram: Message = (b"R", (12).to_bytes(4, "big") + b"v=x")
    login: list[Message] = [(b"R", bytes(4)), (b"K", b"12345678")]
    assert transcript_of([scram, *login]) == transcript_of([login[0], (b"K", b"87654321")])


def described(*object_ids: int) -> Message:
    columns = (
        b"n\0"
        + oid.to_bytes(4, "big")
        + b"\0\1"
        + (23).to_bytes(4, "big")
        + b"\0\4\xff\xff\xff\xff\0\0"
        for oid in object_ids
    )
    return b"T", len(object_ids).to_bytes(2, "big") + b"".join(columns)


def test_object_ids_stand_for_their_order() -> None:
    one, other = ((described(a, b), described(b)) for a, b in ((20001, 20002), (30009, 30004)))
    assert transcript_of(one) == transcript_of(other)
    assert transcript_of(one) != transcript_of((described(20001, 20002), described(20001)))


def test_object_ids_of_the_catalog_are_compared() -> None:
    assert transcript_of([described(1259)]) != transcript_of([described(1247)])
    types = [(b"t", b"\0\1" + oid.to_bytes(4, "big")) for oid in (23, 25)]
    assert transcript_of(types[:1]) != transcript_of(types[1:])


def test_a_column_is_compared_to_its_last_byte() -> None:
    kind, body = described(1259)
    assert transcript_of([(kind, body)]) != transcript_of([(kind, body[:-1] + b"\1")])


def test_the_end_is_compared() -> None:
    assert transcript_of([READY], has_ended=True)[-1] == HUNG_UP
    assert transcript_of([READY], is_stuck=True)[-1] == STUCK


def test_a_difference_says_where_it_begins() -> None:
    one, longer = transcript_of([DONE, READY]), transcript_of([DONE, READY, DONE])
    assert difference(0, one, one) is None
    found = difference(1, one, longer)
    assert found is not None
    assert (found.who, found.at) == (1, 2)
    changed = difference(0, one, transcript_of([(b"C", b"SELECT 2\0"), READY]))
    assert changed is not None
    assert changed.at == 0
    assert wire.message(*changed.straight[0]) == wire.message(*DONE)
