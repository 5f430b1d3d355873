"""What can be named on nodes, and what several answers say alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from netfs.container.answers.sources import Network
from netfs.container.node import Node
from netfs.container.targets import Known
from netfs.model.gaps import Gap


def known(nodes: Sequence[Node], target: str = "", network: Callable[[], Network] | None = None) -> Known:
    """Every container, process and node that can be named; where ``target`` is an address, also who has it.

    Engines know few addresses (a CNI plugin gives them, in the pod's network namespace): ``network`` is asked then.
    """
    placed = [each for node in nodes for each in node.placed]
    pids = {process.pid: node.name for node in nodes for process in node.processes}
    told = network is None or any(target in each.container.addresses for each in placed)
    addresses = {} if told or not _is_address(target) else _holders(nodes, target, network)
    return Known(placed, [node.name for node in nodes], pids, addresses)


def _is_address(text: str) -> bool:
    """An address that one host alone has."""
    from ipaddress import ip_address

    try:
        return not ip_address(text).is_loopback
    except ValueError:
        return False


def _holders(
    nodes: Sequence[Node], address: str, network: Callable[[], Network] | None
) -> Mapping[str, tuple[str, str]]:
    """By that address the node and pod, or the node alone, in whose network namespace it is."""
    if network is None:
        return {}
    from ipaddress import ip_address

    wanted = ip_address(address)
    held = {
        view.netns.id
        for view in network().topology.views.values()
        for of_link in view.addresses.values()
        for each in of_link
        if ip_address(each.local) == wanted
    }
    for node in nodes:
        for each in node.placed:
            first = node.by_pid.get(each.init) if each.init is not None else None
            inode = first.namespaces.get("net") if first is not None else None
            if inode in held and inode != node.initial.get("net"):
                return {address: (node.name, each.container.in_pod)}
    own = next((node.name for node in nodes if node.initial.get("net") in held), None)
    return {} if own is None else {address: (own, "")}


def gaps(nodes: Iterable[Node], more: Iterable[Iterable[Gap]]) -> tuple[Gap, ...]:
    """What was not read, each once: nodes of one host share what they could not see."""
    own = (gap for node in nodes for gap in node.gaps)
    return tuple(dict.fromkeys([*own, *(gap for gaps in more for gap in gaps)]))
