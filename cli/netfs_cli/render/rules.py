"""The rules of a firewall that a packet met, one line each.

        nat KUBE-SERVICES: -d 10.96.0.10/32 -p tcp -j KUBE-SVC-X  [12 packets, 720 bytes]
      → nat KUBE-SEP-Y: -p tcp -j DNAT --to-destination 10.244.2.2:80

An arrow stands before the rules that decided.
"""

from __future__ import annotations

from collections.abc import Iterator

from netfs.model.text import printable
from netfs.model.trace import Hop, RuleMet
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import column, count
from netfs_cli.render.table import cells_wide


def hidden(hop: Hop) -> bool:
    """Whether a hop tells of nothing but rules that led on: told only to who asks for all."""
    return hop.stage == "netfilter" and hop.action == "accept" and not any(rule.decided for rule in hop.rules)


def rules(hop: Hop, ink: Ink, *, indent: int, width: int | None, wide: bool) -> Iterator[str]:
    """The rules that decided, unless the hop's own words name them; ``wide``: every rule met."""
    for rule in hop.rules:
        if wide or (rule.decided and rule.rule not in hop.why):
            yield _line(rule, ink, indent, width)


def _line(rule: RuleMet, ink: Ink, indent: int, width: int | None) -> str:
    arrow = ink.sign("→")
    sign = arrow if rule.decided else " " * cells_wide(arrow)
    start = f"{' ' * indent}{sign} {printable(rule.chain)}: "
    chain = rule.chain.rpartition(" ")[2]
    words = rule.rule.removeprefix(f"-A {chain} ")
    line = start + column(words + _counted(rule), indent + cells_wide(arrow) + 3, width)
    return line if rule.decided else ink.dim(line)


def _counted(rule: RuleMet) -> str:
    if rule.packets is None:
        return ""
    return f"  [{count(rule.packets, 'packet')}, {count(rule.bytes or 0, 'byte')}]"
