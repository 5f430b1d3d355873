"""kube-proxy's rules in nftables mode, as ``nft -f`` reads them.

kubernetes/kubernetes ``pkg/proxy/nftables/proxier.go``: ``setupNFTables``, ``syncProxyRules``,
``writeServiceToEndpointRules``; ``pkg/proxy/nftables/README.md``. The order of Services is the objects'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from netfs.lab.proxy import naming
from netfs.lab.proxy.frontend import Backend, Frontend, Site, covers, frontends
from netfs.model.kubernetes import Kubernetes

MARK = "0x4000"


@dataclass(slots=True)
class _Sheet:
    """Elements of the shared maps, and the Services' own chains and sets."""

    elements: dict[str, list[str]] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)
    affinity: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, element: str) -> None:
        """One element; said twice it is one."""
        present = self.elements.setdefault(name, [])
        if element not in present:
            present.append(element)


def parts(objects: Kubernetes, site: Site) -> Iterator[str]:
    """The table ``kube-proxy`` of the site's family, made anew where it is there, in pieces to be loaded in order.

    What all Services share comes first, then each Service's own, then the elements that lead there: any number of
    pieces may be one transaction.
    """
    sheet = _Sheet()
    sheet.add("nodeport-ips", site.ip)
    for front in frontends(objects, site):
        _dispatch(sheet, front)
        _service(sheet, front, site)
    ip = _ip(site)
    lookup = f"{ip} daddr . meta l4proto . th dport"
    base = "".join(_declared(name, kind, site) for name, kind in _SHARED)
    base += _BASE.format(ip=ip, mark=MARK, services=site.service_cidr, lookup=lookup)
    yield removal(site) + _table(site, '  comment "rules for kube-proxy"\n' + base)
    yield from (_table(site, _affinity(name, seconds, site)) for name, seconds in sheet.affinity.items())
    for name, rules in sorted(sheet.chains.items(), key=lambda chain: _ORDER.index(chain[0].partition("-")[0])):
        yield _table(site, _block(f"chain {name}", rules))
    for name, elements in sheet.elements.items():
        yield from (f"add element {ip} kube-proxy {name} {{ {element} }}\n" for element in elements)


def removal(site: Site) -> str:
    """The input of ``nft -f`` that removes the table, whether it is there or not."""
    return f"table {_ip(site)} kube-proxy\ndelete table {_ip(site)} kube-proxy\n"


_ORDER = ("endpoint", "service", "local", "external", "firewall")
"""Chains by the first word of their names, those first that others lead to."""

_ADDRESS_PORT = "{address} . inet_proto . inet_service : verdict"
_PROTO_PORT = "inet_proto . inet_service : verdict"
_SHARED = (
    ("cluster-ips", "{address}"),
    ("nodeport-ips", "{address}"),
    ("no-endpoint-services", _ADDRESS_PORT),
    ("no-endpoint-nodeports", _PROTO_PORT),
    ("firewall-ips", _ADDRESS_PORT),
    ("service-ips", _ADDRESS_PORT),
    ("service-nodeports", _PROTO_PORT),
)

_COMMENTS = {
    "cluster-ips": "Active ClusterIPs",
    "nodeport-ips": "IPs that accept NodePort traffic",
    "no-endpoint-services": "vmap to drop or reject packets to services with no endpoints",
    "no-endpoint-nodeports": "vmap to drop or reject packets to service nodeports with no endpoints",
    "firewall-ips": "destinations that are subject to LoadBalancerSourceRanges",
    "service-ips": "ClusterIP, ExternalIP and LoadBalancer IP traffic",
    "service-nodeports": "NodePort traffic",
}

_BASE = """\
  chain filter-prerouting {{
    type filter hook prerouting priority -110; policy accept;
    ct state new jump firewall-check
  }}
  chain filter-input {{
    type filter hook input priority -110; policy accept;
    ct state new jump nodeport-endpoints-check
    ct state new jump service-endpoints-check
  }}
  chain filter-forward {{
    type filter hook forward priority -110; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }}
  chain filter-output {{
    type filter hook output priority -110; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump firewall-check
  }}
  chain filter-output-post-dnat {{
    type filter hook output priority -90; policy accept;
    ct state new jump cluster-ips-check
  }}
  chain nat-prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    jump services
  }}
  chain nat-output {{
    type nat hook output priority -100; policy accept;
    jump services
  }}
  chain nat-postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    jump masquerading
  }}
  chain nodeport-endpoints-check {{
    {ip} daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
  }}
  chain service-endpoints-check {{
    {lookup} vmap @no-endpoint-services
  }}
  chain firewall-check {{
    {lookup} vmap @firewall-ips
  }}
  chain services {{
    {lookup} vmap @service-ips
    {ip} daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
  }}
  chain masquerading {{
    meta mark & {mark} == 0 return
    meta mark set meta mark xor {mark}
    masquerade fully-random
  }}
  chain cluster-ips-check {{
    {ip} daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
    {ip} daddr {{ {services} }} drop comment "Drop traffic to unallocated ClusterIPs"
  }}
  chain mark-for-masquerade {{
    meta mark set meta mark or {mark}
  }}
  chain reject-chain {{
    comment "helper for @no-endpoint-services / @no-endpoint-nodeports"
    reject
  }}
"""


def _ip(site: Site) -> str:
    return "ip6" if site.family == 6 else "ip"


def _address(site: Site) -> str:
    return "ipv6_addr" if site.family == 6 else "ipv4_addr"


def _table(site: Site, body: str) -> str:
    return f"table {_ip(site)} kube-proxy {{\n{body}}}\n"


def _declared(name: str, kind: str, site: Site) -> str:
    lines = [f"type {kind.format(address=_address(site))}", f'comment "{_COMMENTS[name]}"']
    return _block(f"{'map' if 'verdict' in kind else 'set'} {name}", lines)


def _affinity(name: str, seconds: int, site: Site) -> str:
    lines = [f"type {_address(site)}", "flags dynamic,timeout", f"timeout {seconds}s"]
    return _block(f"set affinity-{name}", lines)


def _block(head: str, lines: Iterable[str]) -> str:
    return f"  {head} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"


def _dispatch(sheet: _Sheet, front: Frontend) -> None:
    """Elements of the shared maps: where each of a Service's addresses leads."""
    key = f"{front.port.protocol} . {front.port.port}"
    refused = "drop" if front.any_endpoint else "goto reject-chain"
    comment = f'comment "{front.name}"'
    sheet.add("cluster-ips", front.cluster_ip)
    if front.has_internal:
        sheet.add("service-ips", f"{front.cluster_ip} . {key} : goto {_policy(front, front.internal_local)}")
    else:
        sheet.add("no-endpoint-services", f"{front.cluster_ip} . {key} {comment} : {refused}")
    for address in (*front.external_ips, *front.load_balancer_ips):
        if front.any_endpoint:
            sheet.add("service-ips", f"{address} . {key} : goto external-{_base(front)}")
        if not front.has_external:
            sheet.add("no-endpoint-services", f"{address} . {key} {comment} : {refused}")
    if _fenced(front):
        for address in front.load_balancer_ips:
            sheet.add("firewall-ips", f"{address} . {key} : goto firewall-{_base(front)}")
    if front.port.node_port:
        number = f"{front.port.protocol} . {front.port.node_port}"
        if front.any_endpoint:
            sheet.add("service-nodeports", f"{number} : goto external-{_base(front)}")
        if not front.has_external:
            sheet.add("no-endpoint-nodeports", f"{number} {comment} : {refused}")


def _service(sheet: _Sheet, front: Frontend, site: Site) -> None:
    """The chains of one Service's port."""
    if front.cluster:
        sheet.chains[_policy(front, local=False)] = []
    if front.local:
        sheet.chains[_policy(front, local=True)] = []
    if front.has_internal:
        sheet.chains[_policy(front, front.internal_local)].append(
            f"{_ip(site)} daddr {front.cluster_ip} {front.port.protocol} dport {front.port.port}"
            f" {_ip(site)} saddr != {site.cluster_cidr} jump mark-for-masquerade"
        )
    if front.any_endpoint and front.external:
        sheet.chains[f"external-{_base(front)}"] = list(_external(front, site))
    if _fenced(front):
        sheet.chains[f"firewall-{_base(front)}"] = [_fence(front, site)]
    for local, backends in ((False, front.cluster), (True, front.local)):
        if backends:
            sheet.chains[_policy(front, local)] += _spread(front, backends, site)
    for backend in front.reachable:
        name = _endpoint(front, backend)
        if front.service.affinity_seconds is not None:
            sheet.affinity[name] = front.service.affinity_seconds
        sheet.chains[f"endpoint-{name}"] = list(_translate(front, backend, site))


def _external(front: Frontend, site: Site) -> Iterator[str]:
    if not front.external_local:
        yield "jump mark-for-masquerade"
    else:
        cluster = _policy(front, local=False)
        yield f'{_ip(site)} saddr {site.cluster_cidr} goto {cluster} comment "short-circuit pod traffic"'
        yield 'fib saddr type local jump mark-for-masquerade comment "masquerade local traffic"'
        yield f'fib saddr type local goto {cluster} comment "short-circuit local traffic"'
    if front.has_external:
        yield f"goto {_policy(front, front.external_local)}"


def _fenced(front: Frontend) -> bool:
    return bool(front.load_balancer_ips and front.source_ranges)


def _fence(front: Frontend, site: Site) -> str:
    """loadBalancerSourceRanges; where they hold the node, its own load-balancer addresses as well."""
    sources = [*front.source_ranges]
    if any(covers(cidr, site.ip) for cidr in front.source_ranges):
        sources += front.load_balancer_ips
    return f"{_ip(site)} saddr != {{ {', '.join(sources)} }} drop"


def _spread(front: Frontend, backends: tuple[Backend, ...], site: Site) -> Iterator[str]:
    names = [_endpoint(front, backend) for backend in backends]
    if front.service.affinity_seconds is not None:
        for name in names:
            yield f"{_ip(site)} saddr @affinity-{name} goto endpoint-{name}"
    ways = ", ".join(f"{index} : goto endpoint-{name}" for index, name in enumerate(names))
    yield f"numgen random mod {len(names)} vmap {{ {ways} }}"


def _translate(front: Frontend, backend: Backend, site: Site) -> Iterator[str]:
    yield f"{_ip(site)} saddr {backend.address} jump mark-for-masquerade"
    if front.service.affinity_seconds is not None:
        yield f"update @affinity-{_endpoint(front, backend)} {{ {_ip(site)} saddr }}"
    yield f"meta l4proto {front.port.protocol} dnat to {backend}"


def _policy(front: Frontend, local: bool) -> str:
    return f"{'local' if local else 'service'}-{_base(front)}"


def _base(front: Frontend) -> str:
    return naming.nftables_service(front.service.namespace, front.service.name, front.port.protocol, front.port.name)


def _endpoint(front: Frontend, backend: Backend) -> str:
    names = (front.service.namespace, front.service.name, front.port.protocol, front.port.name)
    return naming.nftables_endpoint(*names, backend.address, backend.port)
