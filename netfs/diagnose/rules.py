"""A namespace's rules, asked: what would become of a packet of our making at one hook.

The evaluator of ``netfs.datapath.netfilter`` answers, which knows nothing of a packet's way. A finding from it is as
sure as the question was fair: the packet must be one that would come to this hook.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter import HookAnswer, HookContext, RuleRef, run_bridge_hook, run_device_hook, run_hook
from netfs.datapath.netfilter.remedy import in_turn, removal
from netfs.datapath.routing import RouteQuery, lookup, select_source
from netfs.model.link import Link
from netfs.model.packet import Packet

LOST = frozenset({"drop", "reject"})


def has_rules(view: NetNsView) -> bool:
    """Whether the namespace holds any rules that were read."""
    return view.netns.firewall is not None


def text_of(view: NetNsView) -> str:
    """All rules of a namespace, as their tools print them."""
    known = view.netns.firewall
    if known is None:
        return ""
    texts = (known.nft, known.iptables, known.ip6tables, known.iptables_legacy, known.ip6tables_legacy)
    return "\n".join(each for each in texts if each)


def judged_elsewhere(view: NetNsView) -> bool:
    """Whether programs of XDP or tc, or flows of Open vSwitch, decide on packets here: no snapshot holds them."""
    return any(
        link.xdp or link.kind == "openvswitch" or link.name.startswith(("cilium_", "lxc")) for link in view.netns.links
    )


def met(
    view: NetNsView, hook: str, packet: Packet, iif: Link | None = None, oif: Link | None = None, state: str = "new"
) -> HookAnswer | None:
    """What a hook does to a packet of a connection in this state; None where the namespace has no rules."""
    if not has_rules(view):
        return None
    context = HookContext(
        iif=iif,
        oif=oif,
        ct_state=state,
        masquerade_source=_masquerade(view, packet, oif) if hook == "postrouting" and oif is not None else None,
        fib=lambda result, flags, asked: _fib(view, result, flags, asked),
    )
    return run_hook(view, hook, packet, context)


def met_on_port(view: NetNsView, hook: str, packet: Packet, port: Link) -> HookAnswer | None:
    """What family bridge (``forward``, …) or netdev (``ingress``) does to a frame that came in by a port."""
    if not has_rules(view):
        return None
    if hook == "ingress":
        return run_device_hook(view, hook, packet, HookContext(iif=port))
    bridge = view.links.get(port.master) if port.master is not None else None
    name = bridge.name if bridge is not None else None
    return run_bridge_hook(view, hook, packet, HookContext(iif=port, ibrname=name, obrname=name))


def stopped(answers: Iterable[HookAnswer | None]) -> Iterator[RuleRef]:
    """The rules that surely drop or reject, one for each answer that does."""
    for answer in answers:
        if answer is not None and answer.verdict in LOST and answer.matched:
            yield answer.matched[-1]


def ways(answer: HookAnswer) -> tuple[HookAnswer, ...]:
    """The answer, or each of those that chance or doubt leaves possible."""
    return answer.branches or (answer,)


def remove(rules: Iterable[RuleRef]) -> str:
    """The commands that take these rules away."""
    return " && ".join(dict.fromkeys(removal(ref) for ref in in_turn(rules)))


def _masquerade(view: NetNsView, packet: Packet, oif: Link) -> str | None:
    if packet.src in view.owned:
        return packet.src
    query = RouteQuery(dst=packet.dst, oif=oif.name)
    answer = lookup(view, query)
    return select_source(view, answer, query)[0] if answer.usable else None


def _fib(view: NetNsView, result: str, flags: frozenset[str], packet: Packet) -> str | None:
    """``fib daddr`` or ``fib saddr``: an address's type, or the device it is reached by."""
    address = packet.src if "saddr" in flags else packet.dst
    answer = lookup(view, RouteQuery(dst=address))
    if answer.kind == "unknown":
        return None
    if result == "type" and ":" in address:
        return answer.kind if answer.usable else "unreachable"
    if result == "type":
        return answer.kind if answer.kind in ("local", "broadcast", "multicast") else "unicast"
    link = view.links.get(answer.nexthops[0].index or 0) if answer.nexthops else None
    return link.name if link is not None else ""
