"""What is looked at as a whole: a database, a pool, the certificates, the console's roles. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from torpor_operator.core.naming import Key


class Sort(StrEnum):
    DATABASE = "database"
    POOL = "pool"
    CERTIFICATES = "certificates"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Target:
    """Something may have changed for it; looking twice does no harm."""

    sort: Sort
    key: Key

    @property
    def log_keys(self) -> dict[str, object]:
        """What each line about it in the log has."""
        keys: dict[str, object] = {"target": str(self)}
        return keys | {"database": self.key.endpoint} if self.sort is Sort.DATABASE else keys

    def __str__(self) -> str:
        return f"{self.sort.value} {self.key.namespace}/{self.key.name}".rstrip("/ ")


CERTIFICATES = Target(Sort.CERTIFICATES, Key("", ""))
CONSOLE = Target(Sort.CONSOLE, Key("", ""))


def database(key: Key) -> Target:
    return Target(Sort.DATABASE, key)
