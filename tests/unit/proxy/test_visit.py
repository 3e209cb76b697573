"""A session's state is read while others of its database learn of the catalog, too."""

from __future__ import annotations

from torpor_proxy.core import capture, wire
from torpor_proxy.core.capture import Catalog
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.executor import visit
from torpor_proxy.executor.visit import Catalogs

Messages = list[tuple[bytes, bytes]]

DONE = (b"Z", b"I")


def row(*columns: bytes) -> tuple[bytes, bytes]:
    columns += (b"",) * (4 - len(columns))
    parts = (len(column).to_bytes(4, "big") + column for column in columns)
    return b"D", len(columns).to_bytes(2, "big") + b"".join(parts)


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
        [row(b"n", b"", b"1:1:"), DONE],
        [row(b"n", b"", b"1:1:"), row(b"c", b"app.tenant", b"7"), DONE],
    )
    found = await visit.read_state(backend, "app", SessionState(), catalogs)  # type: ignore[arg-type]
    assert [entry.value for entry in found.held.entries()] == [b"7"]
    assert b"app.tenant" in backend.questions[1] and b"app.tenant" not in backend.questions[0]


async def test_where_nothing_was_written_one_question_is_enough() -> None:
    catalogs = Catalogs(Catalog(b"1:1:", frozenset({"app.tenant"})))
    backend = Backend(catalogs, catalogs.of_now, [row(b"n", b"", b"1:1:"), DONE])
    await visit.read_state(backend, "app", SessionState(), catalogs)  # type: ignore[arg-type]
    assert len(backend.questions) == 1


async def test_the_catalog_is_asked_where_nobody_knows_that_of_now() -> None:
    catalogs = Catalogs()
    of_now = [row(b"n", b"", b"1:1:"), row(b"x", b"login trigger", b"t"), DONE]
    answer = [row(b"n", b"", b"1:1:"), DONE]
    backend = Backend(catalogs, catalogs.of_now, answer, of_now, answer)
    found = await visit.read_state(backend, "app", SessionState(), catalogs)  # type: ignore[arg-type]
    assert backend.questions[1] == capture.catalog_question()
    assert "login event trigger t" in found.pins.reasons[0]


def test_the_questions_end_where_the_answers_do() -> None:
    assert capture.catalog_question().endswith(wire.SYNC)
