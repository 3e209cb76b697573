"""Looks at the console's roles: reads their Secrets, asks the core, writes what is different.

A Secret of a role that somebody else made is left as it is, and its password counts.
"""

from __future__ import annotations

import logging
import secrets

from torpor_kube.port import Kube
from torpor_operator.certificate_secrets import CertificateSecrets, Held
from torpor_operator.core.console import ROLE_SECRETS, ROLES_SECRET, Data, console_secrets
from torpor_operator.core.naming import Key

log = logging.getLogger(__name__)


class ConsoleKeeper:
    """In the system namespace."""

    def __init__(self, kube: Kube, namespace: str, host: str) -> None:
        """``host``: by which clients reach a proxy and mean no database."""
        self._secrets = CertificateSecrets(kube, namespace)
        self._host = host

    async def look(self, _: Key) -> None:
        """Raises Conflict where somebody writes at the same time, and other Failures."""
        held = {role: await self._secrets.read(name) for role, name in ROLE_SECRETS.items()}
        held_roles = await self._secrets.read(ROLES_SECRET)
        known = {role: None if one is None else one.data for role, one in held.items()}
        wanted = console_secrets(
            known, held_roles.data if held_roles else None, self._host, secrets.token_bytes
        )
        # Passwords first: of a verifier alone nobody could say what it is of.
        for role, name in ROLE_SECRETS.items():
            await self._keep(name, held[role], wanted.of_roles[role])
        await self._keep(ROLES_SECRET, held_roles, wanted.roles)

    async def _keep(self, name: str, held: Held | None, data: Data) -> None:
        if held is None or (held.is_ours and held.data != data):
            await self._secrets.write(name, data, held)
            log.info("console_secret_written", extra={"secret": name})
