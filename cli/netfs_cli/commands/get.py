"""``netfs get``: what was found, as ``kubectl get`` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netfs_cli import options, output, terminal
from netfs_cli.command import Command
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from netfs.api import Cluster

EXAMPLES = """
netfs get nodes
netfs get pods -A -o wide
netfs get services -A -o wide
netfs get links -o json | jq '.items[] | select(.kind == "vxlan")'
"""

KINDS = {name: kind for kind in ("node", "pod", "service", "link") for name in (kind, f"{kind}s")}
KINDS |= {"no": "node", "po": "pod", "svc": "service"}


def _kind(text: str) -> str:
    if text not in KINDS:
        raise click.BadParameter(f"nothing is called {text!r}: nodes, pods, services or links")
    return KINDS[text]


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("kind", type=_kind, metavar="nodes|pods|services|links")
@options.output("text", "wide", "json", "yaml", "name")
@click.option("--no-headers", is_flag=True, help="The rows alone.")
@options.write("--write")
@options.namespace
@options.all_namespaces
@options.reading
@click.pass_obj
def get(settings: Settings, kind: str, output_form: str, no_headers: bool, write: str | None) -> int:
    """List the nodes, the pods, the Services or the network devices that were found.

    Services are those of the cluster's API; where the source holds none of its objects, those that kube-proxy's rules
    on the nodes name (column FROM of -o wide).
    """
    from netfs_cli import inventory
    from netfs_cli.render import inventory as tables

    every = settings.all_namespaces
    namespace = None if every else settings.namespace or "default"

    cluster = settings.load()
    topology = cluster.topology
    answer: inventory.Nodes | inventory.Pods | inventory.Services | inventory.Links
    if kind == "node":
        answer = inventory.nodes(topology)
    elif kind == "pod":
        answer = inventory.pods(topology, namespace)
    elif kind == "service":
        answer = inventory.services(cluster.services, namespace)
    else:
        answer = inventory.links(topology)

    if not answer.items and output_form in ("text", "wide", "name"):
        terminal.note(_nothing(cluster, kind, namespace))
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


def _nothing(cluster: Cluster, kind: str, namespace: str | None) -> str:
    if kind not in ("pod", "service") or namespace is None:
        return f"no {kind}s found"
    others = sum(map(len, cluster.topology.pods.values())) if kind == "pod" else len(cluster.services)
    elsewhere = f"; {others} in others: netfs get {kind}s -A" if others else ""
    return f"no {kind}s found in namespace {namespace}{elsewhere}"
