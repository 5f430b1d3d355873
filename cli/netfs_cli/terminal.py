"""The two streams: the answer on stdout, errors and notes on stderr. Colour and width are decided here."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from netfs.model.text import printable
from netfs_cli.render.ink import Ink

NARROW, WIDE = 72, 110


def ink(colour: str, stream: TextIO) -> Ink:
    """How text for a stream is drawn. ``colour`` is ``auto``, ``always`` or ``never``."""
    return Ink(colour=wants_colour(colour, stream), unicode=_speaks_unicode(stream))


def wants_colour(colour: str, stream: TextIO) -> bool:
    """A flag decides before the environment, the environment before the terminal (https://no-color.org)."""
    if colour != "auto":
        return colour == "always"
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def width(stream: TextIO) -> int | None:
    """Columns to wrap text at; None where no terminal asks for it, so that a line stays a line for ``grep``."""
    return max(NARROW, min(columns(), WIDE)) if stream.isatty() else None


def columns() -> int:
    """Columns that the terminal has: tables may take them all, where text is better read in fewer."""
    import shutil  # with every format of an archive

    return shutil.get_terminal_size((100, 24)).columns


def error(message: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"netfs: {printable(message)}\n")


def note(message: str) -> None:
    """One line on stderr, where somebody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{printable(message)}\n")


def _speaks_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "") in ("utf8", "utf16", "utf32")
