"""kube-proxy's rules in iptables mode, as ``iptables-restore --noflush`` reads them.

kubernetes/kubernetes ``pkg/proxy/iptables/proxier.go``: ``syncProxyRules``, ``writeServiceToEndpointRules``,
``iptablesJumpChains``; ``pkg/util/iptables/monitor.go`` for the canaries. The order of Services is the objects'
(kube-proxy's own is a map's), the order of backends their text's, as there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from netfs.lab.proxy import naming
from netfs.lab.proxy.frontend import Backend, Frontend, Site, covers, frontends
from netfs.model.kubernetes import Kubernetes

MARK = "0x4000"
_MARKED = f"{MARK}/{MARK}"
_NEW = "-m conntrack --ctstate NEW"
_SNAT = '-m comment --comment "kubernetes service traffic requiring SNAT"'
_ANSWERS = '-m comment --comment "kubernetes forwarding conntrack rule"'
_VISIBLE = "kubernetes externally-visible service portals"
_PORTALS = "kubernetes service portals"
_FIREWALL = "kubernetes load balancer firewall"

_KUBELETS = "KUBE-FIREWALL"

_JUMPS = {
    "filter": (
        ("INPUT", "", "", _KUBELETS),
        ("OUTPUT", "", "", _KUBELETS),
        ("INPUT", _NEW, _VISIBLE, "KUBE-EXTERNAL-SERVICES"),
        ("FORWARD", _NEW, _VISIBLE, "KUBE-EXTERNAL-SERVICES"),
        ("INPUT", "", "kubernetes health check service ports", "KUBE-NODEPORTS"),
        ("FORWARD", _NEW, _PORTALS, "KUBE-SERVICES"),
        ("OUTPUT", _NEW, _PORTALS, "KUBE-SERVICES"),
        ("FORWARD", "", "kubernetes forwarding rules", "KUBE-FORWARD"),
        ("INPUT", _NEW, _FIREWALL, "KUBE-PROXY-FIREWALL"),
        ("OUTPUT", _NEW, _FIREWALL, "KUBE-PROXY-FIREWALL"),
        ("FORWARD", _NEW, _FIREWALL, "KUBE-PROXY-FIREWALL"),
    ),
    "nat": (
        ("OUTPUT", "", _PORTALS, "KUBE-SERVICES"),
        ("PREROUTING", "", _PORTALS, "KUBE-SERVICES"),
        ("POSTROUTING", "", "kubernetes postrouting rules", "KUBE-POSTROUTING"),
    ),
    "mangle": (),
}
"""Table → (chain, match, comment, target), each put before those that are there: kubelet's first, then kube-proxy's."""

_TOP = {
    "filter": ("SERVICES", "EXTERNAL-SERVICES", "FORWARD", "NODEPORTS", "PROXY-FIREWALL", "FIREWALL", "PROXY-CANARY"),
    "nat": ("SERVICES", "NODEPORTS", "POSTROUTING", "MARK-MASQ", "PROXY-CANARY"),
    "mangle": ("PROXY-CANARY",),
}


@dataclass(slots=True)
class _Sheet:
    """The lines that are being written."""

    chains: list[str] = field(default_factory=list)
    nat: list[str] = field(default_factory=list)
    filter: list[str] = field(default_factory=list)


def text(objects: Kubernetes, site: Site, saved: str = "") -> str:
    """The input of ``iptables-restore --noflush`` (``ip6tables-restore`` for a site of family 6).

    ``saved`` is what ``iptables-save`` tells of the node: jumps that are there are left, chains of Services that
    are no more are removed.
    """
    sheet = _Sheet()
    sheet.nat += [
        f"-A KUBE-POSTROUTING -m mark ! --mark {_MARKED} -j RETURN",
        f"-A KUBE-POSTROUTING -j MARK --xor-mark {MARK}",
        f"-A KUBE-POSTROUTING {_SNAT} -j MASQUERADE --random-fully",
        f"-A KUBE-MARK-MASQ -j MARK --or-mark {MARK}",
    ]
    if site.family == 4:
        sheet.filter.append(
            '-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8'
            " ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
        )
    for front in frontends(objects, site):
        _dispatch(sheet, front)
        _service(sheet, front, site)
    not_localhost = " ! -d ::1/128" if site.family == 6 else ""
    sheet.nat.append(
        '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in'
        f' this chain" -m addrtype --dst-type LOCAL{not_localhost} -j KUBE-NODEPORTS'
    )
    sheet.filter += [
        "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
        f'-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark {_MARKED} -j ACCEPT',
        f"-A KUBE-FORWARD {_ANSWERS} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]
    stale = [name for name in _own_chains(saved, "nat") if name not in {*sheet.chains, *_names("nat")}]
    return (
        _table("mangle", (), (), saved)
        + _table("filter", (), sheet.filter, saved)
        + _table("nat", (*sheet.chains, *stale), (*sheet.nat, *(f"-X {name}" for name in stale)), saved)
    )


def removal(saved: str) -> str:
    """The input of ``iptables-restore --noflush`` that removes it, as ``kube-proxy --cleanup`` does.

    KUBE-FIREWALL stays: it is kubelet's too.
    """
    parts = []
    for table, jumps in _JUMPS.items():
        there = _lines(saved, table)
        chains = [name for name in _own_chains(saved, table) if name != _KUBELETS]
        drops = [f"-D {_jump(*jump)[3:]}" for jump in jumps if jump[-1] != _KUBELETS and _jump(*jump) in there]
        lines = [f"*{table}", *(f":{name} - [0:0]" for name in chains), *drops, *(f"-X {name}" for name in chains)]
        parts.append("\n".join([*lines, "COMMIT", ""]))
    return "".join(parts)


def _table(name: str, chains: Iterable[str], rules: Iterable[str], saved: str) -> str:
    there = _lines(saved, name)
    missing = [rule for rule in (_jump(*jump) for jump in _JUMPS[name]) if rule not in there]
    declared = (f":{chain} - [0:0]" for chain in (*_names(name), *dict.fromkeys(chains)))
    return "\n".join([f"*{name}", *declared, *(f"-I {rule[3:]}" for rule in missing), *rules, "COMMIT", ""])


def _names(table: str) -> tuple[str, ...]:
    return tuple(f"KUBE-{name}" for name in _TOP[table])


def _jump(chain: str, match: str, comment: str, target: str) -> str:
    """A jump as ``iptables-save`` writes it."""
    words = ["-A", chain, match, f'-m comment --comment "{comment}"' if comment else "", "-j", target]
    return " ".join(word for word in words if word)


def _lines(saved: str, table: str) -> frozenset[str]:
    _, _, rest = saved.partition(f"*{table}\n")
    return frozenset(rest.partition("\nCOMMIT")[0].splitlines())


def _own_chains(saved: str, table: str) -> tuple[str, ...]:
    return tuple(sorted(line[1:].split()[0] for line in _lines(saved, table) if line.startswith(":KUBE-")))


def _dispatch(sheet: _Sheet, front: Frontend) -> None:
    """Rules of the chains that all Services share: where each of a Service's addresses leads."""
    if front.has_internal:
        sheet.nat.append(
            _to(front, "KUBE-SERVICES", "cluster IP", front.cluster_ip, _policy(front, front.internal_local))
        )
    else:
        sheet.filter.append(_refuse(front, "KUBE-SERVICES", f"-d {front.cluster_ip}", front.port.port))
    balanced = _chain(front, "FW" if _fenced(front) else "EXT")
    for kind, addresses, target in (
        ("external IP", front.external_ips, _chain(front, "EXT")),
        ("loadbalancer IP", front.load_balancer_ips, balanced),
    ):
        for address in addresses:
            if front.any_endpoint:
                sheet.nat.append(_to(front, "KUBE-SERVICES", kind, address, target))
            if not front.has_external:
                sheet.filter.append(_refuse(front, "KUBE-EXTERNAL-SERVICES", f"-d {address}", front.port.port))
    if _fenced(front):
        sheet.filter += [
            f'-A KUBE-PROXY-FIREWALL -m comment --comment "{front.name} traffic not accepted by {balanced}"'
            f" {_port(front, front.port.port, f'-d {address} ')} -j DROP"
            for address in front.load_balancer_ips
        ]
    if front.port.node_port:
        number = front.port.node_port
        if front.any_endpoint:
            match, target = _port(front, number), _chain(front, "EXT")
            sheet.nat.append(f"-A KUBE-NODEPORTS -m comment --comment {front.name} {match} -j {target}")
        if not front.has_external:
            sheet.filter.append(_refuse(front, "KUBE-EXTERNAL-SERVICES", "-m addrtype --dst-type LOCAL", number))


def _to(front: Frontend, chain: str, kind: str, address: str, target: str) -> str:
    match = _port(front, front.port.port, f"-d {address} ")
    return f'-A {chain} -m comment --comment "{front.name} {kind}" {match} -j {target}'


def _refuse(front: Frontend, chain: str, destination: str, number: int) -> str:
    """No backend anywhere: refused. None that the traffic policy allows: dropped."""
    target, why = ("DROP", "has no local endpoints") if front.any_endpoint else ("REJECT", "has no endpoints")
    match = _port(front, number, f"{destination} " if destination.startswith("-d") else "")
    before = f"{destination} " if destination.startswith("-m") else ""
    return f'-A {chain} -m comment --comment "{front.name} {why}" {before}{match} -j {target}'


def _service(sheet: _Sheet, front: Frontend, site: Site) -> None:
    """The chains of one Service's port."""
    if front.has_internal:
        match = _port(front, front.port.port, f"-d {front.cluster_ip} ")
        sheet.nat.append(
            f'-A {_policy(front, front.internal_local)} -m comment --comment "{front.name} cluster IP" {match}'
            f" ! -s {site.cluster_cidr} -j KUBE-MARK-MASQ"
        )
    if front.any_endpoint and front.external:
        sheet.chains.append(_chain(front, "EXT"))
        sheet.nat += _external(front, site)
    if _fenced(front):
        sheet.chains.append(_chain(front, "FW"))
        sheet.nat += _fence(front, site)
    for prefix, backends in (("SVC", front.cluster), ("SVL", front.local)):
        if backends:
            sheet.chains.append(_chain(front, prefix))
            sheet.nat += _spread(front, _chain(front, prefix), backends)
    for backend in front.reachable:
        sheet.chains.append(_endpoint(front, backend))
        sheet.nat += _translate(front, backend)


def _external(front: Frontend, site: Site) -> Iterator[str]:
    chain = _chain(front, "EXT")
    whose = f"{front.name} external destinations"
    if not front.external_local:
        yield f'-A {chain} -m comment --comment "masquerade traffic for {whose}" -j KUBE-MARK-MASQ'
    else:
        cluster, local = _chain(front, "SVC"), "-m addrtype --src-type LOCAL"
        yield f'-A {chain} -m comment --comment "pod traffic for {whose}" -s {site.cluster_cidr} -j {cluster}'
        yield f'-A {chain} -m comment --comment "masquerade LOCAL traffic for {whose}" {local} -j KUBE-MARK-MASQ'
        yield f'-A {chain} -m comment --comment "route LOCAL traffic for {whose}" {local} -j {cluster}'
    if front.has_external:
        yield f"-A {chain} -j {_policy(front, front.external_local)}"


def _fenced(front: Frontend) -> bool:
    return front.any_endpoint and bool(front.load_balancer_ips and front.source_ranges)


def _fence(front: Frontend, site: Site) -> Iterator[str]:
    """loadBalancerSourceRanges: what passes none of them is dropped by KUBE-PROXY-FIREWALL, since it is not DNATed."""
    chain = _chain(front, "FW")
    sources = [*front.source_ranges]
    if any(covers(cidr, site.ip) for cidr in front.source_ranges):
        sources += front.load_balancer_ips
    for source in sources:
        yield f'-A {chain} -m comment --comment "{front.name} loadbalancer IP" -s {source} -j {_chain(front, "EXT")}'
    yield f'-A {chain} -m comment --comment "other traffic to {front.name} will be dropped by KUBE-PROXY-FIREWALL"'


def _spread(front: Frontend, chain: str, backends: tuple[Backend, ...]) -> Iterator[str]:
    if front.service.affinity_seconds is not None:
        for backend in backends:
            target = _endpoint(front, backend)
            yield (
                f'-A {chain} -m comment --comment "{front.name} -> {backend}" -m recent --name {target}'
                f" --rcheck --seconds {front.service.affinity_seconds} --reap -j {target}"
            )
    for index, backend in enumerate(backends):
        left = len(backends) - index
        chance = f" -m statistic --mode random --probability {1 / left:.10f}" if left > 1 else ""
        yield f'-A {chain} -m comment --comment "{front.name} -> {backend}"{chance} -j {_endpoint(front, backend)}'


def _translate(front: Frontend, backend: Backend) -> Iterator[str]:
    chain, comment = _endpoint(front, backend), f"-m comment --comment {front.name}"
    remembered = f" -m recent --name {chain} --set" if front.service.affinity_seconds is not None else ""
    yield f"-A {chain} {comment} -s {backend.address} -j KUBE-MARK-MASQ"
    protocol = front.port.protocol
    yield f"-A {chain} {comment}{remembered} -m {protocol} -p {protocol} -j DNAT --to-destination {backend}"


def _policy(front: Frontend, local: bool) -> str:
    return _chain(front, "SVL" if local else "SVC")


def _chain(front: Frontend, prefix: str) -> str:
    return naming.iptables_service(prefix, front.name, front.port.protocol)


def _endpoint(front: Frontend, backend: Backend) -> str:
    return naming.iptables_endpoint(front.name, front.port.protocol, str(backend))


def _port(front: Frontend, number: int, destination: str = "") -> str:
    return f"-m {front.port.protocol} -p {front.port.protocol} {destination}--dport {number}"
