"""``netfs trace``: the path of a packet, hop by hop, there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netfs_cli import options, output
from netfs_cli.command import Command
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from netfs.capture.wish import Wish
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
netfs trace pod-a pod-b --live                   and see a real packet do it
netfs trace pod-a pod-b --live -w trace.pcapng   the whole journey, for Wireshark
netfs trace pod-a svc/web --live --count 20 --interval 50ms
"""

STATUS = {"delivered": 0, "dropped": 1, "unknown": 3}


def status(answer: Trace) -> int:
    """The exit status: a packet that came through beside an error is no reason to call it well.

    Of a live trace, what was seen decides where the prediction could not, or was disproved.
    """
    if any(finding.severity == "error" for finding in answer.findings):
        return 1 if answer.verdict == "delivered" else STATUS[answer.verdict]
    if answer.live is None:
        return STATUS[answer.verdict]
    ways = (answer.live.forward, answer.live.reverse)
    if all(way.sent and way.arrived == way.sent for way in ways):
        return 1 if answer.verdict == "dropped" else 0
    if any(way.verdict in ("lost", "other-path") and (way.arrived < way.sent or not way.sent) for way in ways):
        return 1
    if any(way.verdict == "unheard" for way in ways):
        return STATUS["unknown"] if answer.verdict == "delivered" else STATUS[answer.verdict]
    return 1


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
@click.option("--live", is_flag=True, help="Send the packet, too, and lay what is seen of it beside the prediction.")
@click.option(
    "--count", type=click.IntRange(1, 1000), default=1, show_default=True, help="Live: how many packets are sent."
)
@click.option(
    "--interval",
    type=options.duration,
    default="200ms",
    show_default=True,
    metavar="DURATION",
    help="Live: the time between two packets.",
)
@click.option(
    "--wait",
    type=options.duration,
    default="1s",
    show_default=True,
    metavar="DURATION",
    help="Live: how long a missing answer is waited for.",
)
@options.output("text", "wide", "json", "yaml")
@options.write("-w", "--write", more=", .pcapng writes what --live saw")
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
    live: bool,
    count: int,
    interval: float,
    wait: float,
    output_form: str,
    write: str | None,
) -> int:
    """Follow a packet from SRC to DST and its answer back.

    Both are a POD, NAMESPACE/POD, node/NAME, the name of what lies between the nodes (underlay) or an IP address. DST
    may be a Service as well: svc/NAME, NAMESPACE/svc/NAME, with :PORT by name or number. kube-proxy answers no ICMP:
    --proto icmp to a Service shows what the rules do with a ping.

    Nothing is sent without --live: the path follows from what the nodes hold. With it, one marked packet is sent from
    SRC, heard at every device of every namespace on its way and around it, and laid beside the prediction; on this
    host's own kernel, where tracefs may be used, the kernel says where it dropped it. Where it vanishes in its tunnel
    between two nodes, a plain ping from one to the other is sent too.

    Exit status: 0 delivered, 1 dropped (or lost, seen live) or findings of severity error, 2 usage, 3 undecided.
    """
    captured = write if write is not None and write.endswith(".pcapng") else None
    if captured is not None and not live:
        raise click.UsageError(f"{write}: there are packets to write only with --live")
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
        live=_wish(count, interval, wait, captured) if live else None,
    )

    from netfs_cli.render.trace import render

    wide = output_form == "wide"
    output.show(
        answer,
        lambda ink, width: render(answer, ink, width=width, wide=wide),
        settings=settings,
        form=output_form,
        write=write if captured is None else None,
    )
    return status(answer)


def _wish(count: int, interval: float, wait: float, write: str | None) -> Wish:
    from netfs.capture.wish import Wish

    return Wish(count=count, interval_s=interval, wait_s=wait, write=write)
