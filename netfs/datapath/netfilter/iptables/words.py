"""A line of iptables-save told into its words, with the quotes and escapes of ``xtables_save_string``."""

from __future__ import annotations

import re
from dataclasses import dataclass

WORD = re.compile(r'(?:"(?:[^"\\]|\\.)*"?|[^\s"])+')
"""A word, quoted or not; a quote that never ends takes the rest of the line."""

PIECE = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)(?P<end>"?)|(?P<plain>[^"]+)')

MAX_WORDS = 2000


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a line."""

    text: str
    column: int
    quoted: bool
    broken: bool = False
    """The line cannot be told into words from here on."""


def split(line: str, start: int) -> list[Word]:
    """The words behind ``-A CHAIN``; a quote that never ends, or words without end, are no rule."""
    found: list[Word] = []
    for match in WORD.finditer(line, start):
        text: str | None = match.group()
        quoted = '"' in match.group()
        if quoted:
            text = _unquoted(match.group())
        if text is None or len(found) > MAX_WORDS:
            found.append(Word(match.group()[:20], match.start() + 1, False, broken=True))
            break
        found.append(Word(text, match.start() + 1, quoted))
    return found[2:]


def _unquoted(text: str) -> str | None:
    """The text without its quotes and escapes; None where a quote never ends."""
    made: list[str] = []
    for piece in PIECE.finditer(text):
        if piece["plain"] is not None:
            made.append(piece["plain"])
        elif not piece["end"]:
            return None
        else:
            made.append(re.sub(r"\\(.)", r"\1", piece["quoted"]))
    return "".join(made)
