"""A certificate for each namespace, in one folder: ``NAMESPACE.pem``, its key in the same file.

The folder's names are the index, so that of thousands of certificates those are read that clients
ask for. Which it is the client says in the handshake (SNI); whoever names no namespace of the
folder is shown what everybody was shown without it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torpor_proxy.adapters.shown import Shown, load
from torpor_proxy.core.routing import namespace_named

log = logging.getLogger(__name__)

LOADED_MAX = 512
"""Those last asked for: 11 MiB. Any other one costs its first client half a millisecond more."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    pem: bytes
    shown: Shown


class NamespaceCertificates:
    """Read when they are asked for, and again when their files have changed."""

    def __init__(self, folder: Path, domains: Sequence[str]) -> None:
        self._folder = folder
        self._domains = domains
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        """The last one asked for is last."""

    def shown_to(self, server_name: str | None) -> Shown | None:
        """None: there is none for whoever asks for this name."""
        namespace = namespace_named(server_name, self._domains)
        if namespace is None:
            return None
        path, loaded = self._folder / f"{namespace}.pem", self._loaded.pop(namespace, None)
        try:
            # By what is in it: whenever one file of a mounted Secret changes, all are made anew.
            pem = path.read_bytes()
            if loaded is None or loaded.pem != pem:
                loaded = _Loaded(pem, load(path, path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            fields = {"certificate": str(path), "reason": str(error)}
            log.warning("certificate_unreadable", extra=fields)
        if loaded is None:
            return None
        self._loaded[namespace] = loaded
        if len(self._loaded) > LOADED_MAX:
            self._loaded.popitem(last=False)
        return loaded.shown
