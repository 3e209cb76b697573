"""Where the dashboard of this machine is served, and the link that opens it.

Standard library only: a verb asks for the link.
"""

from __future__ import annotations

from torpor_api.failures import Refused
from torpor_cli.local import state_folder
from torpor_cli.local.sockets import Address, free_address
from torpor_cli.local.state_folder import StateFolder

USUAL = Address("127.0.0.1", 5480)
"""Only this machine. Where its port is another's, as of a second `torpor up`, a free one is taken:
the link says which."""


ADVICE = "choose another with --dashboard HOST:PORT"


def free(wanted: Address | None) -> Address | None:
    """Where it can be served. Raises Refused where a person has chosen what can't be."""
    if wanted is None:
        return None
    try:
        return free_address(wanted, ADVICE)
    except Refused:
        if wanted != USUAL:
            raise
        return free_address(Address(wanted.host, 0), ADVICE)


def options(listen: Address | None, folder: StateFolder) -> tuple[str, ...]:
    """The autoscaler's part of the command line, which finds its key there."""
    if listen is None:
        return ()
    state_folder.prepare_dashboard_key(folder)
    return ("--dashboard", str(listen), "--dashboard-key", str(folder.dashboard_key))


def address(host: str, port: int, link: str) -> str:
    """What a browser on this machine opens. No server is told what stands behind the #."""
    return f"http://{Address(host, port).for_clients}/#enter={link}"
