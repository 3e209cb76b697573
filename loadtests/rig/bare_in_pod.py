"""Runs in a container: starts Postgres on a copy of a data directory, once for each line it reads.

``bare_in_pod.py DATA SCRATCH``: each line is a query; the answer is a line with the seconds from
the exec of Postgres to its first row.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rig.postgres import copy_of


def main() -> None:
    data, scratch = sys.argv[1:]
    with copy_of(Path(data), parent=scratch) as bare:
        for line in sys.stdin:
            print(bare.first_answer_s(line.strip()), flush=True)
            bare.stop()


main()
