"""Conversations that once were told apart, as short as they could be made."""

from __future__ import annotations

import pytest

from fuzz import words
from fuzz.conversation import Conversation, Turn
from fuzz.extended import INT4
from fuzz.hold import compare
from fuzz.report import report
from fuzz.sides import World
from fuzz.words import SYNC, query

SETTING = query("select current_setting('app.user_id', true)")
SET_CONFIG = words.call(2078, (b"app.user_id", b"7", b"f"), is_binary=False)
USE = words.bind("", "s"), words.describe(b"P", ""), words.execute(), SYNC
PREPARED = words.parse("s", "select * from changing"), SYNC

Messages = tuple[bytes, ...]


def by_one(*turns: bytes | Messages) -> Conversation:
    return between((0, *turns))


def between(*turns: tuple[int | bytes | Messages, ...]) -> Conversation:
    """Each: who, and then the messages of one turn after the other."""
    return Conversation(
        tuple(
            Turn(who, turn if isinstance(turn, tuple) else (turn,))
            for who, *said in turns
            for turn in said
            if isinstance(who, int) and not isinstance(turn, int)
        ),
        parameters=(("lock_timeout", "300ms"),),
    )


FOUND = {
    "a setting in a query whose length is that of a letter": by_one(
        query("set app.user_id to 'x'; set app.origin to 'session'"), SETTING
    ),
    "a setting that RESET leaves empty": by_one(query("reset app.user_id"), SETTING),
    "a setting by a function call": by_one(SET_CONFIG, SETTING),
    "a setting of a function's own SET": by_one(
        query("select inside()"), query("select current_setting('app.inside', true)")
    ),
    "a statement on a table that another client has locked": between(
        (0, PREPARED),
        (1, query("begin; lock table changing")),
        (0, query("select 1"), query("select 2"), SYNC),
        (1, query("commit")),
        (0, USE),
    ),
    "a statement that is used while its table is locked": between(
        (0, PREPARED),
        (1, query("begin; lock table changing")),
        (0, query("select 1"), query("select 2"), USE, SYNC),
        (1, query("commit")),
        (0, USE),
    ),
    "a short name beside a statement that waits for a lock": between(
        (0, query("prepare p as select * from changing")),
        (0, (words.parse("s", "select * from numbers"), SYNC)),
        (1, query("begin; lock table changing")),
        (0, query("select 1"), query("select 2"), USE),
        (1, query("commit")),
        (0, query("execute p")),
    ),
    "a statement whose table is gone, and comes back": by_one(
        PREPARED,
        query("prepare p as select * from changing"),
        query("drop table changing"),
        USE,
        query("execute p"),
        query("create table changing (a int, b text)"),
        USE,
        query("execute p"),
    ),
    "a statement whose columns have changed": by_one(
        PREPARED, query("alter table changing add column c int"), query("select 1"), USE
    ),
    "an EXECUTE that was parsed before its statement": by_one(
        (words.parse("s", "execute p"), SYNC),
        query("prepare p as select 1"),
        query("select 1"),
        USE,
    ),
    "LISTEN and NOTIFY in one message behind a park": by_one(
        SYNC, query("listen news; notify news, 'mine'")
    ),
    "a statement that is tried again under another encoding": by_one(
        (words.parse("s", "select $1::mood"), SYNC),
        query("set client_encoding to latin1"),
        query("set search_path to other"),
        query("select 's'"),
        query("set search_path to public"),
        (words.bind("", "s", (b"good",)), words.execute(), SYNC),
    ),
    "a query that is no text leaves the unnamed statement": by_one(
        (words.parse("", "select n from numbers"), words.bind("", ""), words.execute(), SYNC),
        query(b"select '\xe9'"),
        (words.bind("", ""), words.execute(), SYNC),
    ),
    "a reported value under another encoding": by_one(
        query("set client_encoding to latin1"),
        query('set search_path to "Ä", public'),
        query("set client_encoding to utf8"),
        query("select 1"),
    ),
    "an EXECUTE that is put back before its statement": by_one(
        query("prepare s as select 1"),
        (words.parse("x" * 70, "execute s"), SYNC),
        query("select 1"),
        (words.describe(b"S", "x" * 70), SYNC),
    ),
    "a statement one of whose columns has got another name, and its own again": by_one(
        PREPARED,
        query("prepare p as select a from changing"),
        query("alter table changing rename a to other"),
        query("select 1"),
        USE,
        query("execute p"),
        query("alter table changing rename other to a"),
        USE,
        query("execute p"),
    ),
    "a statement one of whose columns has got another length": between(
        (0, query("alter table changing alter column b type varchar(9)"), PREPARED),
        (1, query("alter table changing alter column b type varchar(10)")),
        (0, query("select 1"), USE),
    ),
    "a statement that is prepared again after a column got another name": by_one(
        PREPARED,
        query("alter table changing rename a to other"),
        (words.close(b"S", "s"), *PREPARED),
        query("select 1"),
        USE,
    ),
    "a statement whose table is another one of the same columns": by_one(
        PREPARED,
        query("drop table changing; create table changing (a int, b text)"),
        query("select 1"),
        USE,
    ),
    "a FETCH whose cursor is gone is not described": by_one(
        query("begin; declare c cursor for select n from numbers"),
        (words.parse("s", "/* it */ -- is\n fetch 1 from c"), SYNC),
        query("commit"),
        query("select 1"),
        query("select 2"),
    ),
    "an unnamed statement whose table is gone": between(
        (0, (words.parse("", "select a from changing where a = $1", (INT4,)), SYNC)),
        (1, query("drop table changing")),
        (0, (words.bind("", "", (b"1",)), words.execute(), SYNC)),
        (0, (words.describe(b"S", ""), SYNC), (words.parse("", "select 1"), SYNC)),
        (0, (words.bind("", ""), words.execute(), SYNC)),
    ),
    "an unnamed statement beside one whose table is gone": by_one(
        query("create table other.only as select 1 as n"),
        query("set search_path to other"),
        PREPARED,
        query("drop table changing"),
        (words.parse("", "select n from only"), SYNC),
        (words.bind("", ""), words.execute(), SYNC),
        USE,
    ),
    "a broken statement is described": by_one(
        (words.parse("s", "select b from changing where a = $1"), SYNC),
        query("drop table changing"),
        (words.describe(b"S", "s"), SYNC),
        (words.bind("", "s", ()), SYNC),
        (words.bind("", "s", (b"no int",)), SYNC),
    ),
    "the name of a broken statement is taken": by_one(
        PREPARED,
        query("alter table changing add column c int"),
        PREPARED,
        query("prepare s as select 1"),
        (words.parse("s", "selec 1"), SYNC),
        (words.close(b"S", "s"), *PREPARED),
        USE,
    ),
    "a broken statement ends by SQL": by_one(
        PREPARED,
        query("drop table changing"),
        query("deallocate s"),
        query("deallocate s"),
        USE,
        PREPARED,
        query("select 1"),
        USE,
    ),
    "a broken statement in a failed transaction": by_one(
        PREPARED,
        query("drop table changing"),
        query("begin; select 1/0"),
        USE,
        query("rollback"),
    ),
    "a statement that is put back inside of a transaction": between(
        (0, PREPARED, query("prepare p as select * from changing")),
        (1, query("begin; lock table changing")),
        (0, query("select 1"), query("begin; select 2")),
        (0, (words.parse("", "select n from numbers order by n"), words.bind("", ""), SYNC)),
        (1, query("commit")),
        (0, USE, query("execute p"), query("commit"), USE, query("execute p")),
    ),
    "a statement that is not put back inside of a transaction": between(
        (0, PREPARED, query("prepare p as select * from changing")),
        (1, query("begin; lock table changing")),
        (0, query("select 1"), query("begin; savepoint a; select 2"), USE),
        (0, query("rollback to a"), query("select 3"), query("execute p"), query("rollback")),
        (1, query("commit")),
        (0, USE, query("execute p")),
    ),
    "a portal that is read on while a statement is put back": between(
        (0, (words.parse("s", "select * from changing"), SYNC)),
        (1, query("begin; lock table changing")),
        (0, query("select 1"), query("begin")),
        (0, (words.parse("", "select n from numbers order by n"), SYNC)),
        (0, (words.bind("", ""), words.execute("", 1), words.bind("c", ""), SYNC)),
        (1, query("commit")),
        (0, (words.bind("d", "s"), words.execute("d"), SYNC)),
        (0, (words.execute("", 1), words.execute("c", 1), SYNC)),
        (0, (words.bind("", ""), words.execute("", 1), SYNC)),
    ),
    "a table that is made in the transaction that uses it": by_one(
        PREPARED,
        query("drop table changing"),
        query("begin; create table changing (a int, b text)"),
        USE,
        query("commit"),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_nobody_can_tell_the_sides_apart_any_more(world: World, name: str) -> None:
    if found := compare(world, FOUND[name]):
        pytest.fail(report(FOUND[name], found))
