"""Text on a terminal that is drawn again and again at the same place."""

from __future__ import annotations

import shutil
from types import TracebackType
from typing import Self, TextIO

_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"
"""Whether a line that is too long goes on in the next one (DECAWM)."""


class Redrawn:
    """Draws over what it drew before; what it drew last stays when its block ends.

    Nothing above is touched. Of what has more lines than the terminal the first are drawn, and the others counted.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines = 0

    def __enter__(self) -> Self:
        self._stream.write(_WRAP_OFF)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.write(_WRAP_ON)
        self._stream.flush()

    def draw(self, text: str) -> None:
        """Show the text instead of the last."""
        lines = text.rstrip("\n").split("\n")
        room = max(shutil.get_terminal_size().lines - 1, 2)
        if len(lines) > room:
            lines = [*lines[: room - 1], f"({len(lines) - room + 1} lines more)"]
        up = f"\x1b[{self._lines}A" if self._lines else ""
        self._stream.write(f"{up}\r\x1b[J" + "\n".join(lines) + "\n")
        self._stream.flush()
        self._lines = len(lines)
