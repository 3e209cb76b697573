"""Files of the agent's own that its Postgres reads."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, content: bytes, mode: int, owner: int | None = None) -> None:
    """By rename, and never readable for more than ``mode`` says, whatever the umask is.

    ``owner``: a user id, None for the agent's own. Whatever lay at ``path``, a link too, is gone.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        if owner is not None:
            os.fchown(file.fileno(), owner, owner)
        os.fchmod(file.fileno(), mode)
    partial.rename(path)
