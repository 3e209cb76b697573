"""Every bound and pause of the core, with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass

from torpor_api.prices import WAITING_PRICE


@dataclass(frozen=True, slots=True)
class Limits:
    """Plain values; where they come from is the settings' affair."""

    waiters_max: int = 1000
    """Wakes of one database that wait at a time; a proxy asks once however many clients it has."""
    sample_age_s_max: float = 3.0
    """Proxies report every second: after three missed ones nobody knows what their sessions do."""
    proxy_forget_s: float = 30.0
    """A proxy that hung up without a word this long ago has no clients left, or has a new name. The
    agent's smart stop still refuses to end a session that we have forgotten."""
    start_grace_s: float = 5.0
    """After the autoscaler's start: proxies reconnect within 50 ms, and whoever has not reported
    yet may have busy sessions."""
    former_claims_s: float = 75.0
    """After the autoscaler's start: for as long may a claim that the one before it has sent still
    come to be. The API server gives a request up after 60 s, and it may be under way a while."""
    suspend_backoff_s_min: float = 1.0
    suspend_backoff_s_max: float = 60.0
    """After a suspend that was forbidden late: each try costs a checkpoint."""
    start_attempts_max: int = 3
    """Failed starts in a row before the database counts as Failed; each uses up a compute."""
    start_backoff_s_min: float = 0.25
    start_backoff_s_max: float = 5.0
    """Between these starts."""
    failed_rest_s_min: float = 2.0
    failed_rest_s_max: float = 60.0
    """How long a Failed database answers wakes with its reason before one may try again."""
    retry_s_min: float = 0.1
    retry_s_max: float = 5.0
    """Between two questions to a cluster that does not answer, or to a fencer that says no."""
    silence_s_max: float = 30.0
    """How long an agent may give no answer before its compute is ended for it, while no proxy has
    sessions attached there: longer than a network is away that is being mended, and an agent that
    has died is not waited for, because whoever started it says so."""
    silent_max: int = 3
    """When more than so many fall silent and no agent is heard, it is we who hear nobody."""
    store_tries_max: int = 3
    """To keep login facts in the cluster, before the record says that they are not kept. Until then
    a suspend waits for it."""
    facts_retry_s_max: float = 60.0
    """Between two of these tries: each is up to a mebibyte, and may be refused for good."""
    start_s_max: float = 3700.0
    """How long an agent may be starting or stopping. Recovery replays all that was written since
    the last checkpoint; the agent gives up by itself after an hour, and says why."""
    stop_s_max: float = 660.0
    """How long an agent that says it is stopping is waited for. It gives the checkpoint of the
    shutdown 600 s, then ends Postgres at once and brings to disk what was written."""
    restart_s_max: float = 60.0
    """How long a Postgres may take to come back under its agent before that is asked about it."""
    activity_every_s: float = 2.0
    """Between two looks into an awake database, each some milliseconds of its Postgres: so old may
    login facts be when it is lost, and so late is it known that nothing runs inside any more."""
    activity_age_s_max: float = 10.0
    """What an agent said longer ago keeps no database awake; a suspend takes its own look."""
    resume_seen_s_max: float = 5.0
    """How long the end of the critical chain is waited for."""
    note_s_min: float = 3.0
    """Between two writes that only change ``whyAwake``: each is an fsync."""
    count_s_min: float = 60.0
    """Between two that only change ``sessions``, which clients of a pool do all the time, or
    ``decisions``; what these lead to is not kept waiting."""
    gate_hold_s: float = 10.0
    """After this the gates open by themselves; a stop that takes longer is refused by the agent."""
    switchover_hold_s: float = 30.0
    """The same in a switchover, on top of what sessions are given to reach a safe point: for a
    stop and a start, of a tenth of a second each unless the machine is overloaded."""
    move_patience_s: float = 1.0
    """For sessions to reach a safe point when their compute leaves, in each try. Who is in a longer
    transaction gets another try, and nobody else waits for him any longer than this."""
    move_backoff_s_min: float = 0.5
    move_backoff_s_max: float = 5.0
    """Between these tries, each of which costs a checkpoint."""
    move_last_s: float = 5.0
    """Before a compute that leaves ends whoever is left: for the last try's gates (up to
    ``move_patience_s``), and its order to stop, on a machine that is busy with moving everybody
    else as well. The stop itself has the agent's own time."""
    resize_again_s: float = 30.0
    """Between two questions for a size that a compute does not have. Its kubelet tries again by
    itself; somebody else may have changed the pod."""
    shrink_asks: int = 1
    """For a smaller size, before the next one tries a fresh compute as well: a kubelet looks at
    figures that are some ten seconds old, and tries again by itself."""
    resize_backoff_s_min: float = 2.0
    resize_backoff_s_max: float = 60.0
    """After a question that failed, and between two switchovers for the sake of a size."""
    resize_moves_max: int = 3
    """Switchovers for the sake of one size until the next sleep: each is a pause for everybody."""
    resize_patience_s: float = 5.0
    """For sessions to reach a safe point in such a switchover."""
    update_idle_s: float = 1.0
    """For which nobody has used a database, by the reports of its proxies, before it leaves a
    compute that is outdated: who works without a pause is not made to wait for it."""
    update_patience_s: float = 1.0
    """For sessions to reach a safe point then."""
    update_pause_s: float = 10.0
    """Between two such moves in a pool: it takes about as long until a pod is warm."""
    update_backoff_s_min: float = 10.0
    update_backoff_s_max: float = 600.0
    """Between two tries for one database: each costs a checkpoint, and a pause for everybody."""
    update_rest_s: float = 3600.0
    """For a pool's updates, when a database has not come up on a fresh compute: time for somebody
    to read why."""
    waiting_price: float = WAITING_PRICE
    """CU-seconds that a second of a client's waiting is worth, for ``idleTimeout: auto``."""
    wake_cu_s: float = 1.0
    """CU-seconds that a stop and a start take by themselves."""
    wake_wait_s: float = 0.25
    """That a client waits for a wake of a database of which no wake was measured yet."""
    timeout_s_min: float = 1.0
    """What ``auto`` may choose at least: samples come once a second."""
    timeout_s_max: float = 3600.0
    """And at most: nobody calls more serverless, whatever a wake costs."""
    lead_s_min: float = 5.0
    """So long before a schedule's window a database is woken, or for twice what its last wake took:
    for a cold start, and for clocks that are not exactly right."""
    lead_s_max: float = 120.0
    """And never earlier than that: one slow wake does not make all others expensive."""
    stop_grace_s: float = 1.0
    """For clients that are not a proxy's to leave; then the agent says Busy."""


def backoff_s(failures: int, least_s: float, most_s: float) -> float:
    """The pause after so many failures in a row: doubling from ``least_s`` up to ``most_s``."""
    return min(most_s, least_s * 2.0 ** min(max(failures - 1, 0), 30))
