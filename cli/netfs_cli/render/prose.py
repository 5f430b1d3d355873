"""Sentences in a column, and commands that stay in one piece because somebody will copy them."""

from __future__ import annotations

from netfs.model.text import printable


def column(text: str, indent: int, width: int | None) -> str:
    """Untrusted text as lines that hang at ``indent``; the first one is not indented. ``width`` None: one line."""
    clean = printable(text)
    if width is None or indent + len(clean) <= width:
        return clean
    from textwrap import wrap

    room = max(width - indent, 24)
    return f"\n{' ' * indent}".join(wrap(clean, room, break_long_words=False, break_on_hyphens=False))


def commands(fix: str) -> str:
    """A fix as it is to be typed."""
    return printable(fix)


def place(node: str, netns: str) -> str:
    """Where something happens or is to be done, in words: ``node1``, ``pod-a on node1``."""
    if not node:
        return printable(netns)
    return printable(node) if netns in ("", node) else f"{printable(netns)} on {printable(node)}"


def count(number: int, noun: str) -> str:
    """``1 hop``, ``2 hops``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
