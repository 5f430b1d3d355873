"""Writes the parts of the documentation that are made from the code: stages, faults, commands, the words of iptables,
JSON documents, names of drops and of the library, what decode finds suspicious.

A part stands between two comments of a page: <!-- made: NAME --> and <!-- end: NAME -->. What is around them
is written by hand.

usage: python .ci/docs.py           write them anew
       python .ci/docs.py --check   exit 1 where a page is not what the code says
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import click

import netfs
from netfs.capture.flows.suspect.catalogue import SUSPICIONS
from netfs.datapath.netfilter.iptables.matches import CHANCES, MATCHES
from netfs.datapath.netfilter.iptables.targets import TARGETS, UNEVALUATED
from netfs.datapath.reasons import ERRNOS, OWN, WORDS
from netfs.datapath.stages import STAGES
from netfs.diagnose.catalogue import FAULTS, Fault
from netfs.lab import faults as lab_faults
from netfs_cli.app import app

DOCS = Path(__file__).parents[1] / "docs"
PART = re.compile(r"(<!-- made: ([a-z]+) -->\n)(.*?)(<!-- end: \2 -->)", re.DOTALL)
TAPS = {"in": "coming in", "out": "going out", None: ""}


def stages() -> Iterator[str]:
    """The table of the datapath."""
    rows = ((f"`{s.name}`", s.summary, f"`{s.function}`", f"`{s.source}`", TAPS[s.tap]) for s in STAGES.values())
    yield from table(("stage", "what happens", "kernel function", "kernel source", "a tap on the device sees it"), rows)


def faults() -> Iterator[str]:
    """How many there are, then every entry of the catalogue, group by group."""
    played = sum(fault.in_lab for fault in FAULTS.values())
    found = sum(fault.found or fault.found_by is not None for fault in FAULTS.values())
    yield f"The catalogue has {len(FAULTS)} entries. This version finds {found} of them. The lab can play {played}."
    group = ""
    for fault in FAULTS.values():
        if fault.group != group:
            group = fault.group
            yield from ("", f"## {fault.group}: {fault.group_title}")
        yield from ("", f"### {fault.slug}", "", *entry(fault))


def entry(fault: Fault) -> Iterator[str]:
    """One fault."""
    yield f"- **What:** {fault.evidence}"
    yield f"- **Effect:** {fault.effect}"
    yield f"- **Repair:** {fault.repair}"
    if fault.seen is not None:
        yield f"- **Seen:** {fault.seen}"
    yield f"- **Severity:** {fault.severity}."
    yield f"- **This version:** {finding(fault)}; {play(fault.slug)}."


def finding(fault: Fault) -> str:
    """Whether this version finds a fault, and by which command where it is not the usual ones."""
    if fault.found_by is not None:
        return f"`{fault.found_by}` finds it"
    return "finds it" if fault.found else "does not look for it"


def play(slug: str) -> str:
    """How the lab plays a fault, or why it does not."""
    known = lab_faults.catalogue().get(slug)
    if known is None:
        reason = lab_faults.fixture_only().get(slug)
        return f"the lab cannot play it: {reason}" if reason is not None else "the lab does not play it"
    needs = f", in a lab made with `{known.needs}`" if known.needs else ""
    return f"play it with `netfs lab break {slug}`{needs}"


def commands() -> Iterator[str]:
    """Every command with its arguments and options, as click holds them."""
    root = click.Context(app, info_name="netfs")
    yield from ("### netfs", "", *options(app, ()))
    shared: frozenset[str | None] = frozenset(one.name for one in app.params)
    for name in app.list_commands(root):
        yield from command(app.get_command(root, name), click.Context(app, info_name="netfs"), name, shared)


def command(
    found: click.Command | None, parent: click.Context, name: str, shared: frozenset[str | None]
) -> Iterator[str]:
    """One command and those below it. Worded here, since click's own wording differs between its versions."""
    assert found is not None
    context = click.Context(found, parent=parent, info_name=name)
    below = found.list_commands(context) if isinstance(found, click.Group) else []
    words = [*map(argument, found.params), "COMMAND …" if below else ""]
    summary = (found.help or "").partition("\n\n")[0].replace("\n", " ")
    yield from ("", f"### {context.command_path}", "", summary, "")
    yield from ("    " + " ".join(filter(None, [context.command_path, "[OPTIONS]", *words])), "")
    yield from options(found, shared)
    if isinstance(found, click.Group):
        for each in below:
            yield from command(found.get_command(context, each), context, each, shared)


def argument(parameter: click.Parameter) -> str:
    """An argument as the line of usage names it; empty for an option."""
    if not isinstance(parameter, click.Argument):
        return ""
    name = parameter.metavar or str(parameter.name).upper()
    return name if parameter.required else f"[{name}]"


def options(found: click.Command, shared: Iterable[str | None]) -> Iterator[str]:
    """The options of a command that are its own, and which of the shared ones it takes."""
    every = [one for one in found.params if isinstance(one, click.Option) and one.name != "help"]
    rows = [option(one) for one in every if one.name not in shared]
    if rows:
        yield from (*table(("option", "meaning"), rows), "")
    taken = [f"`{max(one.opts, key=len)}`" for one in every if one.name in shared]
    if taken:
        yield f"Shared options it takes: {', '.join(taken)}."


def option(found: click.Option) -> tuple[str, str]:
    """How an option is written, and what it means."""
    kind, value = found.type, found.metavar or ""
    meaning = found.help or ""
    if isinstance(kind, click.Choice):
        value = "\\|".join(map(str, kind.choices))
    elif isinstance(kind, click.IntRange):
        value = "N"
        meaning += f" From {kind.min} to {kind.max}."
    if found.show_default:
        meaning += f" Default: {found.default}."
    return f"`{', '.join(found.opts)}{' ' if value else ''}{value}`", meaning


def documents() -> Iterator[str]:
    """Every JSON document with the file that describes it."""
    rows = []
    for path in sorted((DOCS / "schema").glob("*.json")):
        kind = json.loads(path.read_text(encoding="utf-8"))["title"]
        rows.append((f"`{kind}`", f"[{path.name}](schema/{path.name})"))
    yield from table(("`schema`", "described by"), rows)


def iptables() -> Iterator[str]:
    """The matches and targets of iptables: which are evaluated, and why the others are not."""
    rows = [("matches, evaluated", _listed(MATCHES)), *_reasoned("matches in doubt", CHANCES)]
    builtin = ("ACCEPT", "DROP", "RETURN")
    rows += [("targets, evaluated or inert", _listed((*builtin, *TARGETS))), *_reasoned("targets, named", UNEVALUATED)]
    yield from table(("", "names"), rows)


def suspicions() -> Iterator[str]:
    """Everything that ``netfs decode`` may find suspicious."""
    for severity in ("error", "warning", "info"):
        found = {slug: kind for slug, kind in SUSPICIONS.items() if kind.severity == severity}
        rows = ((f"`{slug}`{' *' if kind.source else ''}", kind.evidence, kind.look) for slug, kind in found.items())
        yield from (f"### {severity}", "", *table(("suspicion", "it is told where", "look at"), rows), "")
    yield "\\* only with a source."


def _reasoned(what: str, reasons: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for reason in dict.fromkeys(reasons.values()):
        yield f"{what}: it {reason}", _listed(name for name in reasons if reasons[name] == reason)


def _listed(found: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(found))


def reasons() -> Iterator[str]:
    """The names of drops that are not the kernel's, and what the kernel says where it says another."""
    named = {"netfs's own": OWN, "an error number": ERRNOS}
    rows = ((f"`{name}`", whose, when) for whose, names in named.items() for name, when in names.items())
    yield from table(("name", "whose", "given where"), rows)
    yield from ("", "Where the kernel's own word is another than the name of the drop:", "")
    told = ((f"`{word.predicted}`", f"`{word.told}` in `{word.location}`", word.when) for word in WORDS)
    yield from table(("name", "the kernel says", "where"), told)


def names() -> Iterator[str]:
    """The public names of the library."""
    yield ", ".join(f"`{name}`" for name in sorted(netfs.__all__, key=str.lower))


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A Markdown table."""
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |".replace("|  |", "| |")


MADE: dict[str, Callable[[], Iterator[str]]] = {
    "stages": stages,
    "faults": faults,
    "commands": commands,
    "documents": documents,
    "iptables": iptables,
    "suspicions": suspicions,
    "reasons": reasons,
    "names": names,
}


def renewed(text: str) -> str:
    """A page with its made parts as the code has them now. Raises KeyError for a part that nobody makes."""

    def part(found: re.Match[str]) -> str:
        return "{}\n{}\n\n{}".format(found[1], "\n".join(MADE[found[2]]()).strip("\n"), found[4])

    return PART.sub(part, text)


def main() -> int:
    """Write or check; the exit status."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
    stale = {path: new for path, text in texts.items() if (new := renewed(text)) != text}
    missing = MADE.keys() - {found[2] for text in texts.values() for found in PART.finditer(text)}
    for name in sorted(missing):
        sys.stderr.write(f"docs: no page has the part {name}\n")
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(DOCS.parent)} is not what the code says: run make docs\n")
        return 1 if stale or missing else 0
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
