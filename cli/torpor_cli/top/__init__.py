"""`torpor top`: the fleet on a whole screen, live. Keys and answers come in, lines go out.

Pure, but for ``terminal``, ``watcher`` and ``live``.
"""
