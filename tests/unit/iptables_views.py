"""Namespaces with rules, written the way iptables-save prints them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter import HookAnswer, HookContext, run_hook
from netfs.model.packet import Packet
from tests.unit.netfilter_views import CNI0, ETH0, view

CHAINS = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}

TCP = Packet("10.244.1.2", "10.96.0.1", "tcp", 40000, 80, size=60, tcp_flags="syn", src_mac="02:00:00:00:00:01")
UDP = Packet("10.244.1.2", "10.96.0.1", "udp", 40000, 53, size=60)
PING = Packet("10.244.1.2", "10.244.2.2", icmp_type="echo-request")
TCP6 = Packet("fd00::2", "fd00:96::1", "tcp", 40000, 80, size=80, tcp_flags="syn")
PING6 = Packet("fd00::2", "fd00:1::2", icmp_type="echo-request")

AHEAD = HookContext(iif=CNI0, oif=ETH0)
VERDICTS = {"drop": True, "accept": False, "unknown": None}


def table(name: str, *rules: str, chains: tuple[str, ...] = (), **policies: str) -> str:
    """One table; ``chains`` are the user's own."""
    lines = [f"*{name}"]
    lines += [f":{chain} {policies.get(chain, 'ACCEPT')} [0:0]" for chain in CHAINS[name]]
    lines += [f":{chain} - [0:0]" for chain in chains]
    return "\n".join((*lines, *rules, "COMMIT", ""))


def namespace(*texts: str, family: int = 4, ipset: str | None = None) -> NetNsView:
    """A namespace with the tables of iptables-legacy."""
    field = "ip6tables_legacy" if family == 6 else "iptables_legacy"
    made: dict[str, Any] = {field: "".join(texts)} | ({} if ipset is None else {"ipset": ipset})
    return view(**made)


def passed(
    rules: tuple[str, ...], packet: Packet, hook: str = "forward", of: str = "filter", **context: Any
) -> HookAnswer:
    """What a chain of these rules makes of a packet; each stands behind ``-A CHAIN``."""
    made = namespace(table(of, *(f"-A {hook.upper()} {rule}" for rule in rules)), family=packet.family)
    return run_hook(made, hook, packet, replace(AHEAD, **context))


def holds(match: str, packet: Packet, hook: str = "forward", of: str = "filter", **context: Any) -> bool | None:
    """Whether a match holds for a packet; None: it cannot be known."""
    return VERDICTS[passed((f"{match} -j DROP",), packet, hook, of, **context).verdict]
