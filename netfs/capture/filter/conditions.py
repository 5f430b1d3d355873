"""Conditions: code that jumps to one of two labels, joined to larger ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from netfs.capture.filter.assembler import Assembler

Condition: TypeAlias = Callable[[str, str], None]
"""Emits code that jumps to its first label, yes, or to its second, no; both are placed behind it."""


def any_of(asm: Assembler, conditions: Sequence[Condition], yes: str, no: str) -> None:
    """The first that is so is enough for yes."""
    for condition in conditions[:-1]:
        following = asm.fresh()
        condition(yes, following)
        asm.label(following)
    if conditions:
        conditions[-1](yes, no)
    else:
        asm.go(no)


def all_of(asm: Assembler, conditions: Sequence[Condition], yes: str, no: str) -> None:
    """The first that is not so is enough for no."""
    any_of(asm, [partial(_swapped, condition) for condition in conditions], no, yes)


def _swapped(condition: Condition, yes: str, no: str) -> None:
    condition(no, yes)
