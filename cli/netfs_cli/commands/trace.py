"""``netfs trace``: the path of a packet, hop by hop, there and back."""

from __future__ import annotations

import click

from netfs_cli import options, output
from netfs_cli.command import Command
from netfs_cli.settings import Settings

EXAMPLES = """
netfs trace pod-a pod-b
netfs trace pod-a pod-b --proto tcp --port 80
netfs trace pod-a pod-b --size 1500              does a full-sized packet fit?
netfs trace team/web 10.244.2.7 --source file:cluster.json.zst
netfs trace pod-a node/node2 -o json
"""

STATUS = {"delivered": 0, "dropped": 1, "unknown": 3}


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("src")
@click.argument("dst")
@click.option("--proto", type=click.Choice(["icmp", "tcp", "udp"]), help="Protocol; tcp where a port is given.")
@click.option("--port", type=click.IntRange(1, 65535), help="Destination port of tcp and udp.")
@click.option("--sport", type=click.IntRange(1, 65535), help="Source port of tcp and udp.")
@click.option("--size", type=click.IntRange(28, 65535), help="Length of the IP packet in bytes.")
@click.option("--no-df", is_flag=True, help="Let routers fragment the packet (IPv4).")
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
    no_df: bool,
    family: int | None,
    output_form: str,
    write: str | None,
) -> int:
    """Follow a packet from SRC to DST and its answer back.

    Both are a POD, NAMESPACE/POD, node/NAME or an IP address. Nothing is sent: the path follows from what the
    nodes hold. Exit status: 0 delivered, 1 dropped, 2 usage, 3 undecided.
    """
    if proto is None:
        proto = "icmp" if port is None and sport is None else "tcp"

    answer = settings.load().trace(
        src,
        dst,
        proto=proto,
        port=port,
        sport=sport,
        size=size,
        df=not no_df,
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
    return STATUS[answer.verdict]
