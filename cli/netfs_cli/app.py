"""The root of the command line: the table of commands, and the options that stand before them."""

from __future__ import annotations

import click

from netfs_cli import options
from netfs_cli.command import LazyGroup

COMMANDS = {
    "lab": ("netfs_cli.commands.lab", "A small cluster of real kernel objects on this machine."),
    "trace": ("netfs_cli.commands.trace", "The path of a packet, hop by hop, there and back."),
    "decode": ("netfs_cli.commands.decode", "The flows of a capture, and what is suspicious about them."),
    "capture": ("netfs_cli.commands.capture", "Packets at every device of every node, in one file."),
    "get": ("netfs_cli.commands.get", "Nodes, pods and links that were found."),
    "layers": ("netfs_cli.commands.layers", "Where a file of a container comes from, who owns a layer."),
    "inspect": ("netfs_cli.commands.inspect", "Everything that makes a pod what it is."),
    "namespaces": ("netfs_cli.commands.namespaces", "Namespaces: who is in them, what keeps them, whose they are."),
    "cgroups": ("netfs_cli.commands.cgroups", "Control groups: limits, use, pressure, by pod and container."),
    "doctor": ("netfs_cli.commands.doctor", "Everything that is wrong, on every node."),
    "explain": ("netfs_cli.commands.explain", "What a fault is, how it shows, how to repair it."),
    "collect": ("netfs_cli.commands.collect", "Snapshots of every node, in one file."),
}

EXAMPLES = """
netfs lab up                                   a cluster to try things on
netfs trace pod-a pod-b                        where does the packet go?
netfs layers which pod-a /etc/hosts            where does this file come from?
netfs inspect pod-a                            what is this pod made of?
netfs doctor                                   what is wrong here?
netfs collect -w cluster.json.zst              take the evidence home
netfs trace pod-a pod-b --source file:cluster.json.zst
"""


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from netfs import __version__

        click.echo(f"netfs {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, table=COMMANDS, examples=EXAMPLES, no_args_is_help=False, invoke_without_command=True)
@options.reading
@options.namespace
@options.all_namespaces
@click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """Show how a packet gets from one pod to another and where its files come from, and say what is broken."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
