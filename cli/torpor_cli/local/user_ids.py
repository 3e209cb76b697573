"""Which user id a database gets where `torpor up` runs as root. Pure.

Tenants are kept apart by user id, so one is never given to two databases that have data.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection

from torpor_api.failures import Refused

USER_ID_FIRST = 40_000
USER_ID_COUNT = 10_000
"""Above what distributions give to people and services, below what container runtimes map."""


def free_user_id(used: Collection[int], state_folder: str) -> int:
    """A user id that no database of this state folder has.

    Where the search begins follows from the folder, so that two folders on one machine rarely
    give out the same ids. Raises Refused where all are taken.
    """
    start = zlib.crc32(state_folder.encode()) % USER_ID_COUNT
    taken = set(used)
    for step in range(USER_ID_COUNT):
        candidate = USER_ID_FIRST + (start + step) % USER_ID_COUNT
        if candidate not in taken:
            return candidate
    raise Refused(
        f"all {USER_ID_COUNT} user ids from {USER_ID_FIRST} on are given to databases: "
        "delete one with its data first"
    )
