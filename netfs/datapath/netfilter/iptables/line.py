"""One line of iptables-save, read into a rule (iptables(8); iptables/xshared.c, ``do_parse``).

A rule is a conjunction: what was understood of its matches still excludes packets where the rest was not.
"""

from __future__ import annotations

from collections.abc import Mapping

from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.iptables import options as forms
from netfs.datapath.netfilter.iptables.matches import CHANCES, IMPLICIT, MATCHES
from netfs.datapath.netfilter.iptables.options import Defect, Extension, Option, Reading, Scope
from netfs.datapath.netfilter.iptables.targets import TARGETS, UNEVALUATED
from netfs.datapath.netfilter.iptables.words import Word, split
from netfs.datapath.netfilter.records import Binary, Constant, Exact, Match, Meta, Rule, Statement, Verdict
from netfs.model import ip

BASE = {
    "-s": "-s",
    "--source": "-s",
    "--src": "-s",
    "-d": "-d",
    "--destination": "-d",
    "--dst": "-d",
    "-p": "-p",
    "--protocol": "-p",
    "--proto": "-p",
    "-i": "-i",
    "--in-interface": "-i",
    "-o": "-o",
    "--out-interface": "-o",
    "-f": "-f",
    "--fragment": "-f",
    "-m": "-m",
    "--match": "-m",
    "-j": "-j",
    "--jump": "-j",
    "-g": "-g",
    "--goto": "-g",
    "-4": "-4",
    "--ipv4": "-4",
    "-6": "-6",
    "--ipv6": "-6",
    "-c": "-c",
    "--set-counters": "-c",
}

STANDARD = {"ACCEPT": "accept", "DROP": "drop", "RETURN": "return"}


def read_rule(line: str, number: int, scope: Scope) -> tuple[Rule, tuple[Defect, ...]]:
    """A rule, and what of it is not understood. ``line``: ``[[P:B] ]-A CHAIN …``."""
    counters, start = counters_of(line)
    at = Reading(scope, number, line)
    grammar = _Grammar(split(line, start), at)
    source = line[start:].rstrip()
    rule = Rule(None, grammar.statements(), source, grammar.comment, counters)
    chain = source.split(None, 2)[1]
    return rule, tuple(
        Defect(scope.program, *at.place(column), what, scope.table, chain, source) for column, what in at.found
    )


def counters_of(line: str) -> tuple[tuple[int, int] | None, int]:
    """Packets and bytes in front of a rule, and where the rule begins."""
    if not line.startswith("["):
        return None, 0
    inside, _, rest = line.partition("]")
    packets, _, size = inside[1:].partition(":")
    start = len(line) - len(rest.lstrip())
    if packets.isdecimal() and size.isdecimal() and len(inside) < 50:
        return (int(packets), int(size)), start
    return None, start


class _Grammar:
    """Reads the words of one rule from left to right."""

    def __init__(self, all_words: list[Word], at: Reading) -> None:
        self.words = all_words
        self.at = at
        self.index = 0
        self.protocol: str | None = None
        self.matches: list[Statement] = []
        self.target: list[Statement] | None = None
        self.seen: set[str] = set()
        self.comment: str | None = None

    def statements(self) -> tuple[Statement, ...]:
        """Everything that was understood, and an opaque statement for the rest."""
        column = 1
        try:
            while self.index < len(self.words):
                column = self.words[self.index].column
                self._next()
        except NotUnderstoodError as error:
            self.matches.append(self.at.opaque(f"{error} is not understood", error.column or column))
            return tuple(self.matches)
        return (*self.matches, *(self.target or ()))

    def _next(self) -> None:
        word = self._take()
        negated = word.text == "!" and not word.quoted
        if negated:
            word = self._take()
        name = BASE.get(word.text) if not word.quoted else None
        if name is None:
            implied = IMPLICIT.get(self.protocol or "")
            if implied is None or word.quoted or word.text not in MATCHES[implied].arities:
                raise NotUnderstoodError(repr(word.text[:60]), column=word.column)
            self.index -= 2 if negated else 1
            self._match(implied, word.column)
        elif name in ("-m", "-j", "-g", "-4", "-6", "-c") and negated:
            raise NotUnderstoodError(f"! {word.text}", column=word.column)
        elif name == "-m":
            self._match(self._take().text, word.column)
        elif name in ("-j", "-g"):
            self._jump(name, word.column)
        elif name == "-c":
            self._take()
            self._take()
        elif name not in ("-4", "-6"):
            self._base(name, word, negated)

    def _take(self) -> Word:
        if self.index >= len(self.words):
            last = self.words[-1]
            raise NotUnderstoodError(f"the end behind {last.text[:60]!r}", column=last.column + len(last.text))
        word = self.words[self.index]
        if word.broken:
            raise NotUnderstoodError(f"from {word.text!r} on the line", column=word.column)
        self.index += 1
        return word

    def _base(self, name: str, word: Word, negated: bool) -> None:
        if name in self.seen:
            raise NotUnderstoodError(f"a second {word.text}", column=word.column)
        self.seen.add(name)
        if name == "-f":
            self._fragment(negated)
            return
        value = self._take()
        if value.text == "!" and not value.quoted:
            negated, value = not negated, self._take()
        option = Option(name, negated, (value.text,), value.column)
        reader = {"-s": _source, "-d": _destination, "-p": self._protocol, "-i": _input, "-o": _output}[name]
        statement = forms.one(option, self.at, reader)
        if statement is not None:
            self.matches.append(statement)

    def _fragment(self, negated: bool) -> None:
        """``-f``: second and further fragments; what netfs sends is whole."""
        if not negated:
            self.matches.append(Match(Constant(0), "==", Exact(1)))

    def _protocol(self, option: Option, _at: Reading) -> Statement | None:
        number = forms.protocol(option.value)
        if number == 0:
            return None
        if not option.negated:
            self.protocol = option.value.lower()
        return forms.equal(Meta("l4proto", "inet_proto"), option, Exact(number))

    def _match(self, name: str, column: int) -> None:
        extension = MATCHES.get(name)
        if extension is None:
            while self.index < len(self.words) and (self.words[self.index].quoted or not self._at_base()):
                self.index += 1
            reason = CHANCES.get(name)
            if reason is None:
                self.matches.append(self.at.doubt(f"match {name[:60]} is not understood", column))
            else:
                self.matches.append(self.at.chance(f"match {name} {reason}", column))
            return
        options = self._options(extension.arities)
        if name == "comment" and options:
            self.comment = options[0].values[0] if options[0].values else None
        try:
            self.matches += extension.read(options, self.at)
        except NotUnderstoodError as error:
            self.matches.append(self.at.doubt(f"match {name}: {error} is not understood", error.column or column))

    def _at_base(self) -> bool:
        """Whether the word in turn, or behind a ``!``, belongs to the rule itself."""
        word = self.words[self.index]
        if word.text == "!" and not word.quoted and self.index + 1 < len(self.words):
            word = self.words[self.index + 1]
        return word.broken or (not word.quoted and word.text in BASE)

    def _options(self, arities: Mapping[str, int]) -> tuple[Option, ...]:
        found: list[Option] = []
        while self.index < len(self.words):
            start, word = self.index, self._take()
            negated = word.text == "!" and not word.quoted
            if negated:
                word = self._take()
            arity = arities.get(word.text) if not word.quoted else None
            if arity is None and (word.quoted or not word.text.startswith("--") or word.text in BASE):
                self.index = start
                break
            if arity and self.index < len(self.words) and self.words[self.index].text == "!":
                if not self.words[self.index].quoted:
                    negated, self.index = not negated, self.index + 1
            values = [self._take().text for _ in range(arity or 0)]
            if arity is None:
                self._skip_values()
            found.append(Option(word.text, negated, tuple(values), word.column, arity is not None))
        return tuple(found)

    def _skip_values(self) -> None:
        """Past what may be values of an option that is not known."""
        while self.index < len(self.words):
            word = self.words[self.index]
            if word.broken or (not word.quoted and (word.text.startswith("-") or word.text == "!")):
                return
            self.index += 1

    def _jump(self, name: str, column: int) -> None:
        if self.target is not None:
            raise NotUnderstoodError("a second target", column=column)
        word = self._take()
        target, at = word.text, self.at
        if name == "-g":
            self.target = [Verdict("goto", target)]
        elif target in STANDARD:
            self.target = [Verdict(STANDARD[target])]
        elif target in at.scope.chains:
            self.target = [Verdict("jump", target)]
        elif target in TARGETS:
            extension = TARGETS[target]
            self.target = self._read_target(target, extension, word.column)
        else:
            self._rest_of_target()
            reason = UNEVALUATED.get(target, "is not understood")
            self.target = [at.opaque(f"target {target[:60]} {reason}", word.column)]

    def _read_target(self, name: str, extension: Extension, column: int) -> list[Statement]:
        options = self._options(extension.arities)
        at = self.at
        strange = next((option for option in options if not option.known or option.negated), None)
        if strange is not None:
            return [at.opaque(f"option {strange.name[:60]} of target {name} is not understood", strange.column)]
        try:
            return list(extension.read(options, at))
        except NotUnderstoodError as error:
            return [at.opaque(f"target {name}: {error} is not understood", error.column or column)]

    def _rest_of_target(self) -> None:
        while self.index < len(self.words) and (self.words[self.index].quoted or not self._at_base()):
            self.index += 1


def _address(option: Option, at: Reading, field: str) -> Statement | None:
    family = at.scope.family
    value, mask = forms.prefix_or_mask(option.value, family)
    left = forms.network(field, family)
    if mask == 0:
        return Match(Constant(0), "==", Exact(1)) if option.negated else None
    if forms.contiguous(mask, family):
        return forms.equal(left, option, forms.interval(value, value | ((1 << ip.BITS[family]) - 1 - mask)))
    return forms.equal(Binary("&", left, Constant(mask), "integer"), option, Exact(value))


def _source(option: Option, at: Reading) -> Statement | None:
    return _address(option, at, "saddr")


def _destination(option: Option, at: Reading) -> Statement | None:
    return _address(option, at, "daddr")


def _input(option: Option, at: Reading) -> Statement | None:
    return forms.equal(Meta("iifname", "ifname"), option, forms.device(option.value))


def _output(option: Option, at: Reading) -> Statement | None:
    return forms.equal(Meta("oifname", "ifname"), option, forms.device(option.value))
