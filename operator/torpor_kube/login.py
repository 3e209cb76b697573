"""How to reach the API server and as whom: in a pod by its ServiceAccount, else by a kubeconfig."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from torpor_api.failures import InvalidRequest

Login: TypeAlias = Callable[[], Awaitable[Configuration]]
"""Called again whenever the server no longer takes what it gave before."""


def is_in_pod() -> bool:
    """Whether the pod's own ServiceAccount is meant."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ


def chosen(kubeconfig: Path | None = None, context: str | None = None) -> Login:
    """By the file where one is named or KUBECONFIG names it; else the pod's own ServiceAccount,
    whose token is read again every minute; else the file that kubectl would take."""
    in_pod = kubeconfig is None and is_in_pod()

    async def login() -> Configuration:
        configuration = Configuration()
        try:
            if in_pod:
                config.load_incluster_config(client_configuration=configuration)
            else:
                await config.load_kube_config(
                    config_file=None if kubeconfig is None else str(kubeconfig),
                    context=context,
                    client_configuration=configuration,
                )
        except (config.ConfigException, OSError) as error:
            raise InvalidRequest(
                f"no way to the API server: {error}",
                "name a kubeconfig, or run in a pod whose ServiceAccount's token is mounted",
            ) from error
        return configuration

    return login


def at(url: str) -> Login:
    """A server that asks nobody who they are, like the one that tests start."""

    async def login() -> Configuration:
        return Configuration(host=url)

    return login
