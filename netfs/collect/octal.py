"""Octal escapes, as the files of /proc show names (``mangle_path``, fs/seq_file.c). `netfs collect` begins with it."""

from __future__ import annotations

import re

_ESCAPED = re.compile(rb"\\([0-3][0-7]{2})")


def unescaped(shown: bytes) -> bytes:
    """A name without its escapes: a space, a tab, a newline, a backslash and ``#`` are shown in octal."""
    return _ESCAPED.sub(lambda octal: bytes([int(octal[1], 8)]), shown) if b"\\" in shown else shown
