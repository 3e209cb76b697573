"""A session's state is read while others of its database learn of the catalog, too."""

from __future__ import annotations

from support.captures import row, session, setting, statement
from torpor_proxy.core import capture, wire
from torpor_proxy.core.aside import TRANSACTION
from torpor_proxy.core.broken import Broken
from torpor_proxy.core.capture import UNKNOWN, Captured, Catalog
from torpor_proxy.core.held import UNSEEN, Kind, held_of, row_of
from torpor_proxy.core.restore import Restore
from torpor_proxy.core.results import CHANGED, FAILURES_MAX
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.executor import visit
from torpor_proxy.executor.visit import Catalogs

Messages = list[tuple[bytes, bytes]]

DONE = (b"Z", b"I")


class Backend:
    """Answers in order; ``meanwhile`` is known once the first question is answered."""

    def __init__(self, catalogs: Catalogs, meanwhile: Catalog, *answers: Messages) -> None:
        self.questions: list[bytes] = []
        self._catalogs = catalogs
        self._meanwhile = meanwhile
        self._answers = list(answers)

    async def ask(self, question: bytes, readies: int = 1) -> Messages:
        self.questions.append(question)
        self._catalogs.of_now = self._meanwhile
        return self._answers.pop(0)


async def test_a_name_that_another_session_has_learnt_meanwhile_is_asked_for() -> None:
    catalogs = Catalogs()
    learnt = Catalog(b"1:1:", frozenset({"app.tenant"}))
    backend = Backend(
        catalogs,
        learnt,
        [session(), DONE],
        [session(), row(b"c", b"app.tenant", b"7"), DONE],
    )
    found = await visit.read_state(backend, "app", SessionState(), catalogs, "UTF8")  # type: ignore[arg-type]
    assert [entry.value for entry in found.held.entries()] == [b"7"]
    assert b"app.tenant" in backend.questions[1] and b"app.tenant" not in backend.questions[0]


async def test_where_nothing_was_written_one_question_is_enough() -> None:
    catalogs = Catalogs(Catalog(b"1:1:", frozenset({"app.tenant"})))
    backend = Backend(catalogs, catalogs.of_now, [session(), DONE])
    await visit.read_state(backend, "app", SessionState(), catalogs, "UTF8")  # type: ignore[arg-type]
    assert len(backend.questions) == 1


async def test_the_catalog_is_asked_where_nobody_knows_that_of_now() -> None:
    catalogs = Catalogs()
    of_now = [row(b"n", b"", b"1:1:", b""), row(b"x", b"login trigger", b"t", b""), DONE]
    answer = [session(), DONE]
    backend = Backend(catalogs, catalogs.of_now, answer, of_now, answer)
    found = await visit.read_state(backend, "app", SessionState(), catalogs, "UTF8")  # type: ignore[arg-type]
    assert backend.questions[1] == capture.catalog_question()
    assert "login event trigger t" in found.pins.reasons[0]


async def test_a_timeout_that_is_set_away_is_the_session_s() -> None:
    catalogs = Catalogs(Catalog(b"1:1:"))
    timeouts = [row(b"5ms"), row(b"0")]
    set_away = [
        setting(name, b"0", reset=b"0") for name in (b"statement_timeout", b"transaction_timeout")
    ]
    backend = Backend(catalogs, catalogs.of_now, [*timeouts, *set_away, session(), DONE])
    state = SessionState(is_hurried=True)
    found = await visit.read_state(backend, "app", state, catalogs, "UTF8")  # type: ignore[arg-type]
    assert [(e.name, e.value) for e in found.held.entries()] == [(b"statement_timeout", b"5ms")]
    assert not found.pins and not found.defaults


async def test_a_default_that_was_set_away_is_what_reset_goes_to() -> None:
    catalogs = Catalogs(Catalog(b"1:1:"))
    set_away = setting(b"statement_timeout", b"0", reset=b"5")
    answer: Messages = [row(b"0"), row(b"0"), set_away, session(), DONE]
    backend = Backend(catalogs, catalogs.of_now, answer)
    state = SessionState(is_hurried=True)
    found = await visit.read_state(backend, "app", state, catalogs, "UTF8")  # type: ignore[arg-type]
    assert [entry.value for entry in found.held.entries()] == [b"0"]
    assert found.defaults == (("statement_timeout", "5"),)


def test_the_questions_end_where_the_answers_do() -> None:
    assert capture.catalog_question().endswith(wire.SYNC)


# --- what columns new statements return -----------------------------------------------------

NAMES = (b"s", b"t", b"u", b"v")
ONE_COLUMN, NONE = (b"T", b"\0\0"), (b"n", b"")


async def found_by(
    *answers: Messages, state: SessionState | None = None, count: int = 2
) -> Captured:
    statements = [statement(name, b"table t", prepared=name * 8) for name in NAMES[:count]]
    catalogs = Catalogs(Catalog(b"1:1:"))
    backend = Backend(catalogs, catalogs.of_now, [session(), *statements, DONE], *answers)
    found = await visit.read_state(
        backend,  # type: ignore[arg-type]
        "app",
        state or SessionState(),
        catalogs,
        "UTF8",
    )
    assert len(backend.questions) == 1 + len(answers)
    return found


def failed(sqlstate: bytes) -> Messages:
    return [(b"E", b"SERROR\0C" + sqlstate + b"\0\0"), (b"Z", b"E")]


async def test_new_statements_are_described_once() -> None:
    found = await found_by([ONE_COLUMN, NONE, DONE])
    assert UNSEEN not in found.held.results_by_name().values()
    state = SessionState()
    state.captured(found)
    again = await found_by(state=state)
    assert again.held is found.held


async def test_one_that_can_not_be_described_is_left_out() -> None:
    found = await found_by(failed(b"42P01"), [DONE], [ONE_COLUMN, DONE])
    known = found.held.results_by_name()
    assert known[b"s"] == UNSEEN != known[b"t"]


async def test_one_that_has_changed_already_is_never_like_it_was() -> None:
    found = await found_by([ONE_COLUMN, *failed(b"0A000")], [DONE])
    assert found.held.results_by_name()[b"t"] == CHANGED


async def test_where_a_table_is_locked_the_session_is_kept_for_now() -> None:
    found = await found_by(failed(b"55P03"), [DONE])
    assert found.pins.is_passing and "locked" in found.pins.reasons[0]


async def test_failures_are_bounded() -> None:
    one = failed(b"42P01")
    found = await found_by(*[one, [DONE]] * FAILURES_MAX, count=FAILURES_MAX + 1)
    assert set(found.held.results_by_name().values()) == {UNSEEN}


# --- what is tried again ------------------------------------------------------------------------


async def test_what_stands_in_is_not_forgotten_where_the_question_for_it_is_cancelled() -> None:
    catalogs = Catalogs()
    ended, failed_again = [DONE], failed(b"42P01")
    backend = Backend(
        catalogs, UNKNOWN, failed(b"57014"), ended, failed_again, ended, [DONE], [DONE]
    )
    wanted = Restore(
        held_of([row_of(Kind.PROTOCOL_STATEMENT, b"s", b"table t", b"{}|{23}")]),
        broken={b"s": Broken(1, b"C42P01\0\0")},
    )
    await visit.restore_again(backend, wanted, TRANSACTION, {b"s"})  # type: ignore[arg-type]
    assert set(wanted.broken) == {b"s"}
    assert wire.close_statement("s") in backend.questions[-1]
