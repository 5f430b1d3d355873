"""``netfs namespaces``: every namespace, who is in it, what keeps it alive, and whose it is."""

from __future__ import annotations

from time import perf_counter

import click

from netfs.model.processes import NAMESPACE_TYPES
from netfs_cli import options, output, terminal
from netfs_cli.command import Command
from netfs_cli.settings import Settings

EXAMPLES = """
netfs namespaces                        every namespace, with its pod and container
netfs namespaces pod-a                  those of a pod
netfs namespaces 4026532281             who is in this one?
netfs namespaces /run/netns/blue        and in the one pinned here?
netfs namespaces -t net --files         what keeps these alive, open files too?
netfs namespaces --tree                 who owns what
netfs namespaces -o json | jq '.namespaces[] | select(.leaked)'
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("target", metavar="[TARGET]", required=False, default="")
@click.option(
    "-t", "--type", "types", multiple=True, type=click.Choice(NAMESPACE_TYPES), help="Only this type; may be repeated."
)
@click.option("--tree", is_flag=True, help="Nest them: what a user namespace owns, PID namespaces in their parents.")
@click.option("--files", is_flag=True, help="Look through every process's open files too: they keep namespaces alive.")
@click.option("-c", "--container", metavar="NAME", default="", help="Which container of a pod that has several.")
@options.namespace
@options.output("text", "wide", "json", "yaml")
@options.write("-w", "--write")
@options.reading
@click.pass_obj
def namespaces(
    settings: Settings,
    target: str,
    types: tuple[str, ...],
    tree: bool,
    files: bool,
    container: str,
    output_form: str,
    write: str | None,
) -> int:
    """List namespaces of all eight types: who is in them, what keeps them alive, which pod and container has them.

    Found are those of processes and threads, those pinned by a mount in whatever mount namespace, those that only own
    others or are their parents, and mount namespaces that no process has (from Linux 6.12 on). Shared is what several
    containers have; leaked what only a pin keeps, while no engine knows it. Beside others, a node's own are told in
    brief; -o wide lists them.

    TARGET is a pod, a container, an address, a node, pid/N, the inode of a namespace, net:[INODE], or a path it is
    pinned at.

    Exit status: 0, 1 findings of severity error, 2 where nothing is called so, 3 where something could not be read.
    """
    import netfs
    from netfs.collect.namespaces.read import UNLISTED

    started = perf_counter()
    containers = netfs.containers(*settings.reachable(), timeout=settings.timeout)
    answer = containers.namespaces(
        target, types=types, open_files=files, namespace=settings.namespace or "", container=container
    )
    if settings.verbose:
        milliseconds = (perf_counter() - started) * 1000
        terminal.note(f"read {len(answer.namespaces)} namespaces in {milliseconds:.0f} ms")

    from netfs_cli.render.namespaces import render

    output.show(
        answer,
        lambda ink, width: render(
            answer,
            ink,
            width=width,
            wide=output_form == "wide",
            tree=tree,
            columns=None if width is None else terminal.columns(),
        ),
        settings=settings,
        form=output_form,
        write=write,
    )
    if any(finding.severity == "error" for finding in answer.findings):
        return 1
    return 3 if any(gap.what != UNLISTED for gap in answer.gaps) else 0
