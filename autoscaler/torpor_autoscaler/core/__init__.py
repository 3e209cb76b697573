"""What is decided: when to sleep, how large, how many wait warm, when to be awake by the clock.

Pure functions of what was measured and of ``now``, each with the figure that decided. They know
nothing of the cluster, of phases or of each other: who carries out what they say asks them here.
"""

from torpor_autoscaler.core.decision import Dated, Decision, Decisions, Loop
from torpor_autoscaler.core.history import History, Sample
from torpor_autoscaler.core.idle_timeout import Basis, Choice, Gaps, Terms, choose_timeout
from torpor_autoscaler.core.schedule import (
    Schedule,
    ScheduleChoice,
    choose_awake,
    parse_job,
    parse_schedule,
)
from torpor_autoscaler.core.size import SizeChoice, SizeTerms, Standing, choose_size
from torpor_autoscaler.core.wakes import Wakes
from torpor_autoscaler.core.warm import (
    Demand,
    Miss,
    PoolChoice,
    PoolTerms,
    choose_warm,
    explain_miss,
)

__all__ = [
    "Basis",
    "Choice",
    "Dated",
    "Decision",
    "Decisions",
    "Demand",
    "Gaps",
    "History",
    "Loop",
    "Miss",
    "PoolChoice",
    "PoolTerms",
    "Sample",
    "Schedule",
    "ScheduleChoice",
    "SizeChoice",
    "SizeTerms",
    "Standing",
    "Terms",
    "Wakes",
    "choose_awake",
    "choose_size",
    "choose_timeout",
    "choose_warm",
    "explain_miss",
    "parse_job",
    "parse_schedule",
]
