"""Text to expression: a subset of pcap-filter(7), in its own words and with its own binding.

``and`` and ``or`` bind alike, from the left; ``not`` binds tighter. A value without words takes those of the value
before it: ``host a or b``, ``tcp port 80 or 443``. Three words are ours: ``vni``, ``outer ( … )``, ``inner ( … )``.
What differs from pcap-filter: an expression is tried on the frame and on what each tunnel in it carries, what is
negated must hold nowhere (``expression.py``), and VLAN tags are skipped wherever they stand. Names, byte offsets and
comparisons are not understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from netfs.capture.filter import expression as ask
from netfs.capture.filter import words
from netfs.capture.filter.expression import Expression
from netfs.capture.filter.words import Head, UnfitError
from netfs.errors import FilterError
from netfs.model.text import printable

LONGEST = 100_000
"""Characters."""
DEEPEST = 64
"""Parts within each other."""

_TOKEN = re.compile(r"\s+|([()!]|&&|\|\||[^\s()!&|]+|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    """Empty: the end."""
    column: int
    """From 1."""


def parse(text: str) -> Expression:
    """The expression that the text writes; of nothing but spaces, one that holds for everything.

    Raises FilterError with the column where it cannot be understood, and a near miss of the word there.
    """
    if len(text) > LONGEST:
        raise FilterError(f"the filter has more than {LONGEST} characters")
    expression = _Parser(text).whole()
    if _depth(expression) > DEEPEST:
        raise FilterError(f"the filter has more than {DEEPEST} parts within each other", hint="and, or bind alike")
    return expression


def _depth(expression: Expression) -> int:
    """How far parts lie within each other; without recursion, which that would end."""
    deepest, pending = 0, [(expression, 1)]
    while pending:
        part, depth = pending.pop()
        deepest = max(deepest, depth)
        if isinstance(part, ask.And | ask.Or):
            pending += ((item, depth + 1) for item in part.items)
        elif isinstance(part, ask.Not | ask.Outer | ask.Inner):
            pending.append((part.item, depth + 1))
    return deepest


class _Parser:
    def __init__(self, text: str) -> None:
        found = [_Token(match[1], match.start() + 1) for match in _TOKEN.finditer(text) if match[1]]
        self._tokens = [*found, _Token("", len(text) + 1), _Token("", len(text) + 1)]
        self._at = 0
        self._head = Head()
        """Of the last value: what a value without words takes."""
        self._depth = 0

    # The grammar, from the outside in.

    def whole(self) -> Expression:
        """Everything, to the end."""
        if not self._here.text:
            return ask.EVERYTHING
        expression = self._chain()
        if self._here.text == ")":
            raise self._error("no parenthesis is open here")
        if self._here.text:
            raise self._error("an and or an or is missing before this", self._near())
        return expression

    def _chain(self) -> Expression:
        """Terms with ``and`` and ``or`` between them, from the left."""
        items, between = [self._term()], ""
        while self._logic in {"and", "or"}:
            word = self._logic
            if between not in {"", word}:
                items = [_joined(between, items)]
            between = word
            self._next()
            items.append(self._term())
        return _joined(between, items)

    def _term(self) -> Expression:
        if self._logic == "not":
            self._next()
            return ask.Not(self._within(self._term))
        if self._here.text in words.SCOPES:
            scope = words.SCOPES[self._next().text]
            if self._here.text != "(":
                raise self._error("a parenthesis is missing", "as in outer ( host 10.0.0.1 )")
            return scope(self._parenthesis())
        return self._parenthesis() if self._here.text == "(" else self._primitive()

    def _parenthesis(self) -> Expression:
        opened = self._next()
        expression = self._within(self._chain)
        if self._here.text != ")":
            raise self._error(f"the parenthesis of column {opened.column} is not closed", self._near())
        self._next()
        return expression

    def _primitive(self) -> Expression:
        word = self._here.text
        if word in words.NUMBERED and (word not in words.ALONE or self._following[:1].isdigit()):
            self._next()
            self._head = Head()
            return self._made(self._next(), lambda value: words.numbered(word, value))
        if word in words.QUALIFIERS or word in words.ALONE:
            return self._qualified()
        return self._value(self._head)

    def _qualified(self) -> Expression:
        """``tcp``; ``tcp src port 80``; ``src 10.0.0.1``."""
        head = Head()
        word = self._here.text
        if word in words.ALONE or word == "ether":
            head = replace(head, proto=self._next().text)
            if self._here.text not in {*words.WAYS, *words.KINDS}:
                if word == "ether":
                    raise self._error("host, src, dst or proto is missing behind ether", self._near())
                self._head = Head()
                return words.ALONE[word]
        if self._here.text in words.WAYS:
            head = replace(head, way=self._way())
        if self._here.text in words.KINDS:
            head = replace(head, kind=self._next().text)
        return self._values(head)

    def _way(self) -> str:
        """``src``, ``dst``, ``src or dst``, ``src and dst``."""
        way = words.WAYS[self._next().text]
        if self._logic in {"and", "or"} and words.WAYS.get(self._following, way) != way:
            way = ask.BOTH if self._logic == "and" else ask.EITHER
            self._next()
            self._next()
        return way

    def _values(self, head: Head) -> Expression:
        """One value, or several in parentheses: ``port (80 or 443)``."""
        self._head = head
        if self._here.text == "(":
            return self._parenthesis()
        if self._logic == "not":
            self._next()
            return ask.Not(self._within(lambda: self._values(head)))
        return self._value(head)

    def _value(self, head: Head) -> Expression:
        self._head = head
        token = self._next()
        if head.kind == "net" and self._here.text == "mask":
            self._next()
            return self._made(self._next(), lambda mask: words.masked(head, token.text, mask))
        return self._made(token, head.of)

    # Below the grammar.

    @property
    def _here(self) -> _Token:
        return self._tokens[self._at]

    @property
    def _following(self) -> str:
        return self._tokens[self._at + 1].text

    @property
    def _logic(self) -> str | None:
        return words.LOGIC.get(self._here.text)

    def _next(self) -> _Token:
        """This token; none is behind the end."""
        token = self._here
        if token.text:
            self._at += 1
        return token

    def _within(self, part: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"more than {DEEPEST} parts within each other")
        expression = part()
        self._depth -= 1
        return expression

    def _made(self, token: _Token, make: Callable[[str], Expression]) -> Expression:
        """The primitive that a value makes."""
        if not token.text or token.text == ")" or token.text in words.LOGIC:
            raise self._error("something is missing", token=token)
        try:
            return make(token.text)
        except UnfitError as error:
            raise self._error(str(error), self._near(token) or error.hint, token) from None

    def _near(self, token: _Token | None = None) -> str:
        """What the word was perhaps meant to be."""
        word = (token or self._here).text[:20]
        near = get_close_matches(word, words.ALL, 1, 0.6)
        return f"did you mean {near[0]}?" if near and near[0] != word else ""

    def _error(self, what: str, hint: str = "", token: _Token | None = None) -> FilterError:
        token = token or self._here
        text = printable(token.text if len(token.text) <= 40 else token.text[:39] + "…")
        where = f"filter, column {token.column}"
        return FilterError(f"{text}: {what}" if text else f"{what} at the end", where=where, hint=hint)


def _joined(word: str, items: list[Expression]) -> Expression:
    if len(items) == 1:
        return items[0]
    kind = ask.And if word == "and" else ask.Or
    flat = (part for item in items for part in (item.items if isinstance(item, kind) else (item,)))
    return kind(tuple(flat))
