"""``netfs cgroups``: limits against use, and whose each control group is."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Generator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import click

from netfs_cli import options, output, terminal
from netfs_cli.command import Command
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from netfs.container.containers import Containers
    from netfs.model.cgroups import Cgroups, CgroupTree
    from netfs_cli.render.ink import Ink

EXAMPLES = """
netfs cgroups                            limits and use of every group
netfs cgroups --containers --watch       those of pods and containers, every 2 s
netfs cgroups pod-a                      every limit of one, and whose it is
netfs cgroups -o json | jq -r '.findings[] | .slug + " " + .object'
"""
INTERVAL = 2.0
NOT_NEEDED = "namespaces by process"
"""What a gap may lack without leaving out anything of control groups (``Gap.what``)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, and how the answer is wanted."""

    settings: Settings
    target: str
    container: str
    only: bool
    """Groups of pods and containers, with those above them."""
    form: str

    @property
    def wide(self) -> bool:
        """Whether all that is known is drawn."""
        return self.form == "wide"

    def open(self) -> Containers:
        """The containers of the nodes that are meant."""
        import netfs

        return netfs.containers(*self.settings.reachable(), timeout=self.settings.timeout)

    def answer(self, containers: Containers) -> Cgroups:
        """One reading."""
        found = containers.cgroups(
            self.target,
            detail=bool(self.target) or self.form != "text",
            namespace=self.settings.namespace or "",
            container=self.container,
        )
        return replace(found, trees=tuple(map(of_containers, found.trees))) if self.only else found

    def drawn(self, answer: Cgroups, ink: Ink, width: int | None) -> str:
        """The answer as text."""
        from netfs_cli.render.cgroups import detail, tree

        at_length = self.target.startswith("/") or (self.target and not _is_a_nodes(answer))
        render = detail.render if at_length else tree.render
        columns = None if width is None else terminal.columns()
        return render(answer, ink, width=width, wide=self.wide, columns=columns)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("target", metavar="[TARGET]", required=False, default="")
@click.option("-c", "--container", metavar="NAME", default="", help="Which container of a pod that has several.")
@click.option(
    "--all/--containers",
    "everything",
    default=True,
    help="Every group, or those of pods and containers alone with those above them. Default: --all.",
)
@click.option("--watch", is_flag=True, help="Read again and again, and show what happens in each second.")
@click.option(
    "-d", "--interval", type=options.duration, metavar="DURATION", help="Watch: time between readings. Default: 2s."
)
@click.option("--count", type=click.IntRange(min=1), help="Watch: readings until it ends; without it, until Ctrl-C.")
@options.output("text", "wide", "json", "yaml")
@options.write("-w", "--write")
@options.namespace
@options.reading
@click.pass_obj
def cgroups(
    settings: Settings,
    target: str,
    container: str,
    everything: bool,
    watch: bool,
    interval: float | None,
    count: int | None,
    output_form: str,
    write: str | None,
) -> int:
    """Show the tree of control groups: whose each is, its limits, what is used of them, and what is wrong.

    A limit that holds is the smallest of a group and its ancestors. MEMORY is the working set: use without what the
    kernel can drop at once. With TARGET (a pod, a container, an address, pid/N, a group's path) each limit is told with
    whose it is; of a node it is the tree. A terminal gets as much of the tree as it has columns for.

    With --watch and -o json each reading is a document in a line of its own.

    Exit status: 0, 1 findings of severity error, 2 usage, 3 something could not be read.
    """
    asked = Asked(settings, target, container, not everything, output_form)
    if watch:
        if write not in (None, "-"):
            raise click.UsageError("--watch shows its readings: it writes no file")
        return _watched(asked, INTERVAL if interval is None else interval, count)
    if interval is not None or count is not None:
        raise click.UsageError("--interval and --count are of --watch")
    answer = asked.answer(asked.open())
    output.show(
        answer,
        lambda ink, width: asked.drawn(answer, ink, width),
        settings=settings,
        form=output_form,
        write=write,
    )
    return status(answer)


def status(answer: Cgroups) -> int:
    """A finding of severity error before something that was not read."""
    if any(finding.severity == "error" for finding in answer.findings):
        return 1
    return 3 if any(gap.what != NOT_NEEDED for gap in answer.gaps) else 0


def of_containers(tree: CgroupTree) -> CgroupTree:
    """The tree with the groups of pods and containers alone, and their ancestors."""
    kept: set[str] = set()
    for group in tree.groups:
        path = group.path if group.kind else ""
        while path and path not in kept:
            kept.add(path)
            path = path.rpartition("/")[0] or ("/" if path != "/" else "")
    return replace(tree, groups=tuple(group for group in tree.groups if group.path in kept))


def _is_a_nodes(answer: Cgroups) -> bool:
    """Whether it is all that a node has: what the root says is the host's, also of a node on it."""
    return all(tree.groups and tree.groups[0].path == "/" and len(tree.groups) > 1 for tree in answer.trees)


def _watched(asked: Asked, interval: float, count: int | None) -> int:
    """Show readings until there were enough. Ctrl-C ends it as it ends everything: see ``netfs_cli.run``."""
    from netfs_cli.redraw import Redrawn

    gc.enable()  # run() expects one answer; this goes on for hours
    ended = 0
    redrawn = Redrawn(sys.stdout) if sys.stdout.isatty() and asked.form in ("text", "wide") else None
    with closing(_readings(asked, interval)) as readings, redrawn or nullcontext():
        for number, answer in enumerate(islice(readings, count)):
            if redrawn is not None:
                redrawn.draw(_block(asked, answer, interval))
            else:
                between = "\n" if number and asked.form in ("text", "wide") else ""
                sys.stdout.write(between + _block(asked, answer, interval))
                sys.stdout.flush()
            ended = status(answer)
    return ended


def _readings(asked: Asked, interval: float) -> Generator[Cgroups]:
    """One answer after another, all but the first with rates.

    Which containers there are is asked again where groups came or went.
    """
    from netfs.container.rates import following

    before: Cgroups | None = None
    due = time.monotonic()
    while True:
        containers = asked.open()
        placed = containers.placed
        known: frozenset[tuple[str, str, int]] | None = None
        while True:
            answer = asked.answer(containers)
            yield answer if before is None else following(before, answer, placed)
            before = answer
            due = max(due + interval, time.monotonic())
            time.sleep(max(due - time.monotonic(), 0))
            groups = _groups(answer)
            if known is not None and groups != known:
                break
            known = groups


def _groups(answer: Cgroups) -> frozenset[tuple[str, str, int]]:
    return frozenset((tree.node, group.path, group.inode) for tree in answer.trees for group in tree.groups)


def _block(asked: Asked, answer: Cgroups, interval: float) -> str:
    """One reading as it is shown among others."""
    if asked.form == "json":
        import json

        return json.dumps(json.loads(output.to_json(answer)), separators=(",", ":")) + "\n"
    if asked.form == "yaml":
        return "---\n" + output.to_yaml(answer)
    ink = terminal.ink(asked.settings.colour, sys.stdout)
    head = ink.dim(f"{time.strftime('%H:%M:%S')}, every {interval:g} s")
    return f"{head}\n{asked.drawn(answer, ink, terminal.width(sys.stdout))}".rstrip("\n") + "\n"
