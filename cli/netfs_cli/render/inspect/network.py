"""The network of a pod: devices with their way out, routes, names, sockets."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.model.inspected import Inspected, InspectedContainer, Interface, Socket
from netfs.model.process_facts import Resolver
from netfs.model.text import printable
from netfs_cli.render.inspect import container
from netfs_cli.render.inspect.block import Style, aligned, labelled
from netfs_cli.render.layers.words import brief
from netfs_cli.render.prose import count

FROM = "from "
"""Before the file that is mounted over /etc/resolv.conf."""
ROUTES = 6
SOCKETS = 8
DEVICES = 6
"""Told one by one."""


def lines(answer: Inspected, style: Style) -> list[str]:
    """The network's part of the page."""
    told = []
    if has_nodes(answer) and not style.wide:
        told += labelled("Interfaces", [_nodes_own(answer)], style)
    else:
        told += labelled("Interfaces", _interfaces(answer, style), style)
        routes = _folded(_routes(answer, style), ROUTES, style)
        told += labelled("Routes", [*routes, *_no_default(answer, style)], style)
    if not answer.interfaces:
        told += labelled("Addresses", _written_down(answer), style)
    told += labelled("DNS", _names(answer, style), style)
    told += labelled("Listening", _folded(_sockets(answer.sockets), SOCKETS, style), style)
    return told


def has_nodes(answer: Inspected) -> bool:
    """Whether it has the node's own network, and is not the node."""
    return answer.kind != "node" and any(
        space.type == "net" and space.with_node for each in answer.containers for space in each.namespaces
    )


def _nodes_own(answer: Inspected) -> str:
    held = f", {count(len(answer.interfaces), 'device')} (netfs get links)" if answer.interfaces else ""
    return f"the node's own network{held}"


def _written_down(answer: Inspected) -> Iterator[str]:
    found = dict.fromkeys(address for each in answer.containers for address in each.container.addresses)
    if found:
        yield f"{', '.join(map(printable, found))}, as its engine wrote down"


def _folded(lines: list[str], most: int, style: Style) -> Iterator[str]:
    """The first of them, and how many more there are."""
    shown = lines if style.wide or len(lines) <= most else lines[: most - 1]
    yield from (style.cut(line, style.room) for line in shown)
    if len(shown) < len(lines):
        yield style.ink.dim(f"and {len(lines) - len(shown)} more (-o wide)")


def _interfaces(answer: Inspected, style: Style) -> Iterator[str]:
    told = [each for each in answer.interfaces if style.wide or not _is_plain_loopback(each)]
    if answer.interfaces and not told:
        yield "loopback alone"
        return
    shown = told if style.wide or len(told) <= DEVICES else told[: DEVICES - 1]
    rows = [
        [
            each.name,
            each.kind if each.kind != each.name else "",
            "" if each.up else "down",
            ", ".join(_addresses(each, style)) or "no address",
            each.mac if style.wide or each.kind != "lo" else "",
            f"mtu {each.mtu}" if each.mtu else "",
        ]
        for each in shown
    ]
    for each, line in zip(shown, aligned(rows), strict=True):
        yield style.cut(line, style.room)
        way = _way(answer, each, style)
        yield style.cut(f"  {way}", style.room) if way else ""
    if len(shown) < len(told):
        yield style.ink.dim(f"and {len(told) - len(shown)} more (-o wide)")


def _is_plain_loopback(each: Interface) -> bool:
    return each.kind == "lo" and each.up and set(each.addresses) <= {"127.0.0.1/8", "::1/128"}


def _addresses(each: Interface, style: Style) -> list[str]:
    """Those that others can reach; where there is none but link-local ones, these."""
    wider = [address for address in each.addresses if not address.lower().startswith("fe80:")]
    return list(each.addresses) if style.wide or not wider else wider


def _way(answer: Inspected, each: Interface, style: Style) -> str:
    """``eth0 → veth3a2f → cni0 → eth0``; how far it is known, where it is not to the end."""
    if each.kind == "lo" or has_nodes(answer):
        return ""
    arrow = f" {style.ink.sign('→')} "
    place = f"  (on {each.peer_netns})" if each.peer_netns else ""
    if len(each.way) > 1:
        return arrow.join(each.way) + place
    if each.peer:
        return arrow.join([each.name, each.peer, *([each.bridge] if each.bridge else [])]) + place
    return "its other end was not seen" if each.kind in ("veth", "netkit") else ""


def _routes(answer: Inspected, style: Style) -> list[str]:
    """Without those of link-local and multicast addresses, which every device brings along."""
    noise = ("fe80::/", "ff00::/", "multicast ")
    found = [route for route in answer.routes if style.wide or not route.startswith(noise)]
    return [printable(route) for route in found]


def _no_default(answer: Inspected, style: Style) -> Iterator[str]:
    alone = all(each.kind == "lo" for each in answer.interfaces)
    if not alone and not any(route.startswith("default ") for route in answer.routes):
        yield style.ink.doubtful("no default route")


def _names(answer: Inspected, style: Style) -> Iterator[str]:
    """What each container asks for names; told once where all have the same."""
    known = [
        (each, each.facts.resolver) for each in answer.containers if each.facts is not None and each.facts.resolver
    ]
    distinct = {_resolver(resolver) for _, resolver in known}
    for each, resolver in known if len(distinct) > 1 else known[:1]:
        whose = f"{container.name(each)}: " if len(distinct) > 1 else ""
        yield style.told(f"{whose}{_resolver(resolver)}")
        if resolver.source and not style.wide:
            room = None if style.room is None else style.room - len(FROM)
            yield FROM + style.ending(brief(resolver.source), room)
    for each, resolver in known if style.wide else ():
        yield from _in_full(each, resolver)


def _resolver(resolver: Resolver) -> str:
    told = [", ".join(resolver.nameservers) or "no nameserver"]
    told += [f"search {' '.join(resolver.search)}"] if resolver.search else []
    told += [" ".join(resolver.options)] if resolver.options else []
    return "; ".join(told)


def _in_full(each: InspectedContainer, resolver: Resolver) -> Iterator[str]:
    if resolver.source:
        yield printable(f"{container.name(each)}: /etc/resolv.conf comes from {resolver.source}")
    for address, hosts in each.facts.hosts.items() if each.facts is not None else ():
        yield printable(f"{container.name(each)}: {address} is {' '.join(hosts)}")


def _sockets(sockets: tuple[Socket, ...]) -> list[str]:
    return aligned([[each.proto, _at(each), _whose(each)] for each in sockets])


def _at(each: Socket) -> str:
    address = f"[{each.address}]" if ":" in each.address else each.address
    return f"{address}:{each.port}" + (f" on {each.device}" if each.device else "")


def _whose(each: Socket) -> str:
    if not each.pids:
        return ""
    more = f" and {len(each.pids) - 1} more" if len(each.pids) > 1 else ""
    return f"{each.command} (pid {each.pids[0]}{more})".strip()
