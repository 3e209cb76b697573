"""Which user id a database has on its pool's volume. Pure.

Tenants are kept apart by user id, so one is never given to two databases that have data. The
registry follows the resources; what was given and is not yet in a resource is kept as well, so
that two databases that are looked at in the same moment don't get the same.
"""

from __future__ import annotations

from torpor_api.failures import Refused
from torpor_operator.core.naming import Key

USER_ID_FIRST = 100_000
USER_ID_COUNT = 65_536
"""Above what distributions and container runtimes give; as many as a range of subordinate ids."""


class UserIds:
    """Who has which, on each pool's volume."""

    def __init__(self) -> None:
        self._holders: dict[str, dict[int, Key]] = {}
        self._given: dict[Key, tuple[str, int]] = {}
        self._next: dict[str, int] = {}
        self.unknown_of: set[str] = set()
        """Namespaces with databases of which nobody can say what they have: until then nobody is
        given a new one."""

    def note(self, database: Key, pool: str, user_id: int | None) -> None:
        """The resource, or what is retained of it, says so. A first holder keeps the id."""
        if user_id is None:
            return
        current = self._given.get(database)
        if current not in (None, (pool, user_id)):
            self._release(database)
        self._given[database] = (pool, user_id)
        self._holders.setdefault(pool, {}).setdefault(user_id, database)

    def forget(self, database: Key) -> None:
        """There is neither a resource nor data of it."""
        self._release(database)

    def is_shared(self, database: Key) -> bool:
        """Whether another database holds the same id: possible only after two leaders at once."""
        pool, user_id = self._given.get(database, ("", 0))
        return self._holders.get(pool, {}).get(user_id, database) != database

    def give(self, database: Key, pool: str) -> int:
        """The id that it has, or one that is free. Raises Refused where all are taken, or where
        nobody can say which are."""
        known = self._given.get(database)
        if known is not None and known[0] == pool and not self.is_shared(database):
            return known[1]
        if self.unknown_of:
            where = ", ".join(sorted(self.unknown_of))
            raise Refused(
                f"which user ids are free nobody knows: the databases in {where} can't be seen, "
                "the operator has no rights there: make them anew, or change watchNamespaces"
            )
        self._release(database)
        holders = self._holders.setdefault(pool, {})
        start = self._next.get(pool, 0)
        for step in range(USER_ID_COUNT):
            user_id = USER_ID_FIRST + (start + step) % USER_ID_COUNT
            if user_id not in holders:
                self._next[pool] = (start + step + 1) % USER_ID_COUNT
                holders[user_id] = database
                self._given[database] = (pool, user_id)
                return user_id
        raise Refused(
            f"all {USER_ID_COUNT} user ids of the pool {pool!r} are given to databases",
            hint="delete one with its data, or make another WarmPool for new databases",
        )

    def _release(self, database: Key) -> None:
        pool, user_id = self._given.pop(database, ("", 0))
        holders = self._holders.get(pool, {})
        if holders.get(user_id) == database:
            del holders[user_id]
