"""``netfs doctor``: every finding on every node."""

from __future__ import annotations

from dataclasses import dataclass

import click

from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs_cli import options, output
from netfs_cli.command import Command
from netfs_cli.settings import Settings

EXAMPLES = """
netfs doctor
netfs doctor --source file:cluster.json.zst
netfs doctor -o json | jq -r '.findings[] | .slug + " " + .object'
"""

DECISIVE = frozenset({"netns", "links", "addresses", "routes", "rules", "neighbours", "netconf", "fdb"})
DECISIVE |= {"nft", "iptables_legacy", "ip6tables_legacy"}
"""What must have been read before a node may be called healthy, in the collector's words (``Gap.what``)."""


@dataclass(frozen=True, slots=True)
class Examination:
    """The answer of ``netfs doctor``."""

    verdict: str
    """``healthy``, ``defective`` (a finding of severity error) or ``unknown`` (something decisive was not read)."""
    nodes: int
    pods: int
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    schema: str = "netfs.findings/v1"


STATUS = {"healthy": 0, "defective": 1, "unknown": 3}


@click.command(cls=Command, examples=EXAMPLES)
@options.output("text", "wide", "json", "yaml")
@options.write("-w", "--write")
@options.reading
@click.pass_obj
def doctor(settings: Settings, output_form: str, write: str | None) -> int:
    """Look for everything that is wrong, on every node, and say how to repair it.

    Of live nodes (lab, local, pid:PID) also what their containers lack: limits that are met, processes that were killed
    for memory, namespaces that leaked. What layer stores hold is not looked at: see netfs layers.

    Exit status: 0 healthy, 1 findings of severity error, 2 usage, 3 something decisive could not be read.
    """
    cluster = settings.load()
    topology = cluster.topology
    held = cluster.containers()
    more, unread = held.findings() if held is not None else ((), ())
    answer = examination(
        (*cluster.findings(), *more),
        tuple(dict.fromkeys((*topology.gaps, *unread))),
        nodes=len(topology.nodes),
        pods=sum(map(len, topology.pods.values())),
    )

    from netfs_cli.render.doctor import render

    wide = output_form == "wide"
    output.show(
        answer,
        lambda ink, width: render(answer, ink, width=width, wide=wide),
        settings=settings,
        form=output_form,
        write=write,
    )
    return STATUS[answer.verdict]


def examination(findings: tuple[Finding, ...], gaps: tuple[Gap, ...], *, nodes: int, pods: int) -> Examination:
    """The findings with their verdict: defective before unknown before healthy."""
    if any(finding.severity == "error" for finding in findings):
        verdict = "defective"
    elif nodes == 0 or any(gap.what in DECISIVE for gap in gaps):
        verdict = "unknown"
    else:
        verdict = "healthy"
    return Examination(verdict, nodes, pods, tuple(findings), tuple(gaps))
