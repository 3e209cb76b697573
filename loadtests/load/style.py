"""The report's style sheet: readable on a phone, in dark and in light."""

from __future__ import annotations

PROGRAMS = ("#0969da", "#bc4c00", "#8250df", "#1a7f37", "#bf3989", "#6e7781")
"""Colours of a plot by program, ``use0`` and so on; they are seen on either ground."""

COLOURS = {name: f"var(--{name})" for name in ("ink", "awake", "asleep", "waking", "rival")} | {
    f"use{number}": colour for number, colour in enumerate(PROGRAMS)
}

_PAGE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2328; --muted: #59636e; --grid: #d1d9e0;
  --awake: #0969da; --asleep: #bc4c00; --waking: #8250df; --rival: #6e7781; --good: #1a7f37;
  --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --muted: #9198a1;
  --grid: #30363d; --awake: #4493f8; --asleep: #f0883e; --waking: #ab7df8; --rival: #9198a1;
  --good: #3fb950; --bad: #f85149; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  margin: 0; }
main { max-width: 900px; margin: 0 auto; padding: 16px; }
h1 { margin: 0; } h2 { margin: 32px 0 8px; font-size: 20px; } h3 { font-size: 16px; }
.good, .met { color: var(--good); } .bad, .missed { color: var(--bad); font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 14px; margin: 8px 0; }
td, th { text-align: left; vertical-align: top; padding: 4px 12px 4px 0;
  border-bottom: 1px solid var(--grid); }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: var(--muted); } .grid { stroke: var(--grid); fill: none; }
path.line { fill: none; stroke-width: 1.8; } path.area { opacity: 0.85; stroke: none; }
path.dots { fill: none; stroke-width: 4; stroke-linecap: round; }
@media (max-width: 640px) {
  svg { min-width: 700px; font-size: 13px; }
  table.prose { display: grid; grid-template-columns: repeat(var(--columns), auto); }
  .prose tbody, .prose tr { display: contents; } .prose th:last-child { display: none; }
  .prose td, .prose th { padding-right: 6px; font-size: 13px; hyphens: auto; }
  .prose td { border: 0; }
  .prose td:last-child { grid-column: 1 / -1; color: var(--muted); padding-bottom: 8px;
    border-bottom: 1px solid var(--grid); } }
"""

STYLE = _PAGE + "".join(
    f"rect.{name}, path.area.{name} {{ fill: {colour}; }} "
    f"path.line.{name}, path.dots.{name} {{ stroke: {colour}; }}\n"
    for name, colour in COLOURS.items()
)
