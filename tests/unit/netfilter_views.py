"""Namespaces with rules, written the way nft prints them as JSON."""

from __future__ import annotations

import json
from typing import Any

from netfs.cluster.netns import NetNsView
from netfs.model.address import Address
from netfs.model.gaps import Gap
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.snapshot import Firewall, NetNs, NodeSnapshot

ETH0 = Link(2, "eth0")
CNI0 = Link(3, "cni0", kind="bridge")
PING = Packet("10.244.1.2", "10.244.2.2", icmp_type="echo-request")
WEB = Packet("10.244.1.2", "10.96.0.1", "tcp", 40000, 80, tcp_flags="syn")
VXLAN = Packet("192.168.52.11", "192.168.52.12", "udp", 50000, 8472, size=134)

ACCEPT: dict[str, Any] = {"accept": None}
DROP: dict[str, Any] = {"drop": None}


def view(nft: object = None, *, gaps: tuple[Gap, ...] = (), **texts: str) -> NetNsView:
    """A namespace; ``nft`` is a list of objects, or any text."""
    text = json.dumps({"nftables": nft}) if isinstance(nft, list) else nft
    firewall = Firewall(nft=text, **texts) if text is not None or texts else None  # type: ignore[arg-type]
    addresses = (Address(2, 4, "192.168.52.11", 24), Address(3, 4, "10.244.1.1", 24))
    netns = NetNs(1, "node1", links=(ETH0, CNI0), addresses=addresses, firewall=firewall)
    return NetNsView(NodeSnapshot("node1", "kernel", 1, (netns,), gaps=gaps), netns, None)


def table(name: str = "t", family: str = "ip", **more: object) -> dict[str, Any]:
    return {"table": {"family": family, "name": name, "handle": 1} | more}


def chain(name: str, hook: str | None = None, family: str = "ip", of: str = "t", **more: object) -> dict[str, Any]:
    base = {"type": "filter", "hook": hook, "prio": 0, "policy": "accept"} if hook else {}
    return {"chain": {"family": family, "table": of, "name": name} | base | more}


def rule(of: str, *statements: object, family: str = "ip", handle: int = 9, **more: object) -> dict[str, Any]:
    expr = list(statements)
    return {"rule": {"family": family, "table": "t", "chain": of, "handle": handle, "expr": expr} | more}


def match(left: object, right: object, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def field(text: str) -> dict[str, Any]:
    """``field("ip saddr")``, ``field("meta mark")``, ``field("ct state")``."""
    first, second = text.split(" ", 1)
    return {first: {"key": second}} if first in ("meta", "ct") else {"payload": {"protocol": first, "field": second}}


def forward(*rules: tuple[object, ...], **more: Any) -> NetNsView:
    """A namespace with one forward chain, each rule a tuple of statements."""
    made = [rule("f", *statements, handle=number) for number, statements in enumerate(rules, 1)]
    return view([table(), chain("f", "forward", **more), *made])
