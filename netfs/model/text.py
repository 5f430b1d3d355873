"""Text from a snapshot, made safe for a terminal.

Names of links, pods, files and processes are whatever somebody gave them: a link may be called after the
sequence that clears a screen, a label may turn the reading direction. Every renderer of text passes such
strings through ``printable``; this is the one place that decides what a terminal may see.
"""

from __future__ import annotations

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str) -> str:
    """The text with every character that is not plainly visible written as an escape.

    Escaped are what ``str.isprintable`` refuses: control characters (ESC and C1 among them), line and
    paragraph separators, formatting characters (bidirectional overrides, zero width, soft hyphen), odd spaces,
    private and unassigned code points. Bytes that were no UTF-8 (lone surrogates) show as the byte they were.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
