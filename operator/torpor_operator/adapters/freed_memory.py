"""What was freed goes back to the kernel, as far as the C library has a say in it.

glibc keeps up to 64 MiB of it, the more the larger pieces it has seen freed: whatever the list of a
thousand databases took for a moment, and a look at each, would stay with the operator for its life.
"""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Takes a few milliseconds. Other C libraries than glibc do without."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
