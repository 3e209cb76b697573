"""The console's roles, from a file that is read again when it has changed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from torpor_api.console import ROLES_BYTES_MAX, ConsoleRole, read_roles
from torpor_api.failures import InvalidRequest

log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


class ConsoleRoles:
    """By name. Nobody, as long as there is no file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._roles: dict[str, ConsoleRole] = {}

    def find(self, name: str) -> ConsoleRole | None:
        """As the file says now; one that can't be read counts as the last one that could."""
        try:
            self._read()
        except FileNotFoundError:
            self._stamp, self._roles = None, {}
        except (OSError, InvalidRequest) as error:
            reason = error.message if isinstance(error, InvalidRequest) else str(error)
            fields = {"file": str(self._path), "reason": reason}
            log.warning("console_roles_unreadable", extra=fields)
        return self._roles.get(name)

    def _read(self) -> None:
        with self._path.open("rb") as file:
            found = os.fstat(file.fileno())
            stamp = found.st_ino, found.st_mtime_ns, found.st_size
            if stamp != self._stamp:
                # Also where it can't be read: it is told once, and not at every login.
                self._stamp = stamp
                self._roles = read_roles(file.read(ROLES_BYTES_MAX + 1))
                log.info("console_roles_read", extra={"roles": sorted(self._roles)})
