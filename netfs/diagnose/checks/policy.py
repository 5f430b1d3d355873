"""Group R: policy rules that take pods' packets away from the table that knows the way."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.cluster.netns import NetNsView
from netfs.diagnose.commands import finding
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import overlap, site
from netfs.model import ip
from netfs.model.findings import Finding
from netfs.model.packet import Packet
from netfs.model.route import RT_TABLE_LOCAL, RT_TABLE_MAIN, Rule


def rules(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`rule-shadows-main`: a policy rule that takes pod traffic away from the table that knows the way."""
    node = view if view.is_node else evidence.node_of(view)
    if node is None or all(rule.priority in (0, 32766, 32767) for rule in view.netns.rules):
        return
    remote = [
        (bridge.subnet(family), family)
        for other in evidence.sample(node)
        for bridge in evidence.bridges(other)
        if bridge.pods and evidence.clustered(other)
        for family in (4, 6)
    ]
    own = [subnet for bridge in evidence.bridges(node) if bridge.pods for subnet in bridge.subnets]
    for rule in view.netns.rules:
        if not _takes_pods(rule, own):
            continue
        for subnet, family in remote:
            if subnet is None or family != rule.family or (rule.dst and not overlap(rule.dst, subnet)):
                continue
            first = ip.to_text(ip.prefix(subnet)[0] + 1, family)
            if found := _shadowed(view, rule, first, subnet):
                yield found
                break


def _takes_pods(rule: Rule, own: list[str]) -> bool:
    if rule.table in (RT_TABLE_LOCAL, RT_TABLE_MAIN) and rule.action == "lookup":
        return False
    narrowed = (rule.fwmark, rule.oif, rule.proto, rule.sport, rule.dport, rule.uid_range, rule.tun_id)
    if any(each is not None for each in narrowed) or rule.tos or rule.l3mdev or rule.unknown or rule.flags & 0x2:
        return False
    if rule.priority >= 32766 or rule.action in ("goto", "nop") or rule.suppress_prefixlength is not None:
        return False
    return rule.src is None or any(overlap(rule.src, subnet) for subnet in own)


def of_mark(view: NetNsView, packet: Packet) -> Iterator[Finding]:
    """`rule-shadows-main` of a packet that bears a mark: the rules that take it for the mark."""
    for rule in view.netns.rules:
        if rule.fwmark is not None and rule.family == packet.family and _takes(rule, packet):
            if found := _shadowed(view, rule, packet.dst, f"{packet.dst} with mark {packet.mark:#x}"):
                yield found


def _takes(rule: Rule, packet: Packet) -> bool:
    """Whether a rule surely takes the packet."""
    narrowed = (rule.iif, rule.oif, rule.proto, rule.sport, rule.dport, rule.uid_range, rule.tun_id)
    if any(each is not None for each in narrowed) or rule.tos or rule.l3mdev or rule.unknown or rule.flags & 0x2:
        return False
    if rule.action in ("goto", "nop") or rule.suppress_prefixlength is not None or rule.priority >= 32766:
        return False
    ends = ((rule.src, packet.src), (rule.dst, packet.dst))
    if any(prefix is not None and not ip.contains(prefix, address) for prefix, address in ends):
        return False
    return packet.mark & rule.fwmask == rule.fwmark


def _shadowed(view: NetNsView, rule: Rule, address: str, what: str) -> Finding | None:
    fib = site(view).fib
    main = fib.best(address)
    there = fib.best(address, rule.table) if rule.action == "lookup" and rule.table is not None else None
    if main is None or (rule.action == "lookup" and there is None):
        return None
    if there is not None and (there.type == "throw" or (there.type, there.nexthops) == (main.type, main.nexthops)):
        return None
    tool = "ip -6" if rule.family == 6 else "ip"
    instead = f"table {rule.table}, which says {site(view).route(there)}" if there else rule.action
    return finding(
        "rule-shadows-main",
        view,
        None,
        f"rule {rule.priority} sends packets for {what} to {instead}; main says {site(view).route(main)}",
        f"{tool} rule del priority {rule.priority}",
    )
