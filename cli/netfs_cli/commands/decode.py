"""``netfs decode``: the flows of a capture, and what is suspicious about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from netfs_cli import options, output
from netfs_cli.command import Command
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from netfs.api import Cluster
    from netfs.model.flows import Flow
    from netfs_cli.render.ink import Ink

EXAMPLES = """
netfs decode node1.pcap
netfs decode node1.pcap --source file:cluster.json.zst --pod pod-a
netfs decode node1.pcap --filter 'tcp and port 80' --vni 1 -o wide
tcpdump -i eth0 -w - udp port 8472 | netfs decode -
netfs decode node1.pcap -o json | jq -r '.suspicions[] | .slug + ": " + .why'
"""
SHOWN = 20
"""Conversations that text shows where nobody says how many."""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("file", metavar="FILE")
@click.option("--pod", metavar="POD", help="Flows from or to this pod or Service: its name, or an address.")
@click.option("--node", metavar="NODE", help="Flows from, to or through a node and its pods: its name, or an address.")
@click.option("--filter", "expression", metavar="EXPR", help="Flows that fit an expression, as of pcap-filter(7).")
@click.option("--vni", type=click.IntRange(0, 2**32 - 1), metavar="N", help="Flows in a tunnel with this VNI or key.")
@click.option("--proto", metavar="PROTO", help="Flows of this protocol: tcp, udp, icmp, icmpv6, sctp, arp, …")
@click.option(
    "--port",
    "ports",
    type=click.IntRange(1, 65535),
    multiple=True,
    metavar="N",
    help="A UDP port of VXLAN beside 8472, 4789 and those of the source's devices; repeatable.",
)
@click.option(
    "--sort",
    type=click.Choice(["bytes", "packets", "time"]),
    default="bytes",
    show_default=True,
    help="Most bytes, most packets, or the earliest first.",
)
@click.option(
    "--limit", type=click.IntRange(1, 2**31), metavar="N", help=f"Show so many; text shows {SHOWN} by itself."
)
@click.option("--all", "everything", is_flag=True, help="Show all.")
@options.output("text", "wide", "json", "yaml")
@options.write("-w", "--write")
@options.namespace
@options.reading
@click.pass_obj
def decode(
    settings: Settings,
    file: str,
    pod: str | None,
    node: str | None,
    expression: str | None,
    vni: int | None,
    proto: str | None,
    ports: tuple[int, ...],
    sort: str,
    limit: int | None,
    everything: bool,
    output_form: str,
    write: str | None,
) -> int:
    """Decode a capture, pcap or pcapng, into flows, and say what is suspicious.

    FILE may be compressed with gzip or zstd; - is stdin. VXLAN, Geneve, IPIP, GRE and VLANs are unwrapped.

    Nodes are read where a source is named (--source, NETFS_SOURCE), or a pod or node by its name: a capture may come
    from anywhere, and a lab or host that happens to be here would lend it wrong names.

    Exit status: 0 no suspicion of severity error, 1 there is one, 2 usage, 3 nothing could be read.
    """
    import netfs
    from netfs.capture.flows import select
    from netfs_cli.progress import Progress

    if limit is not None and everything:
        raise click.UsageError("--limit and --all contradict each other")
    form = output.form_of(write, output_form)
    wanted = _question(expression) if expression is not None else None
    cluster = _cluster(settings, pod, node)
    topology = cluster.topology if cluster is not None else None
    ends = select.addresses_of_pod(topology, pod, settings.namespace or "default") if pod is not None else None
    anywhere = select.addresses_of_node(topology, node) if node is not None else None

    with Progress(file) as progress:
        whole = netfs.decode(file, cluster=cluster, ports=ports, on_progress=progress)
    chosen = select.select(whole, ends=ends, anywhere=anywhere, question=wanted, vni=vni, proto=proto)
    text = form in ("text", "wide")
    answer = select.ordered(chosen, sort, None if text else limit)
    left_out = len(whole.flows) - len(chosen.flows)

    def drawn(ink: Ink, width: int | None) -> str:
        from netfs_cli.render.decode import Wish, render

        most = None if everything else limit or SHOWN
        sources = tuple(settings.sources)
        wish = Wish(wide=form == "wide", limit=most, sort=sort, left_out=left_out, sources=sources)
        return render(answer, ink, width=width, wish=wish)

    output.show(answer, drawn, settings=settings, form=output_form, write=write)
    if whole.warnings and not whole.packets:
        return 3
    return 1 if any(each.severity == "error" for each in chosen.suspicions) else 0


def _question(expression: str) -> Callable[[Flow], bool]:
    from netfs.capture.flows import question

    return question.of(expression)


def _cluster(settings: Settings, pod: str | None, node: str | None) -> Cluster | None:
    """The source, where one is named or somebody is asked for by name."""
    from netfs.capture.flows.select import address_in

    by_name = any(each is not None and address_in(each) is None for each in (pod, node))
    return settings.load() if settings.uris() or by_name else None
