"""Group V: a node's tunnel devices, and what two nodes hold of one another.

A check of two nodes is directed: what ``tunnel``'s node holds of ``peer``. The same device of both nodes
is found by ``Evidence.counterpart``; a pair of which neither points to the other is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.diagnose.commands import create, finding, recreate, towards, tunnel_fdb
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import ANY_MAC, Tunnel, site
from netfs.model.address import NUD_NOARP, NUD_PERMANENT
from netfs.model.findings import Finding
from netfs.model.link import Vxlan

CHECKSUM_FIXED = {(4, 19): 118, (5, 4): 36, (5, 6): 8}
"""Stable kernels with the fix for checksums of NATed VXLAN packets (kubernetes/kubernetes#88986); 5.7 has it."""


def devices(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`vxlan-device-down`, `vxlan-local-wrong`, `vxlan-lower-device-wrong`, `vxlan-tx-checksum` of a node."""
    for tunnel in site(view).tunnels:
        if not evidence.some_peers(tunnel):
            continue
        dev = quote(tunnel.link.name)
        if not tunnel.link.up:
            yield finding(
                "vxlan-device-down",
                view,
                tunnel.link,
                f"{tunnel.link.name} is not up: its routes and neighbours are gone, its socket is closed",
                f"ip link set {dev} up{towards(evidence, tunnel, evidence.peers(tunnel))}",
            )
            continue
        yield from _local(evidence, tunnel)
        yield from lower_device(evidence, tunnel)
        if tunnel.link.features.get("tx-checksum-ip-generic") and corrupts_checksums(view.node.release):
            yield finding(
                "vxlan-tx-checksum",
                view,
                tunnel.link,
                f"kernel {view.node.release} spoils the checksums of translated packets in a VXLAN tunnel "
                "where the device computes them, and tx-checksum-ip-generic is on",
                f"ethtool -K {dev} tx-checksum-ip-generic off",
                "warning",
            )


def corrupts_checksums(release: str) -> bool:
    """Whether a mainline or stable kernel lacks the fix; distributions that patch their own are not judged."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(-generic|-amd64|-arm64)?", release)
    if match is None:
        return False
    version = (int(match[1]), int(match[2]))
    return (3, 12) <= version < (5, 7) and int(match[3]) < CHECKSUM_FIXED.get(version, 1 << 30)


def _local(evidence: Evidence, tunnel: Tunnel) -> Iterator[Finding]:
    vxlan, view = _vxlan(tunnel), tunnel.view
    peers = evidence.some_peers(tunnel)
    sent_to = {own for own in view.owned if any(peer.destinations.get(own) == tunnel.link.mac for peer in peers)}
    right = next(iter(sorted(sent_to)), None) or tunnel.local
    if vxlan.local is None or right is None or vxlan.local == right or vxlan.local in sent_to:
        return
    owned = vxlan.local in view.owned
    yield finding(
        "vxlan-local-wrong",
        view,
        tunnel.link,
        f"{tunnel.link.name} sends from {vxlan.local}, "
        + (f"but peers send to {right}" if owned else f"which is no address of {view.name}; peers send to {right}"),
        f"ip link set {quote(tunnel.link.name)} type vxlan id {vxlan.vni} local {quote(right)}",
        "warning" if owned else "error",
    )


def lower_device(evidence: Evidence, tunnel: Tunnel) -> Iterator[Finding]:
    """`vxlan-lower-device-wrong`."""
    vxlan, view = _vxlan(tunnel), tunnel.view
    if vxlan.lower is None:
        return
    lower = view.links.get(vxlan.lower)
    if lower is not None and not lower.up:
        return
    for peer in evidence.some_peers(tunnel):
        if peer.local is None or peer.local in view.owned:
            continue
        route = site(view).fib.best(peer.local)
        out = view.links.get(route.nexthops[0].index or 0) if route is not None and len(route.nexthops) == 1 else None
        if route is None or out is None or out.index in (vxlan.lower, tunnel.link.index) or not out.up:
            continue
        if route.dst.endswith("/0") and not view.addresses.get(out.index):
            continue
        yield finding(
            "vxlan-lower-device-wrong",
            view,
            tunnel.link,
            f"{tunnel.link.name} is bound to {lower.name if lower else f'device {vxlan.lower}, which is gone'}, "
            f"but {peer.local} of {peer.view.name} is reached by {site(view).route(route)}",
            recreate(evidence, tunnel, vxlan.vni, vxlan.port, evidence.peers(tunnel), lower=out.name),
        )
        return


def missing(evidence: Evidence, peer: Tunnel, view: NetNsView) -> Iterator[Finding]:
    """`vxlan-device-missing`: ``peer`` sends tunnelled packets to a node that has no such device."""
    targets = [own.local for own in view.netns.addresses if own.local in peer.destinations and own.scope == 0]
    if not targets:
        return
    vxlan, local = _vxlan(peer), targets[0]
    mac = peer.destinations[local]
    vteps = tuple(
        n.address for n in peer.view.netns.neighbours if n.index == peer.link.index and n.mac == mac and mac != ANY_MAC
    )
    link_index = view.owned[local].index
    others = [other for each in evidence.topology.nodes.values() if (other := _of(evidence, peer, each))]
    fix = create(
        evidence,
        peer,
        vxlan.vni,
        vxlan.port,
        lower=site(view).names.get(link_index),
        local=local,
        addresses=vteps,
        peers=[other for other in others if other.view is not view],
    )
    if peer.link.mac and mac != ANY_MAC:
        fix = fix.replace(f" address {quote(peer.link.mac)} mtu", f" address {quote(mac)} mtu", 1)
    yield finding(
        "vxlan-device-missing",
        view,
        peer.link.name,
        f"{view.name} has no VXLAN device with VNI {vxlan.vni}, but {peer.name} sends to {local} for {mac}",
        fix,
    )


def _of(evidence: Evidence, tunnel: Tunnel, view: NetNsView) -> Tunnel | None:
    return tunnel if view is tunnel.view else evidence.counterpart(tunnel, view)


def headers(evidence: Evidence, tunnel: Tunnel, peer: Tunnel) -> Iterator[Finding]:
    """`vxlan-vni-mismatch` and `vxlan-port-mismatch`: the majority is right; with one against one, both are named."""
    mine, theirs = _vxlan(tunnel), _vxlan(peer)
    for slug, what, one, other in (
        ("vxlan-vni-mismatch", "VNI", mine.vni, theirs.vni),
        ("vxlan-port-mismatch", "UDP port", mine.port, theirs.port),
    ):
        if one == other:
            continue
        wrong, right, sure = _odd_one(evidence, tunnel, peer, slug)
        values = {tunnel.name: one, peer.name: other}
        vxlan, good = _vxlan(wrong), _vxlan(right)
        vni = good.vni if slug == "vxlan-vni-mismatch" else vxlan.vni
        port = vxlan.port if slug == "vxlan-vni-mismatch" else good.port
        yield finding(
            slug,
            wrong.view,
            wrong.link,
            f"the {what}s differ: "
            + ", ".join(f"{name} has {value}" for name, value in sorted(values.items()))
            + ("" if sure else "; which of them is right cannot be told from the two alone"),
            recreate(evidence, wrong, vni, port, evidence.peers(wrong)),
        )


def _odd_one(evidence: Evidence, tunnel: Tunnel, peer: Tunnel, slug: str) -> tuple[Tunnel, Tunnel, bool]:
    """(who is wrong, who is right, whether that is sure): by majority, then by flannel's habit of naming the VNI."""

    def value(each: Tunnel) -> int:
        return _vxlan(each).vni if slug == "vxlan-vni-mismatch" else _vxlan(each).port

    group = evidence.groups.get(tunnel.link.name, ())[:64]
    votes = [value(each) for each in group]
    one, other = votes.count(value(tunnel)), votes.count(value(peer))
    if one != other:
        return (peer, tunnel, True) if one > other else (tunnel, peer, True)
    if tunnel.link.name.startswith("flannel"):
        mine, theirs = (_as_flannel_does(each, slug) for each in (tunnel, peer))
        if mine != theirs:
            return (peer, tunnel, True) if mine else (tunnel, peer, True)
    first, second = sorted((tunnel, peer), key=lambda each: each.view.name)
    return second, first, False


def _as_flannel_does(tunnel: Tunnel, slug: str) -> bool:
    """flannel names its device after the VNI, and uses Linux's port (``pkg/backend/vxlan/vxlan.go``)."""
    vxlan = _vxlan(tunnel)
    if slug == "vxlan-port-mismatch":
        return vxlan.port == 8472
    return tunnel.link.name.rpartition(".")[2] == str(vxlan.vni)


def entries(evidence: Evidence, tunnel: Tunnel, peer: Tunnel) -> Iterator[Finding]:
    """`vxlan-fdb-missing`, `vxlan-fdb-wrong-dst`, `vxlan-learning-poisoned`: what is held for ``peer``'s MAC."""
    view, vxlan, mac, local = tunnel.view, _vxlan(tunnel), peer.link.mac, peer.local
    if mac is None or local is None or mac_changed(evidence, tunnel, peer):
        return
    held = view.vxlan_fdb(tunnel.link.index, mac)
    if not held:
        if not (tunnel.floods or vxlan.l2miss):
            yield finding(
                "vxlan-fdb-missing",
                view,
                tunnel.link,
                f"{tunnel.link.name} has no FDB entry for {mac} of {peer.name} and no default destination: "
                "it does not know where to send",
                tunnel_fdb(tunnel, mac, local),
            )
        return
    wrong = [entry for entry in held if entry.dst and entry.dst not in peer.view.owned]
    if not wrong or len(wrong) < len(held):
        return
    entry = wrong[0]
    learned = not entry.state & (NUD_PERMANENT | NUD_NOARP)
    owner = evidence.topology.node_of(entry.dst or "")
    text = (
        f"{mac} of {peer.name} is said to be at {entry.dst}, "
        f"{f'which is {owner.name}' if owner else 'which no node owns'}; {peer.view.name} is at {local}"
    )
    if learned and vxlan.learning:
        yield finding(
            "vxlan-learning-poisoned",
            view,
            tunnel.link,
            f"learning is on, and a learned entry sends astray: {text}",
            f"ip link set {quote(tunnel.link.name)} type vxlan id {vxlan.vni} nolearning && "
            f"{tunnel_fdb(tunnel, mac, local)}",
        )
    else:
        yield finding("vxlan-fdb-wrong-dst", view, tunnel.link, text, tunnel_fdb(tunnel, mac, local))


def held_mac(tunnel: Tunnel, peer: Tunnel) -> str | None:
    """The MAC that ``tunnel`` holds for ``peer``'s VTEP address."""
    for address in peer.addresses:
        neighbour = tunnel.view.neighbour(tunnel.link.index, address)
        if neighbour is not None and neighbour.mac is not None:
            return neighbour.mac
    return None


def mac_changed(evidence: Evidence, tunnel: Tunnel, peer: Tunnel) -> str | None:
    """The MAC that ``peer`` had, where neighbour and FDB entry of ``tunnel`` agree on one that it has no more."""
    held = held_mac(tunnel, peer)
    if held is None or held == peer.link.mac or evidence.counterpart(peer, tunnel.view) is not tunnel:
        return None
    at = tunnel.view.vxlan_fdb(tunnel.link.index, held)
    known = any(entry.dst in peer.view.owned for entry in at if entry.dst)
    fresh = peer.link.mac and any(
        entry.dst in peer.view.owned for entry in tunnel.view.vxlan_fdb(tunnel.link.index, peer.link.mac) if entry.dst
    )
    return held if known and not fresh else None


def macs(evidence: Evidence, tunnel: Tunnel, peer: Tunnel) -> Iterator[Finding]:
    """`vxlan-vtep-mac-changed`, or `mac-duplicate` where the new MAC is another node's."""
    held = mac_changed(evidence, tunnel, peer)
    if held is None:
        return
    group = evidence.groups.get(peer.link.name, ())
    twin = next((each for each in group if each.link.mac == peer.link.mac and each.view is not peer.view), None)
    yield finding(
        "mac-duplicate" if twin else "vxlan-vtep-mac-changed",
        peer.view,
        peer.link,
        f"{peer.link.name} has MAC {peer.link.mac}"
        + (f", as {twin.name} has" if twin else "")
        + f", but {tunnel.view.name} holds {held} for it: what it sends is for another host",
        f"ip link set {quote(peer.link.name)} address {quote(held)}{towards(evidence, peer, evidence.peers(peer))}",
    )


def _vxlan(tunnel: Tunnel) -> Vxlan:
    assert tunnel.link.vxlan is not None
    return tunnel.link.vxlan
