"""What lies inside of one machine: the folders of its databases, its log files, its computes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from torpor_api.failures import Refused
from torpor_cli import client
from torpor_cli.client import Json
from torpor_cli.inside import LogReader
from torpor_cli.local.log_tail import LogTail
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.logs.source import OfAgent, OfPostgres, OfSession, Source, is_about
from torpor_cli.output import name_of

POSTGRES_PORT = "5432"
"""Of each compute's socket, in a folder of its own."""

PARTIAL = "~"
"""In the names of volumes that are being made or removed."""


class WithinMachine:
    """Of one state folder: by the rights of whoever asks, who is the user of its `torpor up`."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder

    def volumes(self, name: str = "", *, measured: bool = False) -> list[Json]:
        resources = client.ask_cluster(self._folder, "ListResources")["resources"]
        named = {name_of(resource) for resource in resources}
        try:
            found = sorted(path for path in self._folder.databases.iterdir() if path.is_dir())
        except OSError as error:
            raise Refused(f"{self._folder.databases} can't be read: {error.strerror}") from None
        return [
            {
                "name": path.name,
                "database": path.name if path.name in named else "",
                "directory": str(path),
                "claim": "",
                "bytes": _bytes_of(path) if measured else None,
            }
            for path in found
            if PARTIAL not in path.name and name in ("", path.name)
        ]

    def told_of_kept_data(self, name: str) -> str:
        return (
            f"its data is kept in {self._folder.databases / name}\n"
            "apply it again to bring it back, or remove the data too: "
            f"torpor delete {name} --data{self._folder.flag}"
        )

    def log(self, source: Source, *, since_s: float | None) -> LogReader:
        """Files are kept whole up to their bound, so all of it is read."""
        logs = self._folder.logs
        match source:
            case OfPostgres(name):
                return LogTail(self._folder.databases / name / "log" / "postgres.log")
            case OfAgent(compute):
                return LogTail(logs / "agents.log", lambda line: is_about(line, "compute", compute))
            case OfSession(proxy, number):
                # One that was started again counts its sessions anew, under another name.
                return LogTail(
                    logs / "proxy.log",
                    lambda line: (
                        is_about(line, "session", number) and is_about(line, "proxy", proxy)
                    ),
                )

    def shell_in_compute(self, compute: Json, database: Json, argv: Sequence[str]) -> int:
        from torpor_cli.local.postgres_binaries import installed

        first = database["spec"]["databases"][0]
        programs = str(installed().directory)
        own = {
            "PGHOST": str(self._folder.compute_directory(compute["compute"])),
            "PGPORT": POSTGRES_PORT,
            "PGUSER": first["owner"],
            "PGDATABASE": first["name"],
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }
        return _run(self._folder.databases / name_of(database) / "data", own, argv)

    def shell_in_volume(self, volume: Json, argv: Sequence[str]) -> int:
        return _run(Path(volume["directory"]), {}, argv)


def _run(directory: Path, environment: dict[str, str], argv: Sequence[str]) -> int:
    chosen = list(argv) or [os.environ.get("SHELL") or "/bin/sh"]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    try:
        ran = subprocess.run(chosen, cwd=directory, env=inherited | environment, check=False)
    except FileNotFoundError:
        missing = chosen[0] if directory.is_dir() else directory
        raise Refused(f"there is no {missing}") from None
    except OSError as error:
        raise Refused(f"{chosen[0]} in {directory}: {error.strerror}") from None
    return ran.returncode if ran.returncode >= 0 else 128 - ran.returncode


def _bytes_of(directory: Path) -> int:
    """That its files take of the disk; what is removed meanwhile is passed over."""
    total = 0
    for folder, _, files in os.walk(directory):
        for file in files:
            try:
                total += os.lstat(os.path.join(folder, file)).st_blocks * 512
            except OSError:
                continue
    return total
