"""What the autoscaler needs of the world, and what the world tells it.

All of it is in the vocabulary of ``torpor_api.messages``. The verbs are few because the messages
are the contract: their docstrings say what may be asked twice and which failures come back. What
holds for every ``ask`` here: it answers with the request's reply, or raises a Failure; Unavailable
means that the outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol, TypeAlias, TypeVar

from torpor_api.failures import Failure
from torpor_api.messages import (
    AgentInfo,
    AgentLeaving,
    AskFleet,
    AskLastUse,
    AskLetGo,
    AskNames,
    AskTransitions,
    AskUses,
    Awake,
    Cancelled,
    CancelQuery,
    CloseGate,
    Computes,
    ComputeSample,
    DashboardLink,
    DecisionList,
    Endpoints,
    EndSession,
    Event,
    FleetPage,
    ForgetProxy,
    HaveHeard,
    LastUse,
    LetGo,
    LoginFactsChanged,
    Message,
    Names,
    OpenGate,
    PostgresBack,
    PostgresLost,
    ProxySample,
    Request,
    Resize,
    Resized,
    ResumeSeen,
    SessionList,
    Sessions,
    StopListening,
    SwitchedOver,
    Switchover,
    TransitionList,
    Uses,
    Wake,
    WhyReply,
)
from torpor_api.resource import ServerlessDatabase
from torpor_autoscaler.lifecycle.actions import Tell
from torpor_autoscaler.lifecycle.stock import PoolRecord

ReplyT = TypeVar("ReplyT", bound=Message)

AgentEvent: TypeAlias = (
    PostgresLost | PostgresBack | LoginFactsChanged | AgentLeaving | ComputeSample
)


class Cluster(Protocol):
    """The resource store, the processes, the fencer."""

    async def ask(
        self, request: Request[ReplyT], *, timeout_s: float, can_wait: bool = False
    ) -> ReplyT:
        """``can_wait``: few of these are under way at a time, so that no other question stands
        behind them; the wait for its turn is not a part of the time limit."""


class Agents(Protocol):
    """Every agent of the cluster, by its address."""

    def expect(self, agent: AgentInfo) -> None:
        """It will be asked soon: call it now, so that no client waits for the connection."""

    async def ask(
        self, agent: AgentInfo, request: Request[ReplyT], *, timeout_s: float
    ) -> ReplyT: ...

    def forget(self, compute: str) -> None:
        """Hang up: the agent is gone, or of no more use."""


class Proxies(Protocol):
    """Those that are registered at this moment."""

    async def ask_all(
        self, request: CloseGate | OpenGate | StopListening | HaveHeard, *, timeout_s: float
    ) -> Mapping[str, Message]:
        """Answered when all have, with what each says, by the proxy's name; raises one of the
        failures, when all have answered or failed."""

    async def ask_each(
        self, request: Request[ReplyT], *, timeout_s: float, only: str = ""
    ) -> Mapping[str, ReplyT | Failure]:
        """What each answers, or why it does not, by the proxy's name; ``only``: one of that name
        is asked, if it is there. Never raises."""

    def tell(self, event: Event) -> None:
        """To every one of them, in the order of the calls; lost where a connection is."""


TellPeople: TypeAlias = Callable[[ServerlessDatabase, Tell], None]
"""Says it where they look at the resource. Returns at once, never raises, and may lose it."""


class Clock(Protocol):
    def now(self) -> float:
        """Seconds of a clock that never goes back."""

    def wall_s(self) -> float:
        """Seconds since 1970; for people."""


# --- facts that adapters bring in ----------------------------------------------------------------


class ClusterFacts(Protocol):
    """Told in the order in which the cluster tells them."""

    def resources_listed(self, resources: Iterable[ServerlessDatabase]) -> None:
        """All there are: first, and again after every loss of the connection."""

    def resource_changed(self, resource: ServerlessDatabase) -> None: ...

    def resource_deleted(self, name: str) -> None: ...

    def namespaces_unheard(self, namespaces: Collection[str]) -> None:
        """Of these nobody knows what there is, from now on; what was told does not include it."""

    def pools_known(self, pools: Iterable[PoolRecord]) -> None:
        """All pools that the cluster keeps, before the agents, and again when one has changed. One
        machine keeps none."""

    def agents_listed(self, agents: Iterable[AgentInfo]) -> None:
        """All there are: before the resources, so that these find their computes."""

    def agent_changed(self, agent: AgentInfo) -> None: ...


class AgentFacts(Protocol):
    def agent_unheard(self, compute: str) -> None:
        """The connection to it was lost."""

    def agent_told(self, event: AgentEvent) -> None: ...


class ProxyDesk(Protocol):
    """What proxies tell and ask."""

    async def all_known(self) -> None:
        """Until the login facts of every database are known."""

    def proxy_registered(self, proxy: str) -> Endpoints:
        """The first page of all databases; from this call on it is told what changes."""

    def more_endpoints(self, after: str) -> Endpoints:
        """The page behind that name."""

    def proxy_hung_up(self, proxy: str) -> None:
        """Without a word: what its sessions do is unknown for a while."""

    def proxy_ended(self, asked: ForgetProxy) -> None:
        """It will hang up, and has said all there was to say."""

    def proxy_sampled(self, event: ProxySample) -> None: ...

    def resume_seen(self, event: ResumeSeen) -> None: ...

    async def wake(self, asked: Wake) -> Awake:
        """Raises the reason why it did not wake, at the deadline at the latest."""

    async def cancel(self, asked: CancelQuery) -> Cancelled:
        """Whether any proxy knew the key; one that does not answer in time does not."""

    async def last_use(self, asked: AskLastUse) -> LastUse:
        """Of a database by sessions of other proxies. Raises Unavailable where one can't say it."""


class PeopleDesk(Protocol):
    """What a person asks, or the operator; a person's wake is a proxy's."""

    async def suspend(self, name: str) -> None:
        """Raises Busy or Refused with the reason."""

    async def known(self, name: str, generation: int) -> None:
        """Until every proxy serves it as it is at this generation. Raises Unavailable."""

    async def switchover(self, asked: Switchover) -> SwitchedOver:
        """Raises Busy, with nothing changed, Refused where it sleeps, or why it did not start."""

    async def resize(self, asked: Resize) -> Resized:
        """Raises Refused for a size that can't be, and asleep; Unavailable where it does not come.
        Then it is still wanted."""

    async def sessions(self, asked: Sessions) -> SessionList:
        """Of all proxies that answer in time; the others are named."""

    async def end_session(self, asked: EndSession) -> None:
        """Raises NotFound where it has ended, or its proxy has."""

    async def why(self, name: str) -> WhyReply: ...

    def uses(self, asked: AskUses) -> Uses: ...

    def decisions(self, name: str) -> DecisionList: ...

    def let_go(self, asked: AskLetGo) -> LetGo: ...


class FleetDesk(Protocol):
    """What a person asks of all databases together; nobody else is asked for the answer."""

    def fleet(self, asked: AskFleet) -> FleetPage: ...

    def names(self, asked: AskNames) -> Names: ...

    def computes(self) -> Computes: ...

    async def transitions(self, asked: AskTransitions) -> TransitionList:
        """Raises NotFound."""

    def dashboard(self) -> DashboardLink:
        """A fresh link. Raises Refused where no dashboard is served."""
