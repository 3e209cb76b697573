"""What is decided: when to sleep, how large, how many wait warm, when to be awake by the clock.

Pure functions of what was measured and of ``now``, each with the figure that decided. They know
nothing of the cluster, of phases or of each other: who carries out what they say (``lifecycle``)
asks them here.

In this order they read best, each file from its docstring on: :mod:`decision` (what every answer
looks like), :mod:`reasons` and :mod:`sleep` (zero or one), :mod:`idle_timeout` (for how long an
idle database waits), :mod:`schedule` (awake by the clock), :mod:`history` and :mod:`size` (how
large), :mod:`wakes` and :mod:`warm` (how many wait warm).
"""
