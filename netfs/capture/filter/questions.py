"""The part of a program that asks an expression of the facts: at which levels, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from netfs.capture.filter import assembler as bpf
from netfs.capture.filter import expression as ask
from netfs.capture.filter.assembler import Assembler
from netfs.capture.filter.conditions import all_of, any_of
from netfs.capture.filter.expression import Expression
from netfs.capture.filter.facts import DEEPEST, Facts
from netfs.capture.filter.primitives import Primitives
from netfs.model import ip


class Questions:
    """Emits conditions. What they mean is ``level.matches``, with "not known" for no."""

    def __init__(self, asm: Assembler, facts: Facts) -> None:
        self._asm = asm
        self._primitives = Primitives(asm, facts)

    def somewhere(self, expression: Expression, levels: tuple[int, ...], yes: str, no: str) -> None:
        """Whether it holds at one of these levels, of which the first one is there.

        What looks at levels of its own is asked once where that is possible, and not of every level anew.
        """
        if isinstance(expression, ask.Not):
            self.somewhere(expression.item, levels, no, yes)
        elif isinstance(expression, ask.Outer | ask.Inner):
            self._scope(expression, levels, yes, no)
        elif isinstance(expression, ask.Or) and not ask.is_open(expression):
            any_of(self._asm, [partial(self.somewhere, item, levels) for item in expression.items], yes, no)
        elif isinstance(expression, ask.And) and any(map(ask.is_closed, expression.items)):
            apart = [item for item in expression.items if ask.is_closed(item)]
            rest = ask.And(tuple(item for item in expression.items if not ask.is_closed(item)))
            all_of(self._asm, [partial(self.somewhere, item, levels) for item in (rest, *apart)], yes, no)
        else:
            any_of(self._asm, [partial(self._at, expression, levels, level) for level in levels], yes, no)

    def _scope(self, scope: ask.Outer | ask.Inner, levels: tuple[int, ...], yes: str, no: str) -> None:
        chosen = levels[:1] if isinstance(scope, ask.Outer) else levels[1:]
        if not chosen:
            self._asm.go(no)
            return
        there = self._asm.fresh()
        self._asm.emit(bpf.LD_MEM, DEEPEST)
        self._asm.test(bpf.JGE, chosen[0], there, no)
        self._asm.label(there)
        self.somewhere(scope.item, chosen, yes, no)

    def _at(self, expression: Expression, levels: tuple[int, ...], level: int, yes: str, no: str) -> None:
        """Whether it holds at this level."""
        if isinstance(expression, ask.And):
            all_of(self._asm, [partial(self._at, item, levels, level) for item in expression.items], yes, no)
        elif isinstance(expression, ask.Or):
            hosts, rest = _grouped(expression.items)
            asked = [partial(self._primitives.hosts, group, level) for group in hosts]
            any_of(self._asm, [*asked, *(partial(self._at, item, levels, level) for item in rest)], yes, no)
        elif isinstance(expression, ask.Not | ask.Outer | ask.Inner):
            self.somewhere(expression, levels, yes, no)
        else:
            self._primitives.emit(expression, level, yes, no)


def _grouped(items: Sequence[Expression]) -> tuple[list[list[ask.Net]], list[Expression]]:
    """Single addresses that one look at the header answers together; the rest."""
    groups: dict[tuple[object, ...], list[ask.Net]] = {}
    rest: list[Expression] = []
    for item in items:
        if isinstance(item, ask.Net) and item.length == ip.BITS[item.family] and item.way != ask.BOTH:
            groups.setdefault((item.family, item.way, item.within), []).append(item)
        else:
            rest.append(item)
    return list(groups.values()), rest
