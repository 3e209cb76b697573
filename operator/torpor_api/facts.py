"""What a Postgres says about itself: who may log in, and what keeps it busy.

Facts are exported by the agent and believed by the proxy and the autoscaler. They carry verifiers
(never passwords), so they are stored like secrets.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from torpor_api.rhythm import CronJobs


class Fact(BaseModel):
    """Base: frozen, strict."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RoleFacts(Fact):
    """One role of ``pg_authid`` as far as logging in goes."""

    name: str
    verifier: str | None = None
    """``rolpassword``; None where the role has none or one that is not SCRAM-SHA-256."""
    can_login: bool = True
    is_admitted: bool = True
    """A member of ``torpor_login`` by grant; superusers are so only where the resource says it."""
    needs_admission: bool = False
    """Not yet one, because somebody has made it by SQL: its agent makes it one when it is asked."""
    valid_until_s: float | None = None
    """Seconds since 1970 after which the password is refused."""
    connection_limit: int = -1


FACTS_BYTES_MAX = 640 << 10
"""Of a database's login facts as JSON: some 2,500 roles with a password. A Kubernetes Secret holds
1 MiB, a request that writes one is a third longer than what it writes, and every proxy has the
facts of all databases in memory."""


class LoginFacts(Fact):
    """Everything that the proxy must know to judge a login while the database sleeps."""

    roles: Annotated[tuple[RoleFacts, ...], Field(max_length=10_000)] = ()
    databases: tuple[str, ...] = ()
    """Those that allow connections."""
    is_whole: bool = True
    """False: there are more roles that may log in, or databases, than the bound has room for. Of
    whom it has, all is known; of anybody else only Postgres can say who he is."""


class Activity(Fact):
    """What goes on inside an awake database; one sample."""

    busy: tuple[str, ...] = ()
    """What must not be stopped, for a person: a running autovacuum, a walsender, an index build."""
    backends: int = 0
    """Client backends, the agent's own left out."""
    active_queries: int = 0
    queries_total: float = 0.0
    """Transactions since the statistics began, committed and rolled back."""
    memory_bytes: int = 0
    """Resident memory of all of Postgres's processes, shared pages counted once."""
    working_set_bytes: int = 0
    """A first estimate: the shared buffers in use."""
    jobs: CronJobs | None = None
    """Of pg_cron; none where it is not. None: it could not be read, and they are as they were."""
