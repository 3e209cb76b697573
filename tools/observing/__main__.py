"""``python -m observing``: writes the dashboard; a part of `make manifests`."""

from __future__ import annotations

from observing.dashboard import FILE, text

FILE.write_text(text())
