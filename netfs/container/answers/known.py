"""What can be named on nodes, and what several answers say alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netfs.container.node import Node
from netfs.container.targets import Known
from netfs.model.gaps import Gap


def known(nodes: Sequence[Node]) -> Known:
    """Every container, process and node that can be named."""
    placed = [each for node in nodes for each in node.placed]
    pids = {process.pid: node.name for node in nodes for process in node.processes}
    return Known(placed, [node.name for node in nodes], pids)


def gaps(nodes: Iterable[Node], more: Iterable[Iterable[Gap]]) -> tuple[Gap, ...]:
    """What was not read, each once: nodes of one host share what they could not see."""
    own = (gap for node in nodes for gap in node.gaps)
    return tuple(dict.fromkeys([*own, *(gap for gaps in more for gap in gaps)]))
