"""Where everything of one ``torpor up`` lies, and who may use it now.

Only standard library: every verb of the command imports this to find the running ``torpor up``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from torpor_api.failures import InvalidRequest, Refused

LAYOUT_VERSION = "1"
"""Raised when a release lays the folder out in another way."""

SOCKET_PATH_BYTES_MAX = 107
"""``sun_path`` of Linux less its terminating zero."""

COMPUTE_ID_CHARACTERS = 12
"""What the longest socket path has to leave room for."""

KEY_BYTES = 32

_LONGEST_SOCKET = f"computes/{'x' * COMPUTE_ID_CHARACTERS}/.s.PGSQL.5432"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The paths of a state folder; nothing here touches the disk."""

    root: Path

    @property
    def flag(self) -> str:
        """How to name this folder to a verb, with a space before it; nothing for the default."""
        return "" if self.root == default_root() else f" --state {shlex.quote(str(self.root))}"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def version(self) -> Path:
        return self.root / "version"

    @property
    def catalog(self) -> Path:
        return self.root / "catalog.sqlite"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def tls(self) -> Path:
        return self.root / "tls"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def templates(self) -> Path:
        return self.root / "templates"

    @property
    def databases(self) -> Path:
        return self.root / "databases"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def dashboard_key(self) -> Path:
        """By which browsers that were let in are known again."""
        return self.root / "dashboard-key"

    @property
    def cgroups(self) -> Path:
        """Which folders the running `torpor up` has made there, one a line."""
        return self.root / "cgroups"

    @property
    def run(self) -> Path:
        """With its symbolic link resolved, so that socket paths are short enough."""
        return Path(os.path.realpath(self.root / "run"))

    @property
    def cluster_socket(self) -> Path:
        return self.run / "cluster.sock"

    @property
    def autoscaler_socket(self) -> Path:
        return self.run / "autoscaler.sock"

    @property
    def console_roles(self) -> Path:
        """Of the operator console; without passwords."""
        return self.run / "console-roles.json"

    def agent_socket(self, compute: str) -> Path:
        return self.run / "agents" / f"{compute}.sock"

    def compute_directory(self, compute: str) -> Path:
        return self.run / "computes" / compute


def default_root() -> Path:
    """The folder for this user; root's can be reached by the user ids of the databases."""
    if os.geteuid() == 0:
        return Path("/var/lib/torpor")
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "torpor"


def prepare(folder: StateFolder) -> None:
    """Make the folder and its parts. Raises InvalidRequest where that can't be.

    Folders are 0711: other user ids pass through to their own database and see nothing else.
    """
    try:
        _make(folder.root, 0o711)
        _check_version(folder)
        for private in (folder.secrets, folder.tls, folder.logs):
            _make(private, 0o700)
        for passable in (folder.templates, folder.databases):
            _make(passable, 0o711)
    except OSError as error:
        raise InvalidRequest(
            f"state folder {folder.root}: {error.strerror}: choose another with --state DIR"
        ) from None
    if os.geteuid() == 0:
        _refuse_unreachable(folder.root)


def prepare_dashboard_key(folder: StateFolder) -> None:
    """Made once; whoever removes it sends every browser back to the door.

    Another one takes the place of one whose writing came to no end: nothing is secret in that.
    """
    path = folder.dashboard_key
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > KEY_BYTES:
            return
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(os.urandom(KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def prepare_run(folder: StateFolder) -> None:
    """An empty ``run``, under ``/tmp`` where the sockets' paths would be too long here."""
    link = folder.root / "run"
    if not _is_ours(link):
        link.unlink(missing_ok=True)
        if len(os.fsencode(link / _LONGEST_SOCKET)) > SOCKET_PATH_BYTES_MAX:
            link.symlink_to(tempfile.mkdtemp(prefix="torpor-", dir="/tmp"))
    run = folder.run
    for part in ("agents", "computes"):
        shutil.rmtree(run / part, ignore_errors=True)
    for passable in (run, run / "computes"):
        _make(passable, 0o711)
    _make(run / "agents", 0o700)


def remove_run(folder: StateFolder) -> None:
    """What a clean end takes away: no socket and no short folder stays behind."""
    shutil.rmtree(folder.run, ignore_errors=True)
    link = folder.root / "run"
    if link.is_symlink():
        link.unlink()


def take_lock(folder: StateFolder) -> int:
    """The descriptor that holds the lock until this process ends, however it ends.

    Raises Refused, naming the process that holds it.
    """
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 100, 0).decode(errors="replace").split("\n")[0]
        os.close(descriptor)
        raise Refused(
            f"state folder {folder.root} is in use by `torpor up` with process id "
            f"{holder or '(just starting)'}: stop that one, or choose another with --state DIR"
        ) from None
    note_in_lock(descriptor, "")
    return descriptor


def note_in_lock(descriptor: int, listen: str) -> None:
    """Write down who holds the lock and, once it is known, where clients connect."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n{listen}\n".encode(), 0)


def listen_address(folder: StateFolder) -> str:
    """``HOST:PORT`` of the running `torpor up`; empty where it has not said so yet."""
    lines = folder.lock.read_text().split("\n")
    return lines[1] if len(lines) > 1 else ""


def _make(path: Path, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)


def _is_ours(path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return path.is_dir() and found.st_uid == os.geteuid()


def _check_version(folder: StateFolder) -> None:
    if not folder.version.exists():
        folder.version.write_text(LAYOUT_VERSION + "\n")
    found = folder.version.read_text().strip()
    if found != LAYOUT_VERSION:
        raise InvalidRequest(
            f"state folder {folder.root} has layout {found!r} and this release reads "
            f"{LAYOUT_VERSION!r}: use the release that made it, or another folder with --state DIR"
        )


def _refuse_unreachable(root: Path) -> None:
    """Postgres runs under the databases' user ids, which must get to their folders."""
    for parent in root.resolve().parents:
        if not parent.stat().st_mode & 0o001:
            raise InvalidRequest(
                f"state folder {root}: {parent} can't be passed by other user ids, under which "
                f"root's databases run: chmod o+x {parent}, or choose another with --state DIR"
            )
