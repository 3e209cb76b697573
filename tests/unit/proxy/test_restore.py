"""What is written to put a session back, as far as statements go: no wait that nobody asked for."""

from __future__ import annotations

import pytest

from support.captures import columns, listed, row
from torpor_proxy.core import results, wire
from torpor_proxy.core.broken import RESULT_CHANGED, UNNAMED, Broken
from torpor_proxy.core.held import held_of
from torpor_proxy.core.restore import DROPPED, LeftOut, Restore, RestoreFailed
from torpor_proxy.core.restore_words import LOCK_WAIT_MS_MAX, Messages, Script

IMPATIENT, PATIENT = f"SET LOCAL lock_timeout = {LOCK_WAIT_MS_MAX}", "SET LOCAL lock_timeout = 0"
LISTENS = b"l", b"news", b"", b""


def statement(text: bytes, types: bytes = b"{}|{23}", kind: bytes = b"p") -> bytes:
    return columns(kind, b"s", text, types)


def texts(data: bytes) -> list[str]:
    """Of SQL, in their order."""
    messages, rest = wire.split(data)
    assert messages and not rest
    return [
        (body[:-1] if kind == b"Q" else body.split(b"\0")[1]).decode()
        for kind, body in messages
        if kind in (b"Q", b"P")
    ]


@pytest.mark.parametrize("kind", [b"p", b"q"])
def test_a_statement_waits_for_no_lock_and_all_else_does(kind: bytes) -> None:
    held = held_of([statement(b"table t", kind=kind), columns(*LISTENS)])
    for script in (Restore(held).first(), Restore(held).careful()):
        said = texts(script.data)
        at = said.index("table t")
        assert said[at - 1 : at + 2] == [IMPATIENT, "table t", PATIENT]
        assert said.count(IMPATIENT) == 1
        assert said.index('LISTEN "news"') > at


def test_an_unnamed_statement_waits_for_no_lock_and_nothing_ends_it() -> None:
    script = Restore(held_of([]), wire.parse("", "table t")).first()
    said = texts(script.data)
    assert said[-3:] == [IMPATIENT, "table t", "COMMIT"]
    messages, _ = wire.split(script.data)
    assert not [kind for kind, _ in messages if kind == b"Q"]
    assert len(script.parts) == sum(kind == b"S" for kind, _ in messages)


def test_a_session_without_statements_is_not_asked_to_hurry() -> None:
    assert IMPATIENT not in texts(Restore(held_of([columns(*LISTENS)])).first().data)


def broken(*names: bytes) -> dict[bytes, Broken]:
    return {name: Broken(number, b"C55P03\0\0") for number, name in enumerate(names, 1)}


def test_at_its_use_a_statement_waits_as_it_would_have() -> None:
    said = texts(Restore(held_of([statement(b"table t")]), broken=broken(b"s")).trial(b"s"))
    until = said[: said.index("table t") + 1]
    assert not any("_timeout" in text for text in until)


def errors(wanted: Restore) -> dict[bytes, bytes]:
    return {name: one.error for name, one in wanted.broken.items()}


def restored(text: bytes, types: bytes, now: tuple[int, ...]) -> dict[bytes, bytes]:
    """What is broken after a restore in which the server has found other types."""
    wanted = Restore(held_of([statement(text, types)]))
    script = wanted.first()
    messages = []
    for part in script.parts:
        messages += [listed(b"s", *now)] * (part == "statements") + [(b"Z", b"T")]
    assert wanted.read_first(script, messages)
    return errors(wanted)


def test_other_columns_than_before_break_a_statement() -> None:
    assert restored(b"table t", b"{}|{23}", (23,)) == {}
    assert restored(b"table t", b"{}|{23}", (23, 25)) == {b"s": RESULT_CHANGED}


@pytest.mark.parametrize("text", [b"execute p", b"EXECUTE p(1)", b"\n fetch 1 from c"])
def test_what_returns_another_s_rows_is_never_compared(text: bytes) -> None:
    assert restored(text, b"{}|", (23,)) == {}


def test_what_returns_another_s_rows_comes_behind_it() -> None:
    held = held_of(
        [statement(b"execute p"), columns(b"q", b"p", b"prepare p as table t", b"{}|{23}")]
    )
    for script in (Restore(held).first(), Restore(held).careful()):
        said = texts(script.data)
        assert said.index("prepare p as table t") < said.index("execute p")
    wanted = Restore(held, broken=broken(b"s", b"p", UNNAMED))
    assert wanted.in_turn({UNNAMED, b"s", b"p", b"other"}) == [b"p", b"s", UNNAMED]
    assert wanted.in_turn({b"s"}) == [b"s"]


def test_an_error_is_that_of_the_statement_that_was_tried() -> None:
    held = held_of(
        [statement(b"execute p"), columns(b"q", b"p", b"prepare p as table t", b"{}|{23}")]
    )
    wanted = Restore(held)
    script = wanted.careful()
    messages = []
    for part in script.parts:
        messages += [(b"E", b"M%b\0\0" % part.encode())] * part.isdigit() + [(b"Z", b"T")]
    wanted.read_careful(script, messages)
    assert errors(wanted) == {b"p": b"M0\0\0", b"s": b"M1\0\0"}


def test_an_error_is_kept_with_the_place_that_it_points_to() -> None:
    wanted = Restore(held_of([statement(b"table t")]))
    assert not wanted.read_first(
        wanted.first(), [(b"Z", b"T"), (b"Z", b"T"), (b"E", b"P7\0\0"), (b"Z", b"E")]
    )
    script = wanted.careful()
    messages = []
    for part in script.parts:
        messages += [(b"E", b"C42P01\0P7\0\0")] * part.isdigit() + [(b"Z", b"T")]
    wanted.read_careful(script, messages)
    assert errors(wanted) == {b"s": b"C42P01\0P7\0\0"}


def test_each_that_is_broken_has_a_number_of_its_own() -> None:
    held = held_of(
        [statement(b"execute p"), columns(b"q", b"p", b"prepare p as table t", b"{}|{23}")]
    )
    wanted = Restore(held, wire.parse("", "table t"))
    script = wanted.careful()
    messages = []
    for part in script.parts:
        fails = part.isdigit() or part == "unnamed"
        messages += [(b"E", b"M0\0\0")] * fails + [(b"Z", b"T")]
    wanted.read_careful(script, messages)
    assert {name: one.number for name, one in wanted.broken.items()} == {b"p": 2, b"s": 1, b"": 0}


def test_nothing_that_is_broken_may_be_there_when_others_stand_in() -> None:
    wanted = Restore(held_of([statement(b"table t")]), broken=broken(b"s"))
    messages, _ = wire.split(wanted.stand_ins())
    assert messages[0] == (b"C", b"Ss\0")
    kind, body = messages[-1]
    assert kind == b"P" and body.startswith(b"s\0/* _torpor_broken */ ")


def test_what_its_client_has_ended_is_not_tried_again() -> None:
    wanted = Restore(held_of([]), broken=broken(b"s", b"p", UNNAMED))
    wanted.read_standing([row(b"p")])
    assert set(wanted.broken) == {b"p"}


def test_a_trial_mends_or_remembers_the_new_error() -> None:
    types = listed(b"s", 23)
    for answer, left in (
        ([types], {}),
        ([listed(b"s", 25)], {b"s": RESULT_CHANGED}),
        ([(b"E", b"C42P01\0\0")], {b"s": b"C42P01\0\0"}),
    ):
        wanted = Restore(held_of([statement(b"table t")]), broken=broken(b"s"))
        wanted.read_trial(b"s", answer)
        assert errors(wanted) == left


ONE, OTHER = (b"T", b"\0\1n\0" + bytes(18)), (b"T", b"\0\1m\0" + bytes(18))


@pytest.mark.parametrize("way", ["first", "careful", "trial"])
@pytest.mark.parametrize(("answer", "is_like"), [(ONE, True), (OTHER, False)])
def test_other_names_than_before_break_a_statement(
    way: str, answer: tuple[bytes, bytes], is_like: bool
) -> None:
    wanted = Restore(held_of([statement(b"table t")]).with_results(results.told([ONE])))
    is_there = listed(b"s", 23, prepared=b"whenever")
    if way == "trial":
        wanted.broken = broken(b"s")
        assert wire.describe_statement("s") in wanted.trial(b"s")
        wanted.read_trial(b"s", [answer, is_there])
    else:
        script = wanted.first() if way == "first" else wanted.careful()
        messages = []
        for part in script.parts:
            is_described = part == ("statements" if way == "first" else "0")
            messages += [answer] * is_described + [is_there] * (part == "statements")
            messages.append((b"Z", b"T"))
        if way == "first":
            wanted.read_first(script, messages)
        else:
            wanted.read_careful(script, messages)
    assert errors(wanted) == ({} if is_like else {b"s": RESULT_CHANGED})
    assert wanted.prepared == {b"s": b"whenever"}


def test_a_statement_that_nobody_has_described_is_like_any() -> None:
    wanted = Restore(held_of([statement(b"table t")]), broken=broken(b"s"))
    wanted.read_trial(b"s", [OTHER, listed(b"s", 23)])
    assert errors(wanted) == {}
    assert wanted.results == dict(zip([b"s"], results.told([OTHER]), strict=True))


def test_an_unnamed_statement_that_works_the_second_time_is_not_broken() -> None:
    wanted = Restore(held_of([statement(b"table t")]), wire.parse("", "table u"))
    for script, read in (
        (wanted.first(), wanted.read_first),
        (wanted.careful(), wanted.read_careful),
    ):
        is_first = "0" not in script.parts
        messages = []
        for part in script.parts:
            fails = is_first and part in ("statements", "unnamed")
            there = [listed(b"s", 23)] * (part == "statements")
            messages += [(b"E", b"M\0\0")] * fails + there + [(b"Z", b"T")]
        read(script, messages)
    assert wanted.broken == {}


@pytest.mark.parametrize("name", [b"client_encoding", b"statement_timeout", b"lock_timeout"])
def test_what_the_restoring_needs_itself_is_the_session_s_own_at_the_very_end(name: bytes) -> None:
    """As its own a statement_timeout of a millisecond would end it in the middle."""
    rows = [columns(b"s", each, b"v", b"") for each in (name, b"work_mem")]
    held = held_of([*rows, statement(b"table t"), columns(b"r", b"", b"boss", b"")])
    for script in (Restore(held).first(), Restore(held).careful()):
        said = [body for kind, body in wire.split(script.data)[0] if kind in (b"F", b"Q", b"P")]
        places = [
            next(at for at, body in enumerate(said) if word in body)
            for word in (b"SET LOCAL statement_timeout = 0", b"work_mem", b"table t", b"boss")
        ]
        assert places == sorted(places)
        assert name in said[-2] and said[-1] == b"COMMIT\0"
        assert script.parts[-2:] == ("settings", "commit")


def test_a_restore_that_a_timeout_has_ended_is_worth_another_attempt() -> None:
    assert RestoreFailed(b"C57014\0Mcanceling statement\0\0").is_passing
    assert not RestoreFailed(b"C42501\0Mpermission denied\0\0").is_passing


def test_a_setting_that_can_not_be_put_back_ends_the_session_with_its_own_error() -> None:
    wanted = Restore(held_of([columns(b"s", name, b"v", b"") for name in (b"a", b"b")]))
    script = wanted.first()
    messages = []
    for number, part in enumerate(script.parts):
        fails = part == "settings"
        messages += [(b"E", b"M%d\0\0" % number)] * fails + [(b"Z", b"E")]
    with pytest.raises(RestoreFailed, match="2"):
        wanted.read_first(script, messages)


# --- settings whose value is not valid any more ---------------------------------------------


def answered(script: Script, *failing: int, sqlstate: bytes = b"22023") -> Messages:
    """Where the settings of those places fail, and with them all that comes behind."""
    messages: Messages = []
    place = -1
    for part in script.parts:
        place += part == "settings"
        if part == "settings" and place in failing:
            messages.append((b"E", b"C%b\0Mgone\0\0" % sqlstate))
        messages.append((b"Z", b"T"))
    return messages


SETTINGS = held_of(
    [
        columns(b"s", b"statement_timeout", b"5", b""),
        columns(b"s", b"default_tablespace", b"one", b""),
        columns(b"c", b"app.tenant", b"7", b""),
        columns(b"s", b"work_mem", b"64", b""),
        columns(b"s", b"temp_tablespaces", b"one", b""),
    ]
)


def test_settings_that_are_not_valid_any_more_are_left_out_one_after_the_other() -> None:
    wanted = Restore(SETTINGS)
    assert wanted.leaves_out(wanted.first(), answered(wanted.first(), 0, 3))
    assert wanted.leaves_out(wanted.first(), answered(wanted.first(), 2, sqlstate=b"42704"))
    assert not wanted.leaves_out(wanted.first(), answered(wanted.first()))
    assert wanted.left_out == {
        b"default_tablespace": LeftOut(DROPPED, "22023"),
        b"temp_tablespaces": LeftOut(DROPPED, "42704"),
    }
    for script in (wanted.first(), wanted.careful()):
        assert b"tablespace" not in script.data
        assert all(name in script.data for name in (b"app.tenant", b"work_mem", b"statement_tim"))


def test_a_setting_that_only_a_start_can_change_was_never_its_own_and_nobody_is_told() -> None:
    wanted = Restore(SETTINGS)
    assert wanted.leaves_out(wanted.first(), answered(wanted.first(), 1, sqlstate=b"55P02"))
    assert not wanted.left_out[b"app.tenant"].why
    for script in (wanted.first(), wanted.careful()):
        assert b"app.tenant" not in script.data and b"work_mem" in script.data


@pytest.mark.parametrize(
    ("place", "sqlstate", "name"),
    [
        (1, b"22023", b"app.tenant"),
        (1, b"42501", b"app.tenant"),
        (1, b"42602", b"app.tenant"),
        (2, b"55P02", b"work_mem"),
    ],
)
def test_a_custom_setting_that_an_extension_took_or_one_that_the_server_did_is_left_out_and_told(
    place: int, sqlstate: bytes, name: bytes
) -> None:
    """Postgres drops such a one in a session that stays, with a warning, too."""
    wanted = Restore(SETTINGS)
    assert wanted.leaves_out(wanted.first(), answered(wanted.first(), place, sqlstate=sqlstate))
    assert wanted.left_out.keys() == {name} and wanted.left_out[name].why
    assert name not in wanted.first().data and name not in wanted.careful().data


@pytest.mark.parametrize(("place", "sqlstate"), [(1, b"42704"), (0, b"42501"), (0, b"57014")])
def test_one_that_is_not_allowed_any_more_or_fails_otherwise_is_not_left_out(
    place: int, sqlstate: bytes
) -> None:
    wanted = Restore(SETTINGS)
    script = wanted.first()
    messages = answered(script, place, sqlstate=sqlstate)
    assert not wanted.leaves_out(script, messages) and not wanted.left_out
    with pytest.raises(RestoreFailed):
        wanted.read_first(script, messages)
