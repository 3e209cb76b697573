"""Asked of the cluster: resources, login facts, agents, the fencer, storage."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import Field

from torpor_api.facts import LoginFacts
from torpor_api.messages.base import Done, Event, Message, Request
from torpor_api.resource import DatabaseStatus, ServerlessDatabase
from torpor_api.values import WARM_MAX

# --- the resource store -----------------------------------------------------------------------


class Resources(Message):
    resources: tuple[ServerlessDatabase, ...] = ()


class Stored(Message):
    resource: ServerlessDatabase


class ApplyResource(Request[Stored]):
    """Create or change a resource; ``status`` in it is ignored."""

    reply: ClassVar = Stored
    resource: dict[str, Any]
    """As in the YAML: validated by the receiver, whose faults are those of ``parse_resource``."""


class DeleteResource(Request[Done]):
    """Delete the resource once its database sleeps.

    The data stays unless ``data`` is true or the resource's ``deletionPolicy`` is ``Delete``.
    """

    reply: ClassVar = Done
    name: str
    data: bool = False


class ListResources(Request[Resources]):
    reply: ClassVar = Resources


class GetResource(Request[Stored]):
    reply: ClassVar = Stored
    name: str


class WriteStatus(Request[Stored]):
    """Compare-and-swap of ``status``: Conflict where ``resource_version`` is not the stored one."""

    reply: ClassVar = Stored
    name: str
    resource_version: str
    status: DatabaseStatus


class WatchResources(Request[Resources]):
    """Answers with all, then tells ResourceChanged and ResourceDeleted on this connection."""

    reply: ClassVar = Resources


class ResourceChanged(Event):
    resource: ServerlessDatabase


class ResourceDeleted(Event):
    name: str


class StoreLoginFacts(Request[Done]):
    """Keep the facts that an agent exported (on Kubernetes: a Secret)."""

    reply: ClassVar = Done
    name: str
    epoch: int
    facts: LoginFacts


class LoginFactsReply(Message):
    facts: LoginFacts


class FetchLoginFacts(Request[LoginFactsReply]):
    """The facts last stored; before the first export, those that follow from the resource."""

    reply: ClassVar = LoginFactsReply
    name: str


# --- processes and volumes ---------------------------------------------------------------------


class AgentSize(Message):
    """What the kernel lets a compute use, as whoever limits it says."""

    cpu_milli: int
    """Thousandths of a CPU."""
    memory_bytes: int
    refusal: str = ""
    """Why it does not have the size that was asked for last."""
    is_for_want_of_room: bool = False
    """The refusal is its node's, and another node may have more room."""


class AgentInfo(Message):
    """One agent that the cluster started."""

    compute: str
    address: str
    """Where its control channel listens: a path locally, host:port on Kubernetes."""
    postgres_version: str
    is_gone: bool = False
    """True only once it is confirmed that no process of it or of its Postgres is left."""
    ran_out_of_memory: bool = False
    """It is gone because it reached the limit of its memory."""
    size: AgentSize | None = None
    """None: nobody limits it (on one machine, where that may not be)."""
    why_unlimited: str = ""
    """Then: why, for a person."""
    database: str = ""
    """The only one that it may serve: it has that database's own volume. Empty: any of its pool."""
    pool: str = ""
    """Whose volume it has, so whose databases it may serve. Empty on one machine, which has one."""
    node: str = ""
    """Where it runs; empty: there is but one machine."""
    is_leaving: bool = False
    """It is wanted away: nobody claims it any more, and whom it serves moves to another one."""
    is_taken: bool = False
    """Somebody has it, or has had it: it waits for nobody, whatever is known of databases."""
    template: str = ""
    """What it was made from, as a hash; empty: nobody says so."""
    is_outdated: bool = False
    """It is not as its pool makes them now, and the pool wants whom it serves to move to another
    one as soon as nobody is at work."""


class Agents(Message):
    agents: tuple[AgentInfo, ...] = ()


class WatchAgents(Request[Agents]):
    """Answers with all, then tells AgentChanged on this connection."""

    reply: ClassVar = Agents


class AgentChanged(Event):
    agent: AgentInfo


class ResizeCompute(Request[Done]):
    """Have the compute limited to this size, in place; it goes on running.

    Answered when that is under way: its ``size`` tells what became of it. Refused where it can't
    be. Asked again it changes nothing, nor where nobody limits computes.
    """

    reply: ClassVar = Done
    compute: str
    cu: Decimal


class SetWarmPool(Request[Done]):
    """How many agents of a pool shall serve nobody yet; claimed ones don't count.

    What is said besides is kept, where the cluster keeps pools, for people and for the next
    autoscaler. NotFound where there is no such pool.
    """

    reply: ClassVar = Done
    size: Annotated[int, Field(ge=0, le=WARM_MAX)]
    claimed: tuple[str, ...] = ()
    """Computes that are bound to a database: all others count as warm. On Kubernetes the records
    say so."""
    pool: str = ""
    """Empty: the only one, on one machine."""
    decision: str = ""
    """Which figure has made it that size."""
    learned: str = ""
    """What hours and days bring, as the autoscaler packs it."""


class ConfirmGone(Request[Done]):
    """The fencer: answers once nothing of the compute can write any more; else NotFenced.

    Also for computes of an earlier ``torpor up``, which the cluster knows by their data only.
    """

    reply: ClassVar = Done
    compute: str
    database: str


class StoragePlace(Message):
    """Where a database's volume is, and under which user it runs."""

    directory: str
    """Holds ``ownership/`` and ``data/``."""
    user_id: int | None = None
    """The user that owns it and that Postgres runs as; None: the agent's own."""
    may_create: bool = False
    """True only where the database has never been started: then the agent makes the volume from its
    template where there is none. Otherwise a missing one is DataDamaged: it was lost."""


class LocateStorage(Request[StoragePlace]):
    """DataDamaged where the directory is missing though the database was provisioned."""

    reply: ClassVar = StoragePlace
    name: str


class RolePasswordVerifiers(Message):
    verifiers: dict[str, str] = {}


class FetchVerifiers(Request[RolePasswordVerifiers]):
    """The verifiers of the passwords in ``spec.roles`` (given or generated), by role."""

    reply: ClassVar = RolePasswordVerifiers
    name: str
