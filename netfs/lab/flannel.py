"""flannel's own rules on a node: what it masquerades, and what may be forwarded.

flannel-io/flannel ``pkg/trafficmngr/nftables`` and ``pkg/trafficmngr/iptables``.
"""

from __future__ import annotations

from netfs.lab.plan import CLUSTER_CIDR, CLUSTER_CIDR6, NodePlan

_MULTICAST = {4: "224.0.0.0/4", 6: "ff00::/8"}
_CLUSTER = {4: CLUSTER_CIDR, 6: CLUSTER_CIDR6}


def nftables(this: NodePlan, family: int) -> str:
    """The table of flannel's nftables mode, for ``nft -f``."""
    return _NFTABLES.format(
        family="ip" if family == 4 else "ip6",
        table=f"flannel-ipv{family}",
        cluster=_CLUSTER[family],
        subnet=_subnet(this, family),
        group=_MULTICAST[family],
    )


def iptables(this: NodePlan, family: int) -> str:
    """The chains of flannel's iptables mode, for ``iptables-restore --noflush``."""
    masq, forward = ("-m comment --comment " + f'"flanneld {what}"' for what in ("masq", "forward"))
    cluster, subnet = _CLUSTER[family], _subnet(this, family)
    rules = {
        "filter": [
            ":FLANNEL-FWD - [0:0]",
            f"-A FORWARD {forward} -j FLANNEL-FWD",
            f"-A FLANNEL-FWD -s {cluster} {forward} -j ACCEPT",
            f"-A FLANNEL-FWD -d {cluster} {forward} -j ACCEPT",
        ],
        "nat": [
            ":FLANNEL-POSTRTG - [0:0]",
            f"-A POSTROUTING {masq} -j FLANNEL-POSTRTG",
            f"-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 {masq} -j RETURN",
            f"-A FLANNEL-POSTRTG -s {subnet} -d {cluster} {masq} -j RETURN",
            f"-A FLANNEL-POSTRTG -s {cluster} -d {subnet} {masq} -j RETURN",
            f"-A FLANNEL-POSTRTG ! -s {cluster} -d {subnet} {masq} -j RETURN",
            f"-A FLANNEL-POSTRTG -s {cluster} ! -d {_MULTICAST[family]} {masq} -j MASQUERADE --random-fully",
            f"-A FLANNEL-POSTRTG ! -s {cluster} -d {cluster} {masq} -j MASQUERADE --random-fully",
        ],
    }
    return "".join(_table(name, lines) for name, lines in rules.items())


def _table(name: str, lines: list[str]) -> str:
    return "\n".join([f"*{name}", *lines, "COMMIT", ""])


def _subnet(this: NodePlan, family: int) -> str:
    return this.subnet if family == 4 else this.subnet6


_NFTABLES = """\
table {family} {table} {{
  chain forward {{
    type filter hook forward priority filter; policy accept;
    {family} saddr {cluster} accept
    {family} daddr {cluster} accept
  }}
  chain postrtg {{
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & 0x4000 == 0x4000 return
    {family} saddr {subnet} {family} daddr {cluster} return
    {family} saddr {cluster} {family} daddr {subnet} return
    {family} saddr != {subnet} {family} daddr {subnet} return
    {family} saddr {cluster} {family} daddr != {group} masquerade fully-random
    {family} saddr != {cluster} {family} daddr {cluster} masquerade fully-random
  }}
}}
"""
