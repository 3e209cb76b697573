"""``python -m torpor_operator``."""

from __future__ import annotations

import sys

from torpor_operator.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
