"""What a terminal sends for a key, as a word. Pure."""

from __future__ import annotations

from collections.abc import Iterator

_SEQUENCES = {
    b"[A": "up",
    b"[B": "down",
    b"OA": "up",
    b"OB": "down",
    b"[C": "right",
    b"[D": "left",
    b"OC": "right",
    b"OD": "left",
    b"[5~": "page up",
    b"[6~": "page down",
    b"[H": "home",
    b"[F": "end",
    b"OH": "home",
    b"OF": "end",
    b"[1~": "home",
    b"[4~": "end",
}
"""Behind an escape: of cursor keys in both modes that terminals have."""

_CONTROLS = {
    b"\r": "enter",
    b"\n": "enter",
    b"\x7f": "backspace",
    b"\x08": "backspace",
    b"\x03": "q",
    b"\x04": "q",
    b"\x0c": "redraw",
}
"""Ctrl-C and Ctrl-D end it, Ctrl-L draws it anew."""

_LONGEST = max(map(len, _SEQUENCES))


def keys(read: bytes) -> Iterator[str]:
    """``read``: what came at once. An escape alone is the key of that name; what is unknown is
    passed over."""
    position = 0
    while position < len(read):
        byte = read[position : position + 1]
        position += 1
        if byte == b"\x1b":
            found = _sequence(read[position:])
            if found is None:
                yield "escape"
            else:
                position += len(found)
                yield from filter(None, [_SEQUENCES.get(found, "")])
        elif byte in _CONTROLS:
            yield _CONTROLS[byte]
        elif 0x20 <= byte[0] < 0x7F:
            yield byte.decode()


def _sequence(rest: bytes) -> bytes | None:
    """The known one that it begins with, else one of the general form; None: it is no sequence."""
    for length in range(2, _LONGEST + 1):
        if rest[:length] in _SEQUENCES:
            return rest[:length]
    if rest[:1] not in (b"[", b"O"):
        return None
    for end, byte in enumerate(rest[1:], 2):
        if 0x40 <= byte <= 0x7E:
            return rest[:end]
    return rest
