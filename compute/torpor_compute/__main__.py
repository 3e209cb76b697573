"""``python -m torpor_compute``: one warm compute."""

from __future__ import annotations

import sys

from torpor_compute.main import main

sys.exit(main(sys.argv[1:]))
