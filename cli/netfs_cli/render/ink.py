"""How words are drawn: colour where it is wanted, signs that the terminal can show.

Colour never carries a meaning alone: whatever is red also says so in words and has its sign.
"""

from __future__ import annotations

from dataclasses import dataclass

_ASCII = {"✓": "ok", "✗": "X", "?": "?", "!": "!", "→": "->", "│": "|", "─": "-", "•": "*"}


@dataclass(frozen=True, slots=True)
class Ink:
    """A way to draw. ``Ink()`` is plain text."""

    colour: bool = False
    unicode: bool = True

    def sign(self, sign: str) -> str:
        """A sign, or its stand-in where the terminal knows ASCII alone."""
        return sign if self.unicode else _ASCII[sign]

    def bold(self, text: str) -> str:
        """Headings and names."""
        return self._paint("1", text)

    def dim(self, text: str) -> str:
        """What one may skip."""
        return self._paint("2", text)

    def good(self, text: str) -> str:
        """Delivered, healthy."""
        return self._paint("32", text)

    def bad(self, text: str) -> str:
        """Dropped, defective."""
        return self._paint("1;31", text)

    def doubtful(self, text: str) -> str:
        """Unknown, warnings."""
        return self._paint("33", text)

    def tunnel(self, text: str) -> str:
        """What happens inside a tunnel."""
        return self._paint("36", text)

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text
