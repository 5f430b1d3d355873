"""``netfs capture``: packets at every device of every node, until stopped."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from shutil import get_terminal_size
from typing import TYPE_CHECKING

import click

from netfs_cli import options, output, terminal
from netfs_cli.command import Command
from netfs_cli.settings import Settings

if TYPE_CHECKING:
    from netfs.capture.recording import Progress, Writer

EXAMPLES = """
netfs capture                                    every packet, a line for each tap that sees it
netfs capture --pod pod-a -w pod-a.pcapng        one pod's packets at every node, tunnelled or not
netfs capture --filter 'tcp port 80' -c 100
netfs capture --node node1 --duration 10s -w node1.pcapng
netfs capture -w - | wireshark -k -i -
"""


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ends of a recording: the file is finished. One that is ignored (nohup) stays so, but for Ctrl-C."""


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--node", "nodes", multiple=True, metavar="NODE", help="Listen at this node only; may be repeated.")
@click.option(
    "--pod", "pods", multiple=True, metavar="POD", help="Only packets from or to this pod, at every node; repeatable."
)
@click.option(
    "--filter",
    "expression",
    default="",
    metavar="EXPR",
    help="Only packets that fit: words of pcap-filter(7), tried on the outer packet and inside its tunnels.",
)
@click.option(
    "--port",
    "ports",
    type=click.IntRange(1, 65535),
    multiple=True,
    help="Look for VXLAN behind this UDP port, too; usual ones and those of the nodes' own devices are known.",
)
@click.option("-c", "--count", type=click.IntRange(min=1), help="End after this many packets.")
@click.option("--duration", type=options.duration, metavar="DURATION", help="End after this time: 10s, 5m.")
@click.option(
    "--snaplen",
    type=click.IntRange(1, 262144),
    default=262144,
    metavar="BYTES",
    help="Keep this much of a packet; default: all of it.",
)
@click.option(
    "-w",
    "--write",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write pcapng to FILE, to stdout where it is -; without it, a line for each packet.",
)
@options.output("text", "json")
@options.namespace
@options.reading
@click.pass_obj
def capture(
    settings: Settings,
    nodes: tuple[str, ...],
    pods: tuple[str, ...],
    expression: str,
    ports: tuple[int, ...],
    count: int | None,
    duration: float | None,
    snaplen: int,
    write: str | None,
    output_form: str,
) -> int:
    """Record what every device of every node hears, in one file whose interfaces are the devices, until Ctrl-C.

    Each packet is there once for each device that it passed, in the order of time. Nothing is sent, nothing changed.
    What was recorded is told at the end: on stdout, or on stderr where stdout has the packets. With -o json and without
    -w, packets are counted alone.
    """
    if write == "-" and sys.stdout.isatty():
        raise click.UsageError("-w - writes packets to a pipe: netfs capture -w - | wireshark -k -i -")
    from netfs.capture.record import record, tunnels
    from netfs.capture.recording import RecordWish
    from netfs.sources.reach import reach
    from netfs_cli.render.capture import render

    wish = RecordWish(
        nodes=nodes,
        pods=pods,
        namespace=settings.namespace or "default",
        expression=expression,
        ports=ports,
        count=count,
        duration_s=duration,
        snaplen=snaplen,
    )
    cluster = settings.load()
    gc.freeze()
    gc.enable()  # it may run for days
    reaches = reach(cluster.snapshots, cluster.uris)
    lines = write is None and output_form == "text"
    with ExitStack() as opened:
        until = opened.enter_context(_watching(counted=not lines))
        writer = partial(_writer, opened, write, tunnels(cluster.topology, wish), lines=lines)
        recorded = replace(record(reaches, cluster.topology, wish, writer, until), file=write)
    stream = sys.stderr if lines or write == "-" else sys.stdout
    if output_form == "json":
        stream.write(output.to_json(recorded))
    else:
        stream.write(render(recorded, terminal.ink(settings.colour, stream)))
    return 0


def _writer(opened: ExitStack, write: str | None, ports: tuple[int, ...], *, lines: bool) -> Writer:
    """What takes the packets: a file, a pipe, lines on stdout, or, where only numbers are asked for, nothing."""
    if write is None:
        from netfs_cli.render.capture import Lines, Nothing

        return Lines(sys.stdout, ports) if lines else Nothing()
    from netfs import __version__
    from netfs.capture.file.writer import PcapngWriter
    from netfs.capture.spool import Spool

    place = sys.stdout.fileno() if write == "-" else write
    file = opened.enter_context(open(place, "wb", buffering=0, closefd=write != "-"))  # noqa: SIM115  # the stack closes it
    name = "standard output" if write == "-" else write
    return PcapngWriter(Spool(file.fileno(), name), application=f"netfs {__version__}")


@contextmanager
def _watching(*, counted: bool) -> Iterator[Callable[[Progress], bool]]:
    """Whether somebody has said stop (``STOPS``); meanwhile a terminal's stderr counts, or says why it is silent.

    The second Ctrl-C ends at once, whatever is still to be written.
    """
    from netfs_cli.render.capture import counter

    stopped = False
    silent = sys.stderr.isatty() and not counted
    counted = sys.stderr.isatty() and counted

    def stop(number: int, _: object) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(number, before[number])

    def until(progress: Progress) -> bool:
        nonlocal silent
        if counted:
            sys.stderr.write(f"\r\x1b[K{counter(progress, get_terminal_size().columns)}")
            sys.stderr.flush()
        elif silent:
            if not progress.packets:
                sys.stderr.write(f"{counter(progress, get_terminal_size().columns)}\n")
            silent = False
        return stopped

    numbers = [number for number in STOPS if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN]
    before = {int(number): signal.signal(number, stop) for number in numbers}
    try:
        yield until
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if counted:
            sys.stderr.write("\r\x1b[K")
