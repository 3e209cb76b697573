"""The databases' folders: made from a template, kept apart by user id, never half made.

```
templates/18/               made once by initdb
databases/NAME/ownership/   the ownership records; the agent's, out of the tenant's reach
databases/NAME/data/        the data directory; 0700, the tenant's
```

Whatever takes more than one step is made under another name and renamed when it is on disk.
"""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from torpor_api.failures import DataDamaged, InvalidRequest, StartFailed
from torpor_cli.local.log_files import last_lines
from torpor_cli.local.postgres_binaries import PostgresBinaries
from torpor_cli.local.processes import Children
from torpor_volume import disk, layout

BOOTSTRAP_SUPERUSER = "torpor_admin"

INITDB_SECONDS_MAX = 120.0
"""It takes about one second; a machine that is much slower than that is stuck."""

_INITDB_OPTIONS = (
    f"--username={BOOTSTRAP_SUPERUSER}",
    "--auth=peer",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
)

_PARTIAL = "~partial"
"""No endpoint name has a tilde in it, so this never meets one."""


class Storage:
    """The volumes of this machine."""

    def __init__(self, templates: Path, databases: Path, binaries: PostgresBinaries) -> None:
        self._template = templates / binaries.major
        self._databases = databases
        self._binaries = binaries

    @property
    def has_template(self) -> bool:
        return self._template.exists()

    async def make_template(self, children: Children, log: Path) -> None:
        """Run initdb; as root under a user that has a name, because initdb asks for it."""
        partial = self._template.with_name(self._template.name + _PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        user = _initdb_user()
        with disk.full_disk_is_named(self._template):
            partial.mkdir(mode=0o700)
            if user is not None:
                os.chown(partial, user.pw_uid, user.pw_gid)
            argv = [self._binaries.program("initdb"), *_INITDB_OPTIONS, f"--pgdata={partial}"]
            initdb = children.spawn("initdb", argv, log=log, user=user)
            if await initdb.ended(INITDB_SECONDS_MAX) != 0:
                await children.end(initdb, grace_s=0)
                shutil.rmtree(partial, ignore_errors=True)
                raise StartFailed(f"initdb failed: {last_lines(log)}")
            if user is not None:
                disk.give_to(partial, os.geteuid())
            disk.flush_filesystem(partial)
            partial.rename(self._template)
            disk.flush_folder(self._template.parent)

    def provision(self, name: str, user_id: int | None) -> None:
        """Make the database's volume; whatever an earlier try left half made is made anew.

        Raises StorageFull. Blocks: call it in a thread.
        """
        volume = self.volume(name)
        layout.make(volume, self._template, user_id, volume.with_name(name + _PARTIAL))

    def volume(self, name: str) -> Path:
        return self._databases / name

    def data(self, name: str) -> Path:
        return self.volume(name) / "data"

    def is_made(self, name: str) -> bool:
        return self.volume(name).exists()

    def check(self, name: str) -> None:
        """Raises DataDamaged where the data of a provisioned database is not there."""
        if not (self.data(name) / "PG_VERSION").is_file():
            raise DataDamaged(
                f"{name}: the data directory {self.data(name)} is missing or empty",
                hint=f"put it back, or give it up with `torpor delete {name} --data`",
            )

    def remove(self, name: str) -> None:
        """Remove the volume; renamed first, so that half of one is never taken for a whole."""
        partial = self.volume(name).with_name(name + _PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        if self.is_made(name):
            self.volume(name).rename(partial)
        shutil.rmtree(partial, ignore_errors=True)


def _initdb_user() -> pwd.struct_passwd | None:
    if os.geteuid() == 0:
        return pwd.getpwnam("nobody")
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise InvalidRequest(
            f"user id {os.geteuid()} has no name on this machine and Postgres needs one: "
            "add it to /etc/passwd, or run torpor as another user"
        ) from None
    return None
