"""Puts the state of a parked session on a fresh backend. Pure.

One write, in one transaction: settings, statements, channels, role. What the restoring itself needs
(no timeout, texts in UTF-8) is set with ``SET LOCAL`` before all of it, and the session's own
values of those settings behind all of it, so that COMMIT leaves them. A statement that can't be
prepared again fails that transaction; then each gets one of its own, and for those that still fail
something else stands in: see :mod:`torpor_proxy.core.broken`. A setting whose value names what was
dropped meanwhile is left out, and its client is told; so is a custom one that an extension has
taken for itself meanwhile, where Postgres would drop it in a session that stays, with a warning.

``PREPARE`` goes by the extended protocol and never by a simple query: its text is all that its
client sent in one message, and a simple query would run the rest of it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torpor_proxy.core import restore_words as words
from torpor_proxy.core import results, wire
from torpor_proxy.core.aside import TRANSACTION, aside
from torpor_proxy.core.broken import (
    RESULT_CHANGED,
    SCHEMA,
    UNNAMED,
    Broken,
    remembered,
    stand_in,
    types_of_parse,
)
from torpor_proxy.core.held import STATEMENTS, UNSEEN, Entry, Held, Kind
from torpor_proxy.core.restore_words import Messages, Script, error_of, in_order, script
from torpor_proxy.core.statement_types import parameters_of, types_of

Parts = Iterator[tuple[str, bytes]]

DROPPED = "what its value names was dropped"
OF_THE_SERVER = "by now only the server's own configuration changes it"
OF_AN_EXTENSION = "by now it belongs to an extension, which does not let its role set that value"

_LEFT_OUT: Mapping[Kind, Mapping[str, str]] = {
    Kind.SETTING: {"22023": DROPPED, "42704": DROPPED, "55P02": OF_THE_SERVER},
    Kind.CUSTOM: {
        "22023": OF_AN_EXTENSION,  # Its value is none of those that there are.
        "42501": OF_AN_EXTENSION,  # It is for superusers.
        "42602": OF_AN_EXTENSION,  # None of that name is among those that begin with its own name.
        "55P02": "",
    },
}
"""Without which settings a session goes on, by SQLSTATE, and why, as its client is told. Nobody is
where only a start or a reload changes it: it was the server's own, and not the session's."""


class RestoreFailed(Exception):
    """The session can't go on: what it had may not be given back to it. With Postgres's fields."""

    def __init__(self, body: bytes) -> None:
        self.fields = wire.report_fields(body)
        self.is_passing = self.fields.get("C") == "57014"
        """By a timeout, of its role's or of its own: another time it may be fast enough."""
        super().__init__(self.fields.get("M", ""))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A setting without which a session goes on."""

    why: str
    """For its client; empty: it does not concern it."""
    sqlstate: str
    """For the log: Postgres's own words have the value in them, which is the client's."""


@dataclass(slots=True)
class Restore:
    """Of one session onto one backend: ``first``, ``read_first``; then maybe ``careful``; then
    ``stand_ins`` where something is broken."""

    held: Held
    unnamed: bytes | None = None
    """The whole Parse message of its unnamed statement."""
    cut: str = ""
    """The mark that a listening session sends to itself: from there on it hears for itself."""
    encoding: str = "UTF8"
    """In which texts are sent: that of the server where it converts nothing."""
    broken: dict[bytes, Broken] = field(default_factory=dict)
    """Statements that could not be put back, with the error report that their use shall bring."""
    results: dict[bytes, bytes] = field(default_factory=dict)
    """What columns its statements return by now."""
    prepared: dict[bytes, bytes] = field(default_factory=dict)
    """When each of them was prepared."""
    left_out: dict[bytes, LeftOut] = field(default_factory=dict)
    """Settings that could not be put back."""

    def first(self) -> Script:
        """All at once; nothing where nothing is held."""
        entries = self._entries()
        parts = list(self._transaction(entries, is_last=True)) if entries else []
        return script([*parts, *self._last()])

    def leaves_out(self, said: Script, messages: Messages) -> bool:
        """Whether ``first`` has failed by a setting, and has to be said again without that.

        Also a session that stays has such a value for nothing.
        """
        settings = iter([*_settings(self._entries()), *_settings(self._entries(), is_last=True)])
        for part, answer in said.answers(messages):
            error = error_of(answer)
            entry = next(settings) if part == "settings" else None
            if error is None:
                continue
            fields = wire.report_fields(error)
            why = _LEFT_OUT[entry.kind].get(fields.get("C", "")) if entry is not None else None
            if entry is None or why is None:
                return False
            self.left_out[entry.name] = LeftOut(why, fields.get("C", ""))
            return True
        return False

    def read_first(self, said: Script, messages: Messages) -> bool:
        """Whether all is done; else ``careful`` has to follow. Raises RestoreFailed."""
        is_done = True
        for part, answer in said.answers(messages):
            error = error_of(answer)
            if part == "unnamed":
                self._read_unnamed(error)
            elif error is not None and part == "statements":
                is_done = False
            elif error is not None and is_done:
                raise RestoreFailed(error)
            elif part == "statements":
                self._described(in_order(self.held.of(*STATEMENTS)), answer)
                self._compare(answer)
        return is_done

    def careful(self) -> Script:
        """Statement by statement."""
        statements = in_order(self.held.of(*STATEMENTS))
        others = [entry for entry in self._entries() if entry.kind not in STATEMENTS]
        first = _settings(others)
        parts = [*self._transaction(first)]
        for number, entry in enumerate(statements):
            parts += self._transaction([entry], label=str(number))
        rest = [e for e in others if e not in first]
        return script([*parts, *self._transaction(rest, is_last=True), *self._last()])

    def read_careful(self, said: Script, messages: Messages) -> None:
        """Raises RestoreFailed."""
        statements = in_order(self.held.of(*STATEMENTS))
        for part, answer in said.answers(messages):
            error = error_of(answer)
            if part == "unnamed":
                self._read_unnamed(error)
            elif part.isdigit() and error is not None:
                self._broke(statements[int(part)].name, error)
            elif part.isdigit():
                self._described([statements[int(part)]], answer)
            elif error is not None:
                raise RestoreFailed(error)
            elif part == "statements":
                self._compare(answer)

    # --- what is sent -----------------------------------------------------------------

    def _entries(self) -> list[Entry]:
        return [entry for entry in self.held.entries() if entry.name not in self.left_out]

    def _transaction(
        self, entries: Sequence[Entry], *, label: str = "statements", is_last: bool = False
    ) -> Parts:
        statements = in_order(entry for entry in entries if entry.kind in STATEMENTS)
        yield "begin", words.BEGIN
        yield "locals", words.locals_(self.encoding)
        yield from (("settings", call) for call in words.set_all(_settings(entries)))
        if statements or is_last:
            data = b"".join(map(words.prepare, statements))
            if statements:
                described = b"".join(map(results.describe, statements))
                data = words.IMPATIENT + data + described + words.PATIENT
            is_listed = is_last and any(self.held.of(*STATEMENTS))
            listed = words.extended(words.LIST) if is_listed else b""
            yield label, data + listed + wire.SYNC
        if is_last:
            if listen := words.listen(entries, self.cut):
                yield "listen", listen
            yield from (("role", call) for call in words.set_roles(entries))
            last = _settings(entries, is_last=True)
            yield from (("settings", call) for call in words.set_all(last))
        yield "commit", words.COMMIT

    def _last(self) -> Parts:
        if self.cut:
            yield "unlisten", words.UNLISTEN
        if self.unnamed:
            # As for those with a name its table may be locked. By then a simple query would end it.
            yield "unnamed", TRANSACTION.begin + words.IMPATIENT_ASIDE + self.unnamed + wire.SYNC
            yield "end of unnamed", TRANSACTION.end + wire.SYNC

    def _read_unnamed(self, error: bytes | None) -> None:
        self.broken.pop(UNNAMED, None)  # The first time there may have been no settings yet.
        if error is not None:
            self.broken[UNNAMED] = Broken(0, remembered(error))

    def _broke(self, name: bytes, error: bytes) -> None:
        names = [entry.name for entry in self.held.of(*STATEMENTS)]
        self.broken[name] = Broken(1 + names.index(name), error)

    def _described(self, statements: Iterable[Entry], answer: Messages) -> None:
        names = (entry.name for entry in statements if results.is_described(entry))
        self.results.update(zip(names, results.told(answer), strict=False))

    def _compare(self, answer: Messages) -> None:
        """A statement that has changed would bring other columns than its client expects.

        ``answer`` lists the statements that there are.
        """
        types = self._listed(answer)
        before = self.held.results_by_name()
        for entry in self.held.of(*STATEMENTS):
            name = entry.name
            if name not in self.broken and not self._is_like(entry, types.get(name), before[name]):
                self._broke(name, RESULT_CHANGED)

    def _listed(self, answer: Messages) -> dict[bytes, bytes]:
        """The types of each; when it was prepared is noted."""
        rows = list(words.rows_of(answer))
        self.prepared.update((name, time) for name, _, _, time in rows)
        return {name: types_of(parameters, columns) for name, parameters, columns, _ in rows}

    def _is_like(self, entry: Entry, types: bytes | None, result: bytes) -> bool:
        """Whether a statement that was put back is as it was."""
        if words.returns_another_s_rows(entry.value):
            return True
        is_same = result == UNSEEN or self.results.get(entry.name, result) == result
        return types == entry.extra and is_same

    # --- what is broken ---------------------------------------------------------------

    def stand_ins(self) -> bytes:
        """For those that are broken; none of them may be there, or it would bring something else.

        To be said within a frame, as all that follows. Where this fails nothing stands in for them,
        and their use brings that there is no such statement.
        """
        types = {entry.name: parameters_of(entry.extra) for entry in self.held.of(*STATEMENTS)}
        if self.unnamed:
            types[UNNAMED] = types_of_parse(self.unnamed)
        closes = b"".join(map(words.close, self.broken))
        parses = (stand_in(name, types[name], one.number) for name, one in self.broken.items())
        return closes + words.locals_of_stand_ins(SCHEMA, self.encoding) + b"".join(parses)

    def read_standing(self, answer: Messages) -> None:
        """``answer`` to ``words.STANDING``: what its client has ended is not broken any more."""
        there = {name for (name,) in words.rows_of(answer)}
        if self.unnamed:
            there.add(UNNAMED)
        self.broken = {name: one for name, one in self.broken.items() if name in there}

    def in_turn(self, names: Collection[bytes]) -> list[bytes]:
        """Those of the names that are broken, in the order in which they are to be tried."""
        statements = [entry.name for entry in in_order(self.held.of(*STATEMENTS))]
        return [name for name in (*statements, UNNAMED) if name in names and name in self.broken]

    def trial(self, name: bytes) -> bytes:
        """Try one that is broken once more, in the session as it is now."""
        if name == UNNAMED:
            return self.unnamed or b""
        entry = self._entry(name)
        tried = words.prepare(entry) + results.describe(entry)
        return words.locals_at_use(self.encoding) + tried + aside(words.LIST)

    def read_trial(self, name: bytes, answer: Messages) -> None:
        """``broken`` is what is broken still."""
        before = self.broken.pop(name)
        error = error_of(answer)
        if error is None and name != UNNAMED:
            entry, result = self._entry(name), self.held.results_by_name()[name]
            self._described([entry], answer)
            is_like = self._is_like(entry, self._listed(answer).get(name), result)
            error = None if is_like else RESULT_CHANGED
        if error is not None:
            self.broken[name] = replace(before, error=remembered(error))

    def _entry(self, name: bytes) -> Entry:
        return next(entry for entry in self.held.of(*STATEMENTS) if entry.name == name)


def _settings(entries: Iterable[Entry], *, is_last: bool = False) -> list[Entry]:
    """Those that are set before all else, or last."""
    return [e for e in entries if e.kind in words.SET and words.is_set_last(e) == is_last]
