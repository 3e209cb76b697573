"""Writes the custom resources; a part of `make manifests`."""

from __future__ import annotations

from crds.files import FOLDERS, texts

for folder in FOLDERS:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (folder / name).write_text(text)
