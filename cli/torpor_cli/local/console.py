"""The operator console on one machine: its roles, and the file in which the proxy has them.

Passwords are kept as those of databases are, in the file of a database that can't be; the proxy is
given verifiers only.
"""

from __future__ import annotations

from pathlib import Path

from torpor_api.console import RIGHTS, roles_text
from torpor_api.identity import CONSOLE_NAME
from torpor_api.resource import Role
from torpor_cli.local.secrets import Secrets, write_private


def provide_roles(secrets: Secrets, roles_file: Path) -> None:
    """Passwords once and for good; the proxy's file at every start. Raises StorageFull."""
    entries = secrets.plan(CONSOLE_NAME, [Role(name=name) for name in RIGHTS])
    with secrets.replaced(CONSOLE_NAME, entries):
        verifiers = {role: entry["verifier"] for role, entry in entries.items()}
        write_private(roles_file, roles_text(verifiers))
