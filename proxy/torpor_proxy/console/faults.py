"""What a client of the console is told when a statement fails: one class each, with its SQLSTATE.

None of them ends the session, as no failed statement does in Postgres. docs/console.md has a table
of them.
"""

from __future__ import annotations

from torpor_api.console import ConsoleRight
from torpor_api.failures import Failure
from torpor_proxy.core.refusals import Refusal, Report
from torpor_proxy.core.wire import Severity

HELP = "SHOW HELP lists every command."

NO_SQL = (
    "This is Torpor's operator console: it has no tables and runs no SQL. " + HELP + " For SQL "
    "connect to a database."
)


class Remark(Report):
    """Said beside the rows, which are there all the same."""

    sqlstate = "00000"
    severity = Severity.NOTICE


class Fault(Refusal):
    """Base."""

    severity = Severity.ERROR


class SyntaxFault(Fault):
    sqlstate = "42601"

    def __init__(self, message: str, hint: str = HELP) -> None:
        super().__init__(message, hint)


class NameFault(Fault):
    """What can't be the name of a database."""

    sqlstate = "42602"

    def __init__(self, name: str) -> None:
        super().__init__(
            f'"{name}" is no name of a database',
            "Write NAME or NAME.NAMESPACE, of lower-case letters, digits and hyphens.",
        )


class ParameterUnknown(Fault):
    sqlstate = "42P02"

    def __init__(self, number: int) -> None:
        super().__init__(
            f"there is no parameter ${number}",
            "Only a prepared statement has parameters, $1 and $2 at most.",
        )


class ValueFault(Fault):
    sqlstate = "22023"


class EncodingFault(Fault):
    sqlstate = "22021"

    def __init__(self) -> None:
        super().__init__("the bytes are not UTF-8", "The console speaks UTF-8 only.")


class NotOffered(Fault):
    """Something of the protocol that the console does without."""

    sqlstate = "0A000"


class RightMissing(Fault):
    sqlstate = "42501"

    def __init__(self, what: str, role: str, right: ConsoleRight) -> None:
        super().__init__(
            f"permission denied: {what} needs the right {ConsoleRight.ADMIN}",
            f'The role "{role}" has the right {right}; connect as one with {ConsoleRight.ADMIN}.',
        )


class InTransaction(Fault):
    """What takes effect at once can't be rolled back."""

    sqlstate = "25001"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} cannot run inside a transaction block",
            "Turn autocommit on: what it does can't be rolled back.",
        )


class TransactionAborted(Fault):
    sqlstate = "25P02"

    def __init__(self) -> None:
        super().__init__(
            "current transaction is aborted, commands ignored until end of transaction block"
        )


class Canceled(Fault):
    sqlstate = "57014"

    def __init__(self) -> None:
        super().__init__(
            "canceling statement due to user request",
            "What it had asked for already may still happen.",
        )


class StatementUnknown(Fault):
    sqlstate = "26000"

    def __init__(self, name: str) -> None:
        super().__init__(f'prepared statement "{name}" does not exist')


class StatementThere(Fault):
    sqlstate = "42P05"

    def __init__(self, name: str) -> None:
        super().__init__(f'prepared statement "{name}" already exists')


class PortalUnknown(Fault):
    sqlstate = "34000"

    def __init__(self, name: str) -> None:
        super().__init__(f'portal "{name}" does not exist')


class PortalThere(Fault):
    sqlstate = "42P03"

    def __init__(self, name: str) -> None:
        super().__init__(f'cursor "{name}" already exists')


class MessageFault(Fault):
    """A message of the protocol that contradicts itself, or one before it."""

    sqlstate = "08P01"


class TooMuch(Fault):
    """More than the console keeps for one client."""

    sqlstate = "54000"


class AnswerFailed(Fault):
    """Whoever was asked has named a failure: its own SQLSTATE, words and hint."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, failure.hint)
        self.sqlstate = failure.sqlstate
