"""The page's files, read once: what browsers load, and nothing from elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}

INDEX = "index.html"

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of every answer: no script, style or frame but our own, and nothing told to anybody else."""


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    type: str
    tag: str
    """For ``If-None-Match``: of the content."""


def page_files() -> dict[str, File]:
    """By their path from the page's root; the index is ``/``."""
    found = {}
    for each in resources.files(__package__).joinpath("page").iterdir():
        suffix = "." + each.name.rpartition(".")[2]
        if suffix in TYPES:
            content = each.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
            path = "/" if each.name == INDEX else f"/{each.name}"
            found[path] = File(content, TYPES[suffix], tag)
    return found
