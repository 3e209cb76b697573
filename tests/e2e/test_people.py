"""What a person may do by which Role: each verb of the command, with the least that it takes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from e2e import kubectl
from e2e.cluster import NAMESPACE, RELEASE
from e2e.database import Database
from e2e.kubectl import WAIT_SECONDS_MAX
from e2e.test_cli import BIN, config_of
from torpor_api.failures import Refused
from torpor_cli.main import torpor as command

APPLIED = "apiVersion: torpor.dev/v1alpha1\nkind: ServerlessDatabase\nmetadata: {name: own}\n"


@dataclass(frozen=True, slots=True)
class Person:
    """One who has an account in the databases' namespace, and no right but those that are bound."""

    account: str
    namespace: str
    kubeconfig: Path

    def torpor(self, *arguments: str, stdin: str = "") -> Result:
        """In this process: to start one for each verb takes longer than most verbs do."""
        return CliRunner().invoke(command, [*self._options, *arguments], input=stdin)

    def may(self, *arguments: str, stdin: str = "") -> str:
        """What it prints."""
        done = self.torpor(*arguments, stdin=stdin)
        assert done.exit_code == 0, f"torpor {' '.join(arguments)}: {done.exception or done.stderr}"
        return done.stdout

    def may_run(self, *arguments: str) -> str:
        """Of psql or a shell: what it prints."""
        done = self._ran(*arguments)
        assert done.returncode == 0, f"torpor {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def may_not(self, *arguments: str, stdin: str = "") -> None:
        """By the words of the API server."""
        done = self.torpor(*arguments, stdin=stdin)
        assert isinstance(done.exception, Refused), f"torpor {' '.join(arguments)}: {done.output}"
        assert " is forbidden: " in done.exception.message

    def may_not_run(self, *arguments: str) -> None:
        done = self._ran(*arguments)
        assert done.returncode == 1 and " is forbidden: " in done.stderr, done.stderr

    def _ran(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(BIN / "torpor"), *self._options, *arguments]
        return subprocess.run(argv, capture_output=True, text=True, timeout=WAIT_SECONDS_MAX)

    @property
    def _options(self) -> tuple[str, ...]:
        return "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace


Bind = Callable[[str], None]
"""A ClusterRole in the namespace of the databases, or a Role of the release in its own."""


@pytest.fixture
def person(namespace: str, tmp_path: Path) -> Person:
    kubectl.kubectl("create", "serviceaccount", "ann", "--namespace", namespace)
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(config_of("ann", namespace)))
    return Person("ann", namespace, own)


@pytest.fixture
def bind(person: Person) -> Iterator[Bind]:
    account = f"--serviceaccount={person.namespace}:{person.account}"
    bound: list[str] = []

    def in_its_place(role: str) -> None:
        name = f"{person.namespace}-{role}"
        if role.startswith("people"):
            where = ("--namespace", NAMESPACE, f"--role={RELEASE}-{role}")
            bound.append(name)
        else:
            where = ("--namespace", person.namespace, f"--clusterrole={role}")
        kubectl.kubectl("create", "rolebinding", name, account, *where)

    yield in_its_place
    for name in bound:
        kubectl.delete("rolebinding", name, NAMESPACE)


def test_whoever_may_view_sees_and_with_the_role_for_people_asks_and_acts(
    database: Database, person: Person, bind: Bind
) -> None:
    person.may_not("list")
    bind("view")
    for seen in (("list",), ("get", "volumes"), ("get", database.name, "-o", "yaml")):
        assert database.name in person.may(*seen)
    person.may_not("why", database.name)
    bind("people")
    for verb in ("resume", "why", "decisions", "sessions", "status", "plot", "tree"):
        person.may(verb, database.name)
    person.may("critical-chain", "--slowest", "1")
    person.may("top", "--once")
    person.may("get", "all")
    assert person.may_run("psql", "torpor", "-c", "show databases")
    person.may("resize", database.name, "0.5")
    person.may("switchover", database.name)
    with database.connect(application_name="hers") as client:
        client.execute("select 1")
        (session,) = person.may("get", "sessions", "-o", "name").split()
        person.may_not("logs", session)
        person.may("delete", session)
    person.may("suspend", database.name)
    person.may_not("uri", database.name)


def test_whoever_may_edit_declares_connects_and_deletes(
    database: Database, person: Person, bind: Bind
) -> None:
    bind("view")
    bind("people")
    apply = ("apply", "-f", "-")
    person.may_not(*apply, stdin=APPLIED)
    bind("edit")
    person.may(*apply, stdin=APPLIED)
    assert person.may("uri", "own").startswith("postgresql://")
    assert person.may_run("psql", "own", "-At", "-c", "select 6 * 7") == "42\n"
    person.may("delete", "own", "--data")


def test_logs_and_shells_take_roles_of_their_own(
    database: Database, person: Person, bind: Bind
) -> None:
    for role in ("view", "people"):
        bind(role)
    person.may("resume", database.name)
    compute = f"compute/{database.status['compute']}"
    person.may_not("logs", compute)
    bind("people-logs")
    done = person.torpor("logs", compute)
    assert done.exit_code == 1 and "claimed" in done.stdout
    assert "pods/exec" in done.stderr, "that of its Postgres is on its volume"
    with database.connect() as client:
        client.execute("select 1")
        (session,) = person.may("get", "sessions", "-o", "name").split()
        person.may("logs", session)
    person.may_not("logs", database.name)
    person.may_not_run("shell", database.name, "true")
    bind("people-shell")
    assert "ready to accept connections" in person.may("logs", database.name)
    assert person.may_run("shell", database.name, "psql", "-Atc", "select 6 * 7") == "42\n"
