"""How the ends of flows, their tunnels, and several of them are said in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

from netfs.model.flows import Flow, Tunnel

SEVERAL = 3
"""How many names a sentence holds."""
TAPS = 8
"""How many interfaces."""


def short(name: str) -> str:
    """A name as one says it where the namespace is ``default``: ``pod-a``, ``svc/web``, ``node1``."""
    return name.removeprefix("default/").removeprefix("node/")


def end(name: str | None, address: str, port: int | None = None) -> str:
    """One end of a flow: ``pod-a (10.244.1.2)``, ``pod-b:80 (10.244.2.2)``, ``10.244.2.2:80``, ``[fd00::2]:80``."""
    tail = f":{port}" if port is not None else ""
    if name is not None:
        return f"{short(name)}{tail} ({address})"
    return f"[{address}]{tail}" if tail and ":" in address else f"{address}{tail}"


def tunnel(one: Tunnel) -> str:
    """``vxlan 1 node1→node2``."""
    vni = f" {one.vni}" if one.vni is not None else ""
    return f"{one.kind}{vni} {one.src_node or one.src}→{one.dst_node or one.dst}"


def senders(flows: Iterable[Flow]) -> str:
    """Who sends several flows: ``pod-a (10.244.1.2)``, ``10.0.0.1, 10.0.0.2 and 4 others``."""
    return listed(end(flow.src_name, flow.src) for flow in flows)


def listed(words: Iterable[str]) -> str:
    """Distinct words, the first few of them by name."""
    distinct = list(dict.fromkeys(words))
    if len(distinct) > SEVERAL + 1:
        return f"{', '.join(distinct[:SEVERAL])} and {len(distinct) - SEVERAL} others"
    return " and ".join(filter(None, (", ".join(distinct[:-1]), distinct[-1]))) if distinct else ""


def heard(flows: Iterable[Flow]) -> str:
    """Where flows were seen, in a capture of several interfaces: ``; seen at node1/cni0, node1/eth0``."""
    taps = list(dict.fromkeys(name for flow in flows for name, _ in flow.taps))
    return f"; seen at {', '.join(taps[:TAPS])}{' and others' if len(taps) > TAPS else ''}" if taps else ""


def counted(number: int, noun: str) -> str:
    """``1 SYN``, ``2 SYNs``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
