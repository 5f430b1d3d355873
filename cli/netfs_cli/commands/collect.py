"""``netfs collect``: snapshots of every node of the sources, as one document."""

from __future__ import annotations

import sys

import click

from netfs_cli import options, terminal
from netfs_cli.command import Command
from netfs_cli.settings import Settings

EXAMPLES = """
netfs collect -w cluster.json.zst
netfs collect --source netns:n1 --source netns:n2 -w two.json
netfs collect | jq '.nodes[].name'
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.option("-w", "--write", metavar="FILE", help="FILE ends in .json or .json.zst; without it, JSON on stdout.")
@options.reading
@click.pass_obj
def collect(settings: Settings, write: str | None) -> int:
    """Read every node and keep what was read.

    Every question can be asked of the file later, on any machine: netfs trace pod-a pod-b --source file:FILE.
    """
    import netfs

    if write is not None and write != "-" and not write.endswith((".json", ".json.zst")):
        raise click.UsageError(f"{write}: a snapshot file ends in .json or .json.zst")

    snapshots = settings.load().snapshots
    if write is None or write == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(netfs.dumps(snapshots).rstrip(b"\n") + b"\n")
        sys.stdout.buffer.flush()
    else:
        netfs.save(snapshots, write)

    nodes = [node for node in snapshots.nodes if node.role == "node"]
    gaps = sum(len(node.gaps) for node in snapshots.nodes)
    pods = sum(len(node.pods) for node in nodes)
    terminal.note(f"{len(nodes)} nodes, {pods} pods, {gaps} gaps{f' in {write}' if write else ''}")
    return 0
