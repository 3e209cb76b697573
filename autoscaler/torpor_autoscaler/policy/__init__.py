"""The policies: when to sleep, how large, how many wait warm, when to be awake by the clock.

Pure functions of what was measured and of ``now``, each with the figure that decided. They know
nothing of the cluster, of phases or of each other: who carries out what they say asks them here.
"""

from torpor_autoscaler.policy.decision import Dated, Decision, Decisions, Loop
from torpor_autoscaler.policy.idle_timeout import Basis, Choice, Gaps, Terms, choose_timeout

__all__ = [
    "Basis",
    "Choice",
    "Dated",
    "Decision",
    "Decisions",
    "Gaps",
    "Loop",
    "Terms",
    "choose_timeout",
]
