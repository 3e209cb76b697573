"""One database's plan, driven by hand: plain numbers for ``now``, outcomes as the test says.

Whatever the test says nothing about is answered as a world would in which all goes well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torpor_api import messages as m
from torpor_api.facts import Activity, LoginFacts, RoleFacts
from torpor_api.failures import Conflict, Failure
from torpor_api.manifest import parse_resource
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, Endpoint, ServerlessDatabase
from torpor_autoscaler.lifecycle import facts
from torpor_autoscaler.lifecycle.actions import (
    Action,
    AnswerResizes,
    AnswerSuspends,
    AnswerSwitchover,
    AnswerWakes,
    AskAgent,
    AskCluster,
    AskProxies,
    CallProxies,
    Effect,
    GaveWay,
    Note,
    Together,
    Wait,
)
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.life import Lifecycle
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.lifecycle.world import World

RequestT = TypeVar("RequestT", bound=m.Message)

POOL = "default"
"""Of computes where they mount volumes."""

STEPS_MAX = 500
"""More actions than any story needs: the plan goes in circles."""

PLACE = m.StoragePlace(directory="/volumes/shop")
FACTS = LoginFacts(roles=(RoleFacts(name="app", verifier="v1"),))
STORED_FACTS = LoginFacts(roles=(RoleFacts(name="app", verifier="v0"),))


def agent(number: int, pool: str = "") -> m.AgentInfo:
    return m.AgentInfo(
        compute=f"c{number}", address=f"/run/c{number}.sock", postgres_version="18", pool=pool
    )


def address(compute: str) -> m.ComputeAddress:
    return m.ComputeAddress(socket_directory=f"/run/computes/{compute}")


def resource(status: DatabaseStatus | None = None, **spec: Any) -> ServerlessDatabase:
    bare = parse_resource({"metadata": {"name": "shop"}, "spec": {"idleTimeout": "10s", **spec}})
    metadata = bare.metadata.model_copy(update={"resource_version": "1", "uid": "u"})
    status = status or DatabaseStatus(observed_generation=1)
    return bare.model_copy(update={"metadata": metadata, "status": status})


class Story:
    """``now`` starts at 100, two agents are warm, and the autoscaler has long been running."""

    def __init__(
        self,
        status: DatabaseStatus | None = None,
        *,
        agents: int = 2,
        limits: Limits | None = None,
        tells_of_rest: bool = False,
        has_volumes: bool = False,
        **spec: Any,
    ) -> None:
        limits = limits or Limits(start_grace_s=0.0)
        endpoint = Endpoint(host="db.example", port=5432)
        self.world = World(
            limits,
            warm=agents,
            endpoint=endpoint,
            now=0.0,
            tells_of_rest=tells_of_rest,
            pool=POOL if has_volumes else "",
        )
        self.world.now = 100.0
        for number in range(1, agents + 1):
            self.world.pool.learn(agent(number, POOL if has_volumes else ""))
        self.record = resource(status, **spec)
        self.asked: list[m.Message] = []
        """Every request so far, in order."""
        self.written: list[DatabaseStatus] = []
        """Every status that reached the record."""
        self.effects: list[Effect] = []
        self.states: dict[str, m.AgentState] = {}
        self.activity = Activity()
        self.listens = False
        """Whether proxies hold parked sessions that listen."""
        self.needs_restart: tuple[str, ...] = ()
        """What a reload does not bring."""
        self.database = Database(self.record, LoginFacts(), self.world)
        self._wakes = 0
        self.lifecycle = Lifecycle(self.database)
        self._note(self.lifecycle.action)

    # --- facts -----------------------------------------------------------------------------

    def at(self, now: float) -> Story:
        """Time passes, on the wall as well; a plan whose moment has come goes on."""
        self.world.wall_s += now - self.world.now
        self.world.now = now
        action = self.action
        if isinstance(action, Wait) and action.until is not None and action.until <= now:
            self._proceed(None)
        return self

    def fact(self, change: Callable[..., object], *args: Any) -> Story:
        change(self.database, *args)
        if isinstance(self.action, Wait):
            self._proceed(None)
        elif self.lifecycle.gives_way:
            self._proceed(GaveWay("somebody waits for the database"))
        else:
            self._drain()
        return self

    def wake(self, lost_epoch: int = 0) -> int:
        self._wakes += 1
        self.fact(facts.wake, self._wakes, f"session {self._wakes}", lost_epoch, self.world.now)
        return self._wakes

    def sample(self, proxy: str = "p1", **sample: Any) -> Story:
        """A proxy reports one session, unless the sample says otherwise."""
        epoch = self.database.status.epoch
        told = m.EndpointSample(name="shop", **{"epoch": epoch, "sessions": 1, **sample})
        self.world.proxies.registered(proxy)
        self.world.proxies.sampled(proxy, [told], self.world.now)
        return self.fact(lambda database: None)

    def look(self, *busy: str, **activity: Any) -> Story:
        """The agent says what goes on inside."""
        seen = Activity(busy=busy, **activity)
        epoch = self.database.status.epoch
        return self.fact(facts.looked_inside, epoch, seen, self.world.now)

    def change(self, **spec: Any) -> Story:
        """A person applies another spec."""
        wanted = resource(**spec).spec
        metadata = self.record.metadata
        bumped = metadata.model_copy(update={"generation": metadata.generation + 1})
        self.store(self.record.model_copy(update={"spec": wanted, "metadata": bumped}))
        return self.fact(facts.observe, self.record)

    def touch(self) -> Story:
        """Somebody writes a label; we have not heard of it yet."""
        self.store(self.record)
        return self

    # --- actions ---------------------------------------------------------------------------

    @property
    def action(self) -> Action[Any]:
        return self.lifecycle.action

    @property
    def request(self) -> m.Message | None:
        """What is asked at this moment."""
        match self.action:
            case AskCluster(request, _) | AskAgent(_, request):
                return request
            case AskProxies(request) | CallProxies(request):
                return request
            case Together(parts):
                return Story._of(parts[0])
            case _:
                return None

    def asks(self, kind: type[m.Message]) -> bool:
        """Whether this is asked at this moment."""
        return isinstance(self.request, kind)

    def until(self, kind: type[RequestT], **fields: Any) -> RequestT:
        """Let all go well until this is asked; it waits for its outcome."""
        for _ in range(STEPS_MAX):
            request = self.request
            if isinstance(request, kind) and _has(request, fields):
                return request
            if isinstance(self.action, Wait):
                raise AssertionError(f"waits, and has not asked {kind.__name__}: {self.asked}")
            self.answer()
        raise AssertionError(f"goes in circles: {self.asked[-10:]}")

    def rest(self) -> Wait:
        """Let all go well until the plan waits for a fact or a moment."""
        for _ in range(STEPS_MAX):
            if isinstance(self.action, Wait):
                return self.action
            self.answer()
        raise AssertionError(f"goes in circles: {self.asked[-10:]}")

    def let_time_pass(self, enough: Callable[[], object]) -> None:
        """Moment after moment, until that, or until nothing happens any more by itself."""
        for _ in range(STEPS_MAX):
            wait = self.rest()
            if enough() or wait.until is None:
                return
            self.at(wait.until)
        raise AssertionError("time passes and nothing comes of it")

    def answer(self, reply: object = None) -> Story:
        """The outcome of the present action: this, or what a good world answers."""
        if reply is None:
            try:
                reply = self._good(self.action)
            except Failure as failure:
                reply = failure
        self._proceed(reply)
        return self

    def fail(self, failure: Failure) -> Story:
        self._proceed(failure)
        return self

    def do_and_fail(self, failure: Failure) -> Story:
        """What was asked is done; only the answer is lost."""
        self._good(self.action)
        return self.fail(failure)

    # --- what came of it -------------------------------------------------------------------

    def phase(self) -> Phase:
        """In the record."""
        return self.record.status.phase

    def answers(self) -> list[m.Awake | Failure]:
        return [e.answer for e in self.effects if isinstance(e, AnswerWakes)]

    def refusals(self) -> list[Failure | None]:
        return [e.refusal for e in self.effects if isinstance(e, AnswerSuspends)]

    def moves(self) -> list[m.SwitchedOver | Failure]:
        return [e.answer for e in self.effects if isinstance(e, AnswerSwitchover)]

    def resizes(self) -> list[m.Resized | Failure]:
        return [e.answer for e in self.effects if isinstance(e, AnswerResizes)]

    def notes(self) -> list[str]:
        return [e.event for e in self.effects if isinstance(e, Note)]

    def all(self, kind: type[RequestT]) -> list[RequestT]:
        return [request for request in self.asked if isinstance(request, kind)]

    def names(self) -> list[str]:
        return [type(request).__name__ for request in self.asked]

    # --- inside ----------------------------------------------------------------------------

    def _proceed(self, outcome: object) -> None:
        self._note(self.lifecycle.proceed(outcome))

    def _note(self, action: Action[Any]) -> None:
        self._drain()
        if isinstance(action, Together):
            self.asked += [Story._of(part) for part in action.parts]
        elif not isinstance(action, Wait):
            self.asked.append(Story._of(action))

    def _drain(self) -> None:
        self.effects += self.database.effects
        self.database.effects = []

    @staticmethod
    def _of(action: Action[Any]) -> m.Message:
        assert isinstance(action, AskCluster | AskAgent | AskProxies | CallProxies)
        return action.request

    def _good(self, action: Action[Any]) -> object:
        match action:
            case Together(parts):
                return tuple(map(self._good, parts))
            case AskProxies(request) | CallProxies(request):
                return {name: self._proxy(request) for name in self.world.proxies.names}
            case AskCluster(request):
                return self._cluster(request)
            case AskAgent(asked, request):
                return self._agent(asked.compute, request)
        raise AssertionError(f"no outcome for {action!r}")

    def _proxy(self, request: m.Request[Any]) -> m.Message:
        match request:
            case m.CloseGate():
                return m.GateClosed(parked=1)
            case m.StopListening():
                return m.ListeningStopped(listens=self.listens)
            case _:
                return m.Done()

    def _cluster(self, request: m.Request[Any]) -> m.Message:
        match request:
            case m.WriteStatus(resource_version=version, status=status):
                if version != self.record.metadata.resource_version:
                    raise Conflict("written in between")
                self.written.append(status)
                self.store(self.record.model_copy(update={"status": status}))
                return m.Stored(resource=self.record)
            case m.GetResource():
                return m.Stored(resource=self.record)
            case m.LocateStorage():
                return PLACE
            case m.FetchVerifiers():
                return m.RolePasswordVerifiers(verifiers={"app": "v1"})
            case m.FetchLoginFacts():
                return m.LoginFactsReply(facts=STORED_FACTS)
            case _:
                return m.Done()

    def _agent(self, compute: str, request: m.Request[Any]) -> m.Message:
        match request:
            case m.StartCompute(database=database, epoch=epoch):
                self.states[compute] = running(compute, epoch, database)
                return m.Started(address=address(compute), steps=(), max_connections=100)
            case m.StopCompute():
                return m.Stopped(steps=(), facts=FACTS)
            case m.ApplySpec():
                return m.LoginFactsReply(facts=FACTS)
            case m.FollowSize():
                return m.SizeFollowed(needs_restart=self.needs_restart)
            case m.AskActivity():
                return m.ActivityReply(activity=self.activity)
            case m.AskAgentState():
                return self.states.get(compute, m.AgentState(compute=compute, state="warm"))
            case _:
                return m.Done()

    def store(self, record: ServerlessDatabase) -> None:
        """Somebody writes the record; we have not heard of it yet."""
        version = str(int(self.record.metadata.resource_version) + 1)
        metadata = record.metadata.model_copy(update={"resource_version": version})
        self.record = record.model_copy(update={"metadata": metadata})


def running(compute: str, epoch: int, database: str = "shop") -> m.AgentState:
    return m.AgentState(
        compute=compute,
        state="running",
        database=database,
        epoch=epoch,
        address=address(compute),
        max_connections=100,
    )


def awake(**spec: Any) -> Story:
    """A story that begins when the database has been woken, at 100."""
    story = Story(**spec)
    story.wake()
    story.rest()
    assert story.phase() is Phase.ACTIVE
    return story


def _has(request: m.Message, fields: dict[str, Any]) -> bool:
    phase = fields.get("phase")
    if phase is not None:
        return isinstance(request, m.WriteStatus) and request.status.phase is phase
    return True
