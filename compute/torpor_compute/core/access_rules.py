"""``pg_hba.conf`` and ``pg_ident.conf``: who may log in to a compute, and as whom. Pure.

Two doors, so that no password is stored anywhere:

- the agent's operating system user comes in as the bootstrap superuser, and nobody else does: over
  the Unix socket, by ``peer``;
- the proxy comes in as any member of ``torpor_login``. A superuser is no member unless by grant. On
  one machine it is an operating system user (``peer``), on a network the name in a certificate.

The keyword ``all`` for databases does not match physical replication, so that is refused. Postgres
takes the first line that fits user and database, and tries no other.
"""

from __future__ import annotations

from torpor_compute.core.quoting import file_token

ADMIN = "torpor_admin"
"""The bootstrap superuser, which initdb made. The agent's own."""

LOGIN_GROUP = "torpor_login"
"""A role without login; its members may log in through the proxy."""

_ADMIN_MAP = "torpor_admin"
_LOGIN_MAP = "torpor"


def hba_text(*, over_network: bool = False) -> str:
    proxy = "hostssl  all  all  all  cert" if over_network else "local  all  all  peer"
    return (
        "# TYPE  DATABASE  USER  METHOD\n"
        f"local  all  {file_token(ADMIN)}  peer  map={_ADMIN_MAP}\n"
        f"{proxy}  map={_LOGIN_MAP}\n"
    )


def ident_text(agent_user: str, proxy: str) -> str:
    """Quoted, so that an operating system user named like a pattern (``/x``) is just a name."""
    return (
        "# MAP  SYSTEM-USER  DATABASE-USER\n"
        f"{_ADMIN_MAP}  {file_token(agent_user)}  {file_token(ADMIN)}\n"
        f"{_LOGIN_MAP}  {file_token(proxy)}  +{LOGIN_GROUP}\n"
    )
