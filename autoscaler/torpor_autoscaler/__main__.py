"""``python -m torpor_autoscaler``."""

from __future__ import annotations

import sys

from torpor_autoscaler.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
