"""``netfs trace``: the path of a packet, hop by hop, there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netfs_cli import options, output
from netfs_cli.command import Command
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from netfs.model.trace import Trace

EXAMPLES = """
netfs trace pod-a pod-b
netfs trace pod-a pod-b --proto tcp --port 80
netfs trace pod-a svc/web                        the Service's only port
netfs trace pod-a team/svc/web:https             a port by name, or by number
netfs trace pod-a node/node2 --port 30080        a node port
netfs trace pod-a pod-b --size 1450 --df         does a full-sized packet fit?
netfs trace team/web 10.244.2.7 --source file:cluster.json.zst
netfs trace pod-a node/node2 -o json
"""

STATUS = {"delivered": 0, "dropped": 1, "unknown": 3}


def status(answer: Trace) -> int:
    """The exit status: a packet that came through beside an error is no reason to call it well."""
    if answer.verdict == "delivered" and any(finding.severity == "error" for finding in answer.findings):
        return 1
    return STATUS[answer.verdict]


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("src")
@click.argument("dst")
@click.option(
    "--proto",
    type=click.Choice(["icmp", "tcp", "udp"]),
    help="Protocol; as the Service's port says, else tcp where a port is given, else icmp.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Destination port; a Service's only one by itself.")
@click.option("--sport", type=click.IntRange(1, 65535), help="Source port of tcp and udp.")
@click.option("--size", type=click.IntRange(28, 65535), help="Length of the IP packet in bytes.")
@click.option(
    "--df/--no-df",
    default=None,
    help="Never fragment the packet, not even at its sender; or let routers do it (IPv4). Default: as TCP, UDP and "
    "ping do.",
)
@click.option("-4", "family", flag_value=4, type=int, help="Use IPv4.")
@click.option("-6", "family", flag_value=6, type=int, help="Use IPv6.")
@options.output("text", "wide", "json", "yaml")
@options.write("-w", "--write")
@options.namespace
@options.reading
@click.pass_obj
def trace(
    settings: Settings,
    src: str,
    dst: str,
    proto: str | None,
    port: int | None,
    sport: int | None,
    size: int | None,
    df: bool | None,
    family: int | None,
    output_form: str,
    write: str | None,
) -> int:
    """Follow a packet from SRC to DST and its answer back.

    Both are a POD, NAMESPACE/POD, node/NAME, the name of what lies between the nodes (underlay) or an IP address. DST
    may be a Service as well: svc/NAME, NAMESPACE/svc/NAME, with :PORT by name or number. kube-proxy answers no ICMP:
    --proto icmp to a Service shows what the rules do with a ping.

    Nothing is sent: the path follows from what the nodes hold. Exit status: 0 delivered, 1 dropped or findings of
    severity error, 2 usage, 3 undecided.
    """
    answer = settings.load().trace(
        src,
        dst,
        proto=proto,
        port=port,
        sport=sport,
        size=size,
        df=df,
        family=family,
        namespace=settings.namespace or "default",
    )

    from netfs_cli.render.trace import render

    wide = output_form == "wide"
    output.show(
        answer,
        lambda ink, width: render(answer, ink, width=width, wide=wide),
        settings=settings,
        form=output_form,
        write=write,
    )
    return status(answer)
