"""``netfs get``: what was found, as ``kubectl get`` shows it."""

from __future__ import annotations

import click

from netfs_cli import options, output, terminal
from netfs_cli.command import Command
from netfs_cli.settings import Settings

EXAMPLES = """
netfs get nodes
netfs get pods -A -o wide
netfs get links
netfs get links -o json | jq '.items[] | select(.kind == "vxlan")'
"""

KINDS = {name: kind for kind in ("node", "pod", "link") for name in (kind, f"{kind}s")} | {"no": "node", "po": "pod"}


def _kind(text: str) -> str:
    if text not in KINDS:
        raise click.BadParameter(f"nothing is called {text!r}: nodes, pods or links")
    return KINDS[text]


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("kind", type=_kind, metavar="nodes|pods|links")
@options.output("text", "wide", "json", "yaml", "name")
@click.option("--no-headers", is_flag=True, help="The rows alone.")
@options.write("--write")
@options.namespace
@options.all_namespaces
@options.reading
@click.pass_obj
def get(settings: Settings, kind: str, output_form: str, no_headers: bool, write: str | None) -> int:
    """List the nodes, the pods or the network devices that were found."""
    from netfs_cli import inventory
    from netfs_cli.render import inventory as tables

    every = settings.all_namespaces
    namespace = None if every else settings.namespace or "default"

    topology = settings.load().topology
    answer: inventory.Nodes | inventory.Pods | inventory.Links
    if kind == "node":
        answer = inventory.nodes(topology)
    elif kind == "pod":
        answer = inventory.pods(topology, namespace)
    else:
        answer = inventory.links(topology)

    if not answer.items and output_form in ("text", "wide", "name"):
        terminal.note(_nothing(kind, namespace, len(inventory.pods(topology, None).items)))
        return 0
    output.show(
        answer,
        lambda ink, _: tables.render(
            answer, ink, wide=output_form == "wide", names=output_form == "name", headers=not no_headers, every=every
        ),
        settings=settings,
        form=output_form,
        write=write,
    )
    return 0


def _nothing(kind: str, namespace: str | None, pods: int) -> str:
    if kind != "pod" or namespace is None:
        return f"no {kind}s found"
    return f"no pods found in namespace {namespace}" + (f"; {pods} in others: netfs get pods -A" if pods else "")
